// SPDX-License-Identifier: BSD-2-Clause
// trace: every kind of probe that this kernel takes, with known hits of known values.
#include "harness.hpp"

using live::Json;
using live::Words;
using live::operator+;

namespace {

std::string steps() { return test::trigger_path("steps"); }
std::string at_steps(const std::string& rest = "") { return "uprobe:" + steps() + ":steps" + rest; }

live::Result hits(const Words& probes, std::uint64_t count = 3, const Words& options = {}) {
  return live::trace("trace", options + probes, live::trigger("steps", {std::to_string(count)}));
}

std::vector<Json> values(const live::Result& result) {
  std::vector<Json> all;
  for (const Json& row : result.rows()) all.push_back(row["values"]);
  return all;
}

}  // namespace

TEST_CASE("a function's arguments and results are those of its calls", "[each-kernel]") {
  NEEDS("root");
  live::Result result =
      hits({at_steps(), "arg0:d", "arg1", "arg2:str", "func", "uretprobe:" + steps() + ":steps", "retval:d"});
  INFO(result.out << result.err);
  CHECK(result.status == 0);
  std::vector<Json> expected;
  for (int i = 0; i < 3; i++) {
    expected.push_back({{"arg0", i}, {"arg1", 10}, {"arg2", "text"}, {"func", "steps"}});
    expected.push_back({{"retval", i + 10}});
  }
  CHECK(values(result) == expected);
  CHECK(result.rows()[0]["probe"] == "uprobe:steps:steps");
  CHECK(result.rows()[1]["probe"] == "uretprobe:steps:steps");
  CHECK(result.lost() == 0);
}

TEST_CASE("parameters and results have the names and types of the debug information", "[each-kernel]") {
  NEEDS("root");
  for (const char* name : {"typed", "typed_slow"}) {
    std::string program = test::trigger_path(name), at = "uprobe:" + program + ":",
                after = "uretprobe:" + program + ":";
    live::Result result =
        live::trace("trace",
                    {at + "handle", "path", "thing->id", "args.thing->in.name", "thing->next->in.first", "thing->flag",
                     "color", "small", "fourth", "fifth", "sixth", "seventh", after + "handle", "retval",
                     at + "make /all >= 1/", "all", after + "next_of /retval->flag == 5/", "retval->in.name"},
                    {program, "2"});
    INFO(result.out << result.err);
    std::vector<Json> expected;
    for (int i = 0; i < 2; i++) {
      expected.push_back({{"path", "/a/path"},
                          {"thing->id", -7},
                          {"args.thing->in.name", "inner"},
                          {"thing->next->in.first", 3},
                          {"thing->flag", 2},
                          {"color", "GREEN"},
                          {"small", 200},
                          {"fourth", std::int64_t{1} << 40},
                          {"fifth", -8},
                          {"sixth", -300},
                          {"seventh", i}});
      expected.push_back({{"retval", -68 - i}});
      if (i >= 1) expected.push_back({{"all", i}});
      expected.push_back({{"retval->in.name", "last"}});
    }
    CHECK(result.end()["command"]["exit"] == 0);
    CHECK(values(result) == expected);
    CHECK(result.lost() == 0);
    live::refused("trace", {at + "handle", "weight"}, "▶weight: it is in a floating-point register");
    live::refused("trace", {at + "handle", "pth"}, "▶pth: nothing is called pth here; did you mean path?");
    live::refused("trace", {at + "handle", "thing->ix"}, "▶ix: struct thing has no member ix; did you mean id?");
    live::refused("trace", {after + "make", "retval"},
                  "▶retval: the function returns what is no number and no address");
    live::refused("trace", {after + "half", "retval"}, "▶retval: it is in a floating-point register");
    live::refused("trace", {after + "handle", "path"}, "▶path: arguments are gone at the return; probe the entry");
  }
}

TEST_CASE("a stripped program's parameters are known by its separate debug file") {
  NEEDS("root");
  test::TemporaryDirectory folder;
  std::string program = live::compile(
      folder.path(), "stripped",
      "__attribute__((noipa)) int named(int first, const char *text)"
      " { return first + text[0]; }\n"
      "int main(void) { const char *volatile text = \"A\"; return text[0] == 'A' ? named(-65, text) : 1; }\n",
      {"-g", "-O2", "-rdynamic"});
  if (program.empty()) SKIP_CASE("no compiler here", "gcc");
  std::string debug = program + ".debug";
  auto strip = [&](const std::string& how) { REQUIRE(test::run({"sh", "-c", "objcopy " + how}).status == 0); };
  strip("--only-keep-debug " + program + " " + debug);
  strip("--strip-all " + program);
  strip("--add-gnu-debuglink=" + debug + " " + program);
  live::Result result = live::trace("trace", {"uprobe:" + program + ":named", "first", "text"}, {program});
  INFO(result.out << result.err);
  CHECK(values(result) == std::vector<Json>{{{"first", -65}, {"text", "A"}}});
}

TEST_CASE("an address of code is shown as what is there: the kernel's or the process's", "[each-kernel]") {
  NEEDS("root");
  live::Result result = live::trace("trace", {"tracepoint:timer:hrtimer_start", "function:sym"}, {"sleep", "0.01"});
  INFO(result.out << result.err);
  CHECK(result.rows({{"values", Json{{"function", "hrtimer_wakeup"}}}}).size() >= 1);
  test::TemporaryDirectory folder;
  std::string program = live::compile(folder.path(), "calls",
                                      "#include <unistd.h>\n"
                                      "__attribute__((noipa)) int called(void) { return 1; }\n"
                                      "__attribute__((noipa)) int calls(int (*what)(void)) { return what(); }\n"
                                      "int main(void) { calls(called); sleep(2); return 0; }\n",
                                      {"-O2"});
  if (program.empty()) return;
  result = live::trace("trace", {"uprobe:" + program + ":calls", "arg0:sym"}, {program});
  INFO(result.out << result.err);
  CHECK(values(result) == std::vector<Json>{{{"arg0", "called"}}});
}

TEST_CASE("a place within a function, and an address, are probed") {
  NEEDS("root");
#ifndef __x86_64__
  SKIP_CASE("its instructions are known on x86_64 only");
#endif
  CHECK(hits({at_steps("+2"), at_steps("+4"), "nsecs"}, 5).row_lines() == 10);
  test::Ran symbols = test::run({"sh", "-c", "nm " + steps() + " | sed -n 's/ T steps$//p'"});
  if (symbols.status != 0 || symbols.out.empty()) SKIP_CASE("nm is not installed", "binutils");
  std::string address = symbols.out.substr(0, symbols.out.find('\n'));
  CHECK(hits({"uprobe:" + steps() + ":0x" + address}, 5).row_lines() == 5);
}

TEST_CASE("filters let through exactly what they name") {
  NEEDS("root");
  auto count = [](const std::string& filter) { return hits({at_steps(), filter}, 100).row_lines(); };
  CHECK(count("/arg0 == 7/") == 1);
  CHECK(count("/(u32)arg0 < 10 && pid > 1/") == 10);
  CHECK(count("/!(arg0 < 10) || arg0 == 3/") == 91);
  CHECK(count("/arg2 == \"te*\"/") == 100);
  CHECK(count("/arg2 != \"te*\"/") == 0);
  CHECK(count("/func == \"step?\" && probe == \"uprobe:*\"/") == 100);
  CHECK(count("/*(char *)arg2 == 116/") == 100);
  CHECK(count("/comm == \"other\"/") == 0);
}

TEST_CASE("latency is the call's own, its callees' told apart in a recursion") {
  NEEDS("root");
  live::Result result = hits({"uretprobe:" + steps() + ":deeper", "retval", "latency"}, 1);
  auto all = values(result);
  REQUIRE(all.size() == 4);
  for (std::size_t i = 0; i < 4; i++) {
    CHECK(all[i]["retval"] == i);
    if (i) CHECK(all[i]["latency_ns"].get<std::uint64_t>() > all[i - 1]["latency_ns"].get<std::uint64_t>());
  }
  CHECK(hits({"uretprobe:" + steps() + ":deeper", "/latency > 1h/"}, 1).status == 64);  // no unit of the language
  CHECK(hits({"uretprobe:" + steps() + ":deeper", "/latency > 3600s/"}, 1).row_lines() == 0);
  CHECK(hits({"uretprobe:" + steps() + ":deeper", "/latency > 1ns/"}, 1).row_lines() == 4);
}

TEST_CASE("a library's function is found by the library's name", "[any-kernel]") {
  NEEDS("root");
  live::Result result = live::trace("trace", {"uprobe:libc:getenv", "/arg0 == \"COREKIT_NO*\"/", "arg0:str"},
                                    {"/usr/bin/env", "-i", "/bin/bash", "-c", "echo $COREKIT_NOBODY"});
  CHECK(result.status == 0);
  test::TemporaryDirectory folder;
  std::string program = live::compile(folder.path(), "asks", R"(
#include <stdlib.h>
int main(void) { char name[] = "COREKIT_NOBODY"; for (int i = 0; i < 5; i++) if (getenv(name)) return 1; return 0; }
)",
                                      {"-O1"});
  if (program.empty()) SKIP_CASE("no compiler here", "gcc");
  result = live::trace("trace", {"uprobe:libc:getenv", "/arg0 == \"COREKIT_NO*\"/", "arg0:str"}, {program});
  CHECK(values(result) == std::vector<Json>(5, {{"arg0", "COREKIT_NOBODY"}}));
}

TEST_CASE("a tracepoint's fields come by name, texts as texts", "[each-kernel]") {
  NEEDS("syscall_tracepoints");
  live::File file;
  live::Result result =
      live::trace("trace",
                  {"tracepoint:syscalls:sys_enter_openat", "/filename == \"" + file.folder() + "/*\"/", "filename:str",
                   "flags:flags", "args.dfd", "tracepoint:syscalls:sys_exit_getppid", "ret"},
                  live::trigger("opens", {"2", file.path()}));
  INFO(result.out << result.err);
  CHECK(values(result) == std::vector<Json>(2, {{"filename", file.path()}, {"flags", "O_RDONLY"}, {"args.dfd", -100}}));
  result = live::trace("trace", {"tracepoint:sched:sched_process_exec", "filename", "pid"}, live::trigger("steps"));
  REQUIRE(result.row_lines() == 1);
  CHECK(result.rows()[0]["values"]["filename"] == steps());  // its place is in the record: __data_loc
  CHECK(result.rows()[0]["values"]["pid"] == result.rows()[0]["pid"]);
  result = live::trace("trace", {"tracepoint:raw_syscalls:sys_enter", "/id == 110/", "args[0]", "args"},
                       live::trigger("calls", {"getppid", "3"}));
#ifdef __x86_64__
  CHECK(result.row_lines() == 3);
  CHECK(values(result)[0]["args"].size() == 6);
#endif
}

TEST_CASE("a raw tracepoint's arguments have members, by the kernel's types", "[each-kernel]") {
  NEEDS("root");
  live::Result result = live::trace("trace",
                                    {"rawtracepoint:sched_process_exec", "p->comm", "p->tgid", "bprm->filename",
                                     "((struct task_struct *)arg0)->pid", "arg1:d", "p->se.load"},
                                    live::trigger("steps"));
  INFO(result.out << result.err);
  REQUIRE(result.row_lines() == 1);
  Json row = result.rows()[0], all = row["values"];
  CHECK(all["p->comm"] == "steps");
  CHECK(all["p->tgid"] == row["pid"]);
  CHECK(all["bprm->filename"] == steps());
  CHECK(all["((struct task_struct *)arg0)->pid"] == row["pid"]);
  CHECK(all["p->se.load"].size() == 2);  // a structure: its weight, and that inverted
  CHECK(all["p->se.load"]["weight"].get<std::uint64_t>() > 0);
}

TEST_CASE("a USDT probe with a filter on its counter and a text") {
  NEEDS("root");
  live::Result result =
      live::trace("trace", {"usdt:" + test::trigger_path("marks") + ":test:values", "/arg0 == 2/", "arg0", "arg3:str"},
                  live::trigger("marks", {"5"}));
  CHECK(values(result) == std::vector<Json>{{{"arg0", 2}, {"arg3", "two \"quoted\""}}});
}

TEST_CASE("timers and counters hit as often as they say") {
  NEEDS("root");
  live::Result result = live::run("trace", {"interval:ms:50", "elapsed", "-n", "4"});
  auto all = values(result);
  REQUIRE(all.size() == 4);
  // One may be late on an emulated machine, and the next in time again.
  for (std::size_t i = 1; i < 4 && !live::brief(); i++)
    CHECK(all[i]["elapsed"].get<std::uint64_t>() - all[i - 1]["elapsed"].get<std::uint64_t>() > 40'000'000);
  CHECK(all[3]["elapsed"].get<std::uint64_t>() - all[0]["elapsed"].get<std::uint64_t>() > 110'000'000);
  CHECK(live::run("trace", {"profile:hz:99", "cpu", "-n", "3"}).row_lines() == 3);
  // An idle machine has no page faults: a command's start has some.
  CHECK(live::trace("trace", {"software:page-faults:1", "pid", "-n", "3"}, live::trigger("says")).row_lines() == 3);
}

TEST_CASE("an event that the machine lacks is named") {
  NEEDS("root");
  live::Result result = live::run("trace", {"hardware:cache-misses", "-n", "1", "-d", "1"});
  if (result.status == 0) SKIP_CASE("this machine has the event");
  CHECK(result.status == 69);
  CHECK(result.err.find("hardware:cache-misses") != std::string::npos);
  CHECK(result.err.find("this machine lacks that event") != std::string::npos);
}

TEST_CASE("begin and end are around a run") {
  NEEDS("root");
  live::Result result = hits({at_steps(), "end", "elapsed", "begin", "nsecs"}, 2);
  std::vector<std::string> probes;
  for (const Json& row : result.rows()) probes.push_back(row["probe"]);
  CHECK(probes == std::vector<std::string>{"begin", "uprobe:steps:steps", "uprobe:steps:steps", "end"});
}

TEST_CASE("100,000 calls are 100,000 rows of four exact values, or are counted lost") {
  NEEDS("root");
  auto made = live::heavy(100'000);
  live::Result result = hits({at_steps(), "arg0", "arg1", "arg2:str", "tid"}, made);
  auto rows = result.rows();
  CHECK(rows.size() + result.lost() == made);
  CHECK(rows.size() > made / 2);
  std::int64_t last = -1;
  for (const Json& row : rows) {
    const Json& all = row["values"];
    REQUIRE(all["arg0"].get<std::int64_t>() > last);
    last = all["arg0"];
    REQUIRE((all["arg1"] == 10 && all["arg2"] == "text" && all["tid"] == row["tid"]));
  }
}

TEST_CASE("of 100,000 calls those that find a small buffer full are counted lost, and no other") {
  NEEDS("root");
  auto made = live::heavy(100'000);
  live::Result result = hits({at_steps(), "arg0", "arg2:str"}, made, {"--buffer", "4K"});
  CHECK(result.row_lines() + result.lost() == made);
  CHECK(result.lost() > 0);
}

TEST_CASE("a program that throws through a probed function goes on as without us") {
  NEEDS("root");
  test::TemporaryDirectory folder;
  std::string program = folder.path() + "/throws";
  std::ofstream(program + ".cpp") << R"(#include <stdexcept>
extern "C" __attribute__((noipa)) int inner(int i) { if (i % 2) throw std::runtime_error("odd"); return i; }
extern "C" __attribute__((noipa)) int outer(int i) { return inner(i) + 1; }
extern "C" __attribute__((noipa)) int passes(int i) { return outer(i); }
int main() {
  int caught = 0;
  for (int i = 0; i < 100; i++) try { passes(i); } catch (const std::exception&) { caught++; }
  return caught == 50 ? 0 : 1;
})";
  if (test::run({"sh", "-c", "g++ -O2 -o " + program + " " + program + ".cpp"}).status != 0)
    SKIP_CASE("no compiler here", "gcc");
  live::Result result = live::trace(
      "trace", {"uprobe:" + program + ":outer", "arg0:d", "uretprobe:" + program + ":outer", "retval:d", "latency"},
      {program});
  INFO(result.out << result.err);
  CHECK(result.end()["command"]["exit"] == 0);
#ifdef __x86_64__
  // Half of the calls return; the others are left by an exception.
  CHECK(result.rows({{"probe", "uprobe:throws:outer"}}).size() == 100);
  auto returns = result.rows({{"probe", "uretprobe:throws:outer"}});
  REQUIRE(returns.size() == 50);
  for (std::size_t i = 0; i < 50; i++) {
    CHECK(returns[i]["values"]["retval"] == 2 * i + 1);
    CHECK(returns[i]["values"]["latency_ns"].get<std::uint64_t>() > 0);
  }
  // It ends in a jump to the other, whose result nobody knows there.
  std::string ends = "uretprobe:" + program + ":passes";
  live::refused("trace", {ends, "retval"}, "▶retval: the function ends in a jump to another");
  live::refused("trace", {ends, "latency"}, "▶latency: the function ends in a jump to another");
  result = live::trace("trace", {ends}, {program});
  CHECK(result.row_lines() == 100);
  CHECK(result.end()["command"]["exit"] == 0);
#endif
}

TEST_CASE("a Go program goes on as without us") {
  NEEDS("root");
  test::TemporaryDirectory folder;
  std::string program = folder.path() + "/moves";
  std::ofstream(program + ".go") << R"(package main
//go:noinline
func grow(n int) int { var room [512]byte; if n == 0 { return int(room[0]) }; return grow(n-1) + 1 }
func main() { if grow(2000) != 2000 { panic("no") } }
)";
  if (test::run({"sh", "-c", "cd " + folder.path() + " && GOCACHE=$PWD/c go build -o moves moves.go"}).status != 0)
    SKIP_CASE("Go is not installed", "Go");
  live::refused("trace", {"uretprobe:" + program + ":main.grow", "latency"}, "▶latency: Go moves its stacks");
  live::Result result = live::trace(
      "trace", {"uprobe:" + program + ":main.grow", "uretprobe:" + program + ":main.grow", "retval:d"}, {program});
  CHECK(result.end()["command"]["exit"] == 0);
#ifdef __x86_64__
  auto returns = result.rows({{"probe", "uretprobe:moves:main.grow"}});
  CHECK(returns.size() + result.lost() >= 2001);
  CHECK(result.row_lines() + result.lost() >= 4002);
  REQUIRE(!returns.empty());
  CHECK(returns.back()["values"]["retval"] == 2000);
#endif
}

TEST_CASE("what is wrong is marked, with the nearest right name, and nothing is attached") {
  live::refused("trace", {"uprob:" + steps() + ":steps"}, "▶uprob:");
  live::refused("trace", {"uprobe:" + steps() + ":step"}, "did you mean steps?");
  live::refused("trace", {"uprobe:" + steps() + "x:steps"}, "▶" + steps() + "x:steps");
  live::refused("trace", {at_steps(), "arg"}, "▶arg: nothing is called arg here; did you mean arg0?");
  live::refused("trace", {at_steps(), "arg0:strr"}, "arg0:▶strr: there is no format strr; did you mean str?");
  live::refused("trace", {at_steps(), "/arg0 = 1/"}, "/arg0 ▶= 1/");
  live::refused("trace", {at_steps(), "arg0->x"}, "arg0->▶x: the type of what is in front is not known; cast it");
  live::refused("trace", {at_steps("+100")}, "is below");
#ifdef __x86_64__
  live::refused("trace", {at_steps("+1")}, "that is inside an instruction, which begins 1 bytes before");
  live::refused("trace", {at_steps("+5")}, "that is inside an instruction, which begins 1 bytes before");
#endif
  live::refused("trace", {at_steps("+2"), "arg0"}, "▶arg0: within a function");
  live::refused("trace", {"uretprobe:" + steps() + ":steps", "arg0"}, "▶arg0: arguments are gone");
  live::refused("trace", {"interval:sec:1"}, "interval:▶sec:1");
  live::refused("trace", {"interval:s:0"}, "interval:s:▶0");
  live::refused("trace", {"software:page-fault:1"}, "did you mean page-faults?");
  live::refused("trace", {"watchpoint:0x1000:3:w"}, "1, 2, 4 or 8 bytes");
  live::refused("trace", {"watchpoint:0x12zz:8:w"}, "expected an address");
#ifdef __x86_64__
  live::refused("trace", {"watchpoint:0x1000:8:r", "-p", "1"}, "▶r: this machine watches no reads alone; rw");
#endif
  live::refused("trace", {"uretprobe:" + steps() + ":steps", "/retval < 0/"}, "/▶retval < 0/: it has no sign here");
  live::refused("trace", {"uretprobe:" + steps() + ":steps", "/-1 == retval/"}, "cast it: (long)retval");
  live::refused("trace", {at_steps(), "/(u32)arg0 >= 0/"}, "cast it: (int)");
  live::refused("trace", {at_steps(), "/pid == \"x\"/"}, "a number is compared with a number");
  live::refused("trace", {at_steps(), "(u32)arg0:str"}, "a number is no address");
  live::refused("trace", {at_steps(), "comm:x"}, "▶comm:x: a word has no other format");
  live::refused("trace", {}, "name a probe");
  if (test::lacks("root").empty()) {
    live::refused("trace", {"tracepoint:sched:sched_swich"}, "did you mean sched:sched_switch?");
    live::refused("trace", {"tracepoint:sched:sched_switch", "prev_com"},
                  "▶prev_com: nothing is called prev_com here; did you mean");
    live::refused("trace", {"tracepoint:sched:sched_switch", "/prev_pid == \"bash\"/"},
                  "a number is compared with a number");
    live::refused("trace", {"tracepoint:sched:sched_switch", "prev_pid:str"}, "▶prev_pid:str: a number is no address");
    live::refused("trace", {"kretprobe:kfree", "retval"}, "▶retval: the function returns nothing");
    live::refused("trace", {"fexit:kfree", "retval"}, "▶retval: the function returns nothing");
    live::refused("trace", {"rawtracepoint:sched_switch", "prev->com"},
                  "prev->▶com: struct task_struct has no member com; did you");
    live::refused("trace", {"rawtracepoint:sched_switch", "(struct task_strct *)arg1"},
                  "the kernel has no type struct task_strct");
  }
}

TEST_CASE("a program of 32 bits has its arguments on the stack, and its calls their latency") {
  NEEDS("root");
  NEEDS("compat32");
  test::TemporaryDirectory folder;
  std::string program = live::compile(folder.path(), "narrow", R"(
__attribute__((noipa)) int add(int first, int second, const char *text) { return first + second + (text[0] == 0); }
int main(void) {
  char text[] = "narrow text";  // on the stack, whose page is there
  int wrong = 0;
  for (int i = -2; i < 3; i++) wrong += add(i, 10, text) != i + 10;
  return wrong;
}
)",
                                      {"-m32", "-O1"});
  if (program.empty()) SKIP_CASE("no compiler for 32-bit programs here (gcc-multilib)", "gcc");
  live::Result result = live::trace("trace",
                                    {"uprobe:" + program + ":add", "arg0:d", "arg1", "arg2:str",
                                     "uretprobe:" + program + ":add", "/latency > 0/", "retval:d", "latency"},
                                    {program});
  INFO(result.out << result.err);
  auto rows = result.rows();
  REQUIRE(rows.size() == 10);
  for (std::size_t i = 0; i < 5; i++) {
    int first = static_cast<int>(i) - 2;
    CHECK(rows[2 * i]["values"] == Json({{"arg0", first}, {"arg1", 10}, {"arg2", "narrow text"}}));
    CHECK(rows[2 * i + 1]["values"]["retval"] == first + 10);
    CHECK(rows[2 * i + 1]["values"]["latency_ns"].get<std::uint64_t>() > 0);
  }
  CHECK(result.lost() == 0);
}

TEST_CASE("of a glob what cannot be probed is left out and named, and the rest is probed") {
  NEEDS("root");
  live::Result result =
      live::trace("count", {"uprobe:libc:clock_get*", "uprobe:libc:gett*"}, live::trigger("hot", {"1", "/dev/zero"}));
  INFO(result.err);
  CHECK(result.status == 0);
  CHECK(result.row({{"probe", "uprobe:libc.so.6:clock_gettime"}})["count"].get<int>() > 0);
  // Each choice is made by a function of the loader's: where there is none, nothing is left out.
  if (result.err.find("left out") == std::string::npos)
    SKIP_CASE("this libc has no such function that cannot be probed");
  CHECK(result.err.find("count: left out, 1 of what matches: ") == result.err.find("count: "));
  CHECK(result.err.rfind("count: ") == result.err.find("count: "));
}

TEST_CASE("a plan is tried before it is called full") {
  NEEDS("root");
  for (const Words& words : {Words{"hardware:cycles"}, Words{"fentry:vfs_read"}, Words{"rawtracepoint:sched_switch"}}) {
    live::Result plan = live::run("trace", Words{"--explain"} + words);
    live::Result run = live::run("trace", words + Words{"-d", "1ms"});
    INFO(words[0] << ": " << plan.out << run.err);
    CHECK(plan.status == run.status);
    CHECK((plan.out.find("\"full\"") != std::string::npos) == (run.status == 0));
  }
}

TEST_CASE("a watched variable is that of every thread, also of those made later") {
  NEEDS("root");
  test::TemporaryDirectory folder;
  std::string program = live::compile(folder.path(), "writes", R"(
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
volatile long watched;
static int pair[2];
static void *before(void *none) { char byte; if (read(pair[0], &byte, 1) == 1) for (int i = 0; i < 5; i++) watched = i; return none; }
static void *after(void *none) { for (int i = 0; i < 7; i++) watched = i; return none; }
int main(void) {
  pthread_t one, two; char byte;
  if (pipe(pair)) return 1;
  pthread_create(&one, 0, before, 0);
  printf("%p\n", (void *)&watched); fflush(stdout);
  if (read(0, &byte, 1) != 1 || write(pair[1], &byte, 1) != 1) return 1;
  pthread_join(one, 0);
  pthread_create(&two, 0, after, 0);
  pthread_join(two, 0);
  for (int i = 0; i < 3; i++) watched = i;
  return 0;
}
)",
                                      {"-O1", "-pthread"});
  if (program.empty()) SKIP_CASE("no compiler here", "gcc");
  live::Process running({program});
  std::string address = running.says();
  live::Result plan = live::run("trace", {"--explain", "-p", running.number(), "watchpoint:" + address + ":8:w"});
  if (plan.status == 69) SKIP_CASE("this machine watches no addresses");
  // Another probe beside it: each hit is to know whose it is.
  live::Tool tool("count", {"-p", running.number(), "software:dummy", "watchpoint:" + address + ":8:w"});
  running.go();
  live::Result result = tool.finish();
  INFO(result.out << result.err);
  REQUIRE(result.row_lines() == 1);
  CHECK(result.rows()[0]["probe"] == "watchpoint:" + address + ":8:w");
  CHECK(result.rows()[0]["count"] == 15);
}

TEST_CASE("a replay of a run that was ended by its rows shows as many") {
  NEEDS("root");
  live::File capture;
  live::Result result = hits({at_steps(), "arg0:d"}, 100, {"-n", "3", "--record", capture.path()});
  INFO(result.out << result.err);
  CHECK(result.row_lines() == 3);
  live::Result again = live::run("trace", {"--replay", capture.path()});
  CHECK(again.rows() == result.rows());
  CHECK(again.end()["rows"] == 3);
  CHECK(live::run("trace", {"--replay", capture.path(), "-n", "2"}).row_lines() == 2);
  CHECK(live::run("trace", {"--replay", capture.path(), "-n", "9"}).row_lines() == 3);
}

TEST_CASE("a string is called cut only if it is") {
  NEEDS("root");
  test::TemporaryDirectory folder;
  std::string program = live::compile(folder.path(), "looks", R"(
__attribute__((noipa)) int look(const char *text) { return text[0]; }
int main(void) {
  char all[][20] = {"fourteen bytes", "fifteen bytes..", "sixteen bytes..."};
  return look(all[0]) + look(all[1]) + look(all[2]) == 0;
}
)",
                                      {"-O1"});
  if (program.empty()) SKIP_CASE("no compiler here", "gcc");
  live::Result result = live::trace("trace", {"--string", "16", "uprobe:" + program + ":look", "arg0:str"}, {program});
  CHECK(values(result) ==
        std::vector<Json>{{{"arg0", "fourteen bytes"}}, {{"arg0", "fifteen bytes.…"}}, {{"arg0", "sixteen bytes.…"}}});
}
