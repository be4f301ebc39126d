// SPDX-License-Identifier: BSD-2-Clause
// count: known numbers of hits, by place and by values.
#include "harness.hpp"

using live::Json;
using live::Words;
using live::operator+;

namespace {

std::string steps() { return test::trigger_path("steps"); }

live::Result counts(const Words& probes, const Words& command, const Words& options = {}) {
  return live::trace("count", options + probes, command);
}

}  // namespace

TEST_CASE("calls are counted by place and by value, exactly", "[each-kernel]") {
  NEEDS("root");
  live::Result result =
      counts({"uprobe:" + steps() + ":steps", "uretprobe:" + steps() + ":deeper"}, live::trigger("steps", {"1000"}));
  INFO(result.out << result.err);
  CHECK(result.status == 0);
  REQUIRE(result.row_lines() == 2);
  CHECK(result.rows()[0]["probe"] == "uprobe:steps:steps");
  CHECK(result.rows()[0]["count"] == 1000);
  CHECK(result.rows()[1]["count"] == 4);
  CHECK(result.lost() == 0);
  result = counts({"uprobe:" + steps() + ":steps", "/arg0 < 10/", "(u32)arg0", "arg2:str", "pid"},
                  live::trigger("steps", {"1000"}));
  CHECK(result.row_lines() == 10);
  for (int i = 0; i < 10; i++) {
    auto rows = result.rows();
    CHECK(std::count_if(rows.begin(), rows.end(), [&](const Json& row) {
            return row["values"]["(u32)arg0"] == i && row["values"]["arg2"] == "text" && row["count"] == 1;
          }) == 1);
  }
}

TEST_CASE("functions are counted however they begin, and none is broken", "[each-kernel]") {
  NEEDS("root");
#ifdef __x86_64__
  bool avx = __builtin_cpu_supports("avx2");
  auto begins = [](const std::string& kind, const std::string& name) {
    return kind + ":" + test::trigger_path("begins") + ":begins_" + name;
  };
  auto count = [](const live::Result& result, const std::string& kind, const std::string& name) {
    auto rows = result.rows({{"probe", kind + ":begins:begins_" + name}});
    return rows.empty() ? 0 : rows[0]["count"].get<int>();
  };
  live::Result result = counts({begins("uprobe", "*")}, live::trigger("begins", {"100"}));
  INFO(result.out << result.err);
  CHECK(result.end()["command"]["exit"] == 0);
  for (const char* name : {"guarded", "tested", "looped", "looping", "jumping", "ended", "outer"})
    CHECK(count(result, "uprobe", name) == 100);
  CHECK(count(result, "uprobe", "inner") == 200);
  CHECK(count(result, "uprobe", "spread") == (avx ? 100 : 0));
  CHECK(count(result, "uprobe", "lost") == 0);
  CHECK(result.err.find("begins:begins_lost: it begins with an instruction of AVX") != std::string::npos);
  live::refused("count", {begins("uprobe", "lost")}, "▶begins_lost: it begins with an instruction of AVX");
  // No process has that file mapped, and the kernel has not looked at it yet.
  constexpr const char* refused = "begins:begins_refused: it begins with an instruction that the kernel cannot probe";
  CHECK(result.err.find(refused) != std::string::npos);
  result = live::run("count", {begins("uprobe", "refused"), "-d", "1"});
  CHECK(result.status == 69);
  CHECK(result.err.find(refused) != std::string::npos);

  // Nor do their numbers and times change.
  result = counts({begins("uprobe", "guarded"), "/arg1 < 30/", begins("uprobe", "spread"), "/arg0 < 50/",
                   begins("uretprobe", "tested"), "/retval == 7 && latency > 0/"},
                  live::trigger("begins", {"100"}));
  CHECK(count(result, "uprobe", "guarded") == 30);
  CHECK(count(result, "uprobe", "spread") == (avx ? 50 : 0));
  CHECK(count(result, "uretprobe", "tested") == 1);
  CHECK(result.end()["command"]["exit"] == 0);
#endif
}

TEST_CASE("--top keeps the most frequent") {
  NEEDS("root");
  live::Result result = counts({"uprobe:" + test::trigger_path("texts") + ":look_up", "arg1:str"},
                               live::trigger("texts", {"50"}), {"--top", "1"});
  REQUIRE(result.row_lines() == 1);
  CHECK(result.rows()[0]["values"]["arg1"] == "a known text");
  CHECK(result.rows()[0]["count"] == 50);
}

TEST_CASE("a glob is many places, each counted by itself") {
  NEEDS("root");
  live::Result result = counts({"uprobe:" + test::trigger_path("steps") + ":*ee?er"}, live::trigger("steps", {"1"}));
  CHECK(result.row({{"probe", "uprobe:steps:deeper"}})["count"] == 4);
}

TEST_CASE("system calls are counted each interval, by the call's number") {
  NEEDS("syscall_tracepoints");
  live::Result result = counts({"tracepoint:raw_syscalls:sys_enter", "/id == 110/", "id"},
                               live::trigger("calls", {"getppid", "1234"}), {"-i", "20ms"});
#ifdef __x86_64__
  std::uint64_t sum = 0;
  for (const Json& row : result.rows()) sum += row["count"].get<std::uint64_t>();
  CHECK(sum == 1234);
#endif
  live::Process calls(live::trigger("calls", {"getppid", "0"}));
  live::Result each =
      live::run("count", {"tracepoint:raw_syscalls:sys_enter", "-p", calls.number(), "-i", "100ms", "-n", "3"});
  CHECK(each.row_lines() == 3);
}

TEST_CASE("99 times a second tells which threads run") {
  NEEDS("root");
  live::Result result = live::run("count", {"profile:hz:99", "cpu", "-d", "1"});
  std::uint64_t sum = 0;
  for (const Json& row : result.rows()) sum += row["count"].get<std::uint64_t>();
  long cpus = sysconf(_SC_NPROCESSORS_ONLN);
  CHECK(sum >= 60);  // of one CPU: another that is idle need not be woken for it
  CHECK(sum <= 130u * static_cast<unsigned>(cpus));
}

TEST_CASE("every 100th page fault is counted, by process") {
  NEEDS("root");
  // Of its 10,000 pages, and of what its start touches, about every hundredth.
  test::TemporaryDirectory folder;
  std::string program = live::compile(folder.path(), "touches", R"(
#include <sys/mman.h>
int main(void) {
  char *all = mmap(0, 10000 * 4096L, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  madvise(all, 10000 * 4096L, MADV_NOHUGEPAGE);
  for (long i = 0; i < 10000; i++) all[i * 4096] = 1;
  return 0;
}
)",
                                      {"-O1"});
  if (!program.empty()) {
    auto faults =
        counts({"software:page-faults:1", "/comm == \"touches\"/"}, {program}).rows().at(0)["count"].get<int>();
    auto rows = counts({"software:page-faults:100", "/comm == \"touches\"/"}, {program}).rows();
    CHECK(faults >= 10'000);
    REQUIRE(rows.size() == 1);
    // Each CPU counts everybody's faults up to a hundred, and says whose was the last.
    CHECK(rows[0]["count"].get<int>() <= faults / 50);
    CHECK(rows[0]["count"].get<int>() >= 10'000 / 200);
    auto named = counts({"software:page-faults:1", "comm"}, {"sh", "-c", program + "; :"});
    CHECK(named.row({{"values", {{"comm", "touches"}}}})["count"].get<int>() >= 10'000);
    CHECK(named.row({{"values", {{"comm", "sh"}}}})["count"].get<int>() < 10'000);
  }
  live::Result each =
      counts({"software:page-faults:1"}, {"/bin/bash", "-c", "printf -v text %3000000d 1"});  // 700 pages at least
  REQUIRE(each.row_lines() == 1);
  CHECK(each.rows()[0]["count"].get<int>() > 700);
}

TEST_CASE("what cannot be a key is refused in one line") {
  auto refused = [](const Words& words, const std::string& says) {
    live::Result result = live::run("count", words);
    INFO(result.err);
    CHECK(result.status == 64);
    CHECK(live::count_lines(result.err) == 1);
    CHECK(result.err.find(says) != std::string::npos);
  };
  std::string probe = "uprobe:" + steps() + ":steps";
  refused({probe, "arg0", "arg1", "arg2", "pid", "tid", "uid"}, "▶uid: 5 values are the limit");
  refused({probe, "arg0:str", "arg1:str", "arg2:str"}, "2 strings");
  refused({probe, "arg0:buf(100)"}, "63 bytes");
  refused({probe, "comm:x"}, "▶comm:x: a word has no other format");
  refused({probe, "arg0:strr"}, "did you mean");
}

TEST_CASE("two functions of one name are both probed, and one of two names once") {
  NEEDS("root");
  test::TemporaryDirectory folder;
  std::string program = folder.path() + "/alike";
  std::ofstream(program + "1.cpp") << R"(static __attribute__((noipa)) int work(int i) { return i + 1; }
struct Thing { Thing(int); int value; };
Thing::Thing(int i) : value(i) {}
int other(void);
int main() {
  int sum = 0;
  for (int i = 0; i < 10; i++) sum += work(i) + Thing(i).value;
  return other() + sum == 0;
})";
  std::ofstream(program + "2.cpp") << R"(static __attribute__((noipa)) int work(int i) { return i + 2; }
int other(void) { return work(1) + work(2) + work(3); })";
  if (test::run({"sh", "-c", "g++ -O0 -o " + program + " " + program + "1.cpp " + program + "2.cpp"}).status != 0)
    SKIP_CASE("no compiler here", "gcc");
  live::Result result = counts({"uprobe:" + program + ":work"}, {program});
  INFO(result.out << result.err);
  REQUIRE(result.row_lines() == 1);
  CHECK(result.rows()[0]["count"] == 13);
  CHECK(counts({"uprobe:" + program + ":Thing::*"}, {program}).row({{"probe", "uprobe:alike:Thing::Thing"}})["count"] ==
        10);
}

TEST_CASE("a function of two processes is one row") {
  NEEDS("root");
  live::Process first(live::trigger("steps", {"20", "wait"})), second(live::trigger("steps", {"30", "wait"}));
  first.says();
  second.says();
  live::Tool tool("count", {"uprobe:" + steps() + ":*ee?er", "uprobe:" + steps() + ":steps*", "-p",
                            first.number() + "," + second.number()});
  first.go();
  second.go();
  live::Result result = tool.finish();
  INFO(result.out << result.err);
  CHECK(result.row({{"probe", "uprobe:steps:steps"}})["count"] == 50);
  CHECK(result.row({{"probe", "uprobe:steps:deeper"}})["count"] == 8);
}

TEST_CASE("filters of processes and names count whom they name, and nobody else") {
  NEEDS("root");
  std::string probe = "uprobe:" + steps() + ":steps";
  live::Process first(live::trigger("steps", {"1000", "wait"})), second(live::trigger("steps", {"1000", "wait"}));
  first.says();
  second.says();
  live::Tool tool("count", {probe, "-p", first.number()}), nobody("count", {probe, "--comm", "other"});
  second.go();
  second.wait();
  first.go();
  live::Result result = tool.finish(), none = nobody.stop();
  CHECK(result.row({{"probe", "uprobe:steps:steps"}})["count"] == 1000);
  CHECK(none.status == 0);
  CHECK(none.row_lines() == 0);
}

TEST_CASE("a process of another PID namespace has no number") {
  NEEDS("root");
  live::Process busy(live::trigger("calls", {"getppid", "0"}));
  live::Result result =
      live::run("count", {"profile:hz:99", "pid", "tid", "-d", "500ms"}, {.inside = live::enter_pid_namespace});
  INFO(result.out << result.err);
  CHECK(result.status == 0);
  CHECK(result.out.find("4294967295") == std::string::npos);
  CHECK_FALSE(result.rows({{"values", Json{{"pid", nullptr}, {"tid", nullptr}}}}).empty());
}

TEST_CASE("what has no room among the keys is counted lost", "[any-kernel]") {
  NEEDS("root");
  live::Result result = counts({"uprobe:" + steps() + ":steps", "arg0"}, live::trigger("steps", {"100000"}));
  std::uint64_t shown = 0;
  for (const Json& row : result.rows()) shown += row["count"].get<std::uint64_t>();
  CHECK(shown == 65536);
  CHECK(shown + result.lost() == 100'000);
  CHECK(result.end()["lost"]["map_full.counts"] == 100'000 - 65536);
}

TEST_CASE("a count is recorded and replayed") {
  NEEDS("root");
  test::TemporaryDirectory folder;
  std::string capture = folder.path() + "/capture";
  live::Result run = counts({"uprobe:" + steps() + ":steps", "/arg0 < 3/", "arg0", "arg2:str"},
                            live::trigger("steps", {"9"}), {"--record", capture});
  live::Result again = live::run("count", {"--replay", capture});
  CHECK(run.row_lines() == 3);
  CHECK(again.status == 0);
  CHECK(again.rows() == run.rows());
}

TEST_CASE("many places of one process are attached at once where the kernel can, and of its threads alone") {
  NEEDS("root");
  test::TemporaryDirectory folder;
  std::string program = live::compile(folder.path(), "threaded", R"(
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
__attribute__((noipa)) int call_one(int i) { return i + 1; }
__attribute__((noipa)) int call_two(int i) { return i + 2; }
static void *thread(void *none) {
  for (int i = 0; i < 10; i++) call_one(i), call_two(i);
  return none;
}
int main(void) {
  char byte;
  pthread_t other;
  puts("ready");
  fflush(stdout);
  if (read(0, &byte, 1) != 1) return 1;
  pthread_create(&other, NULL, thread, NULL);
  pthread_join(other, NULL);
  call_one(0);
  return 0;
}
)",
                                      {"-O1", "-pthread"});
  if (program.empty()) SKIP_CASE("no compiler here", "gcc");
  live::Process first({program}), second({program});
  first.says();
  second.says();
  live::Tool tool("count", {"uprobe:" + program + ":call_*", "uretprobe:" + program + ":call_*", "-p", first.number()});
  second.go();
  second.wait();
  first.go();
  live::Result result = tool.finish();
  INFO(result.out << result.err);
  for (const char* kind : {"uprobe", "uretprobe"}) {
    CHECK(result.row({{"probe", std::string(kind) + ":threaded:call_one"}})["count"] == 11);
    CHECK(result.row({{"probe", std::string(kind) + ":threaded:call_two"}})["count"] == 10);
  }
  CHECK(result.row_lines() == 4);
  CHECK(result.lost() == 0);
}

TEST_CASE("all USDT probes of a program are counted, and those that ask whether anybody listens hear it") {
  NEEDS("root");
  std::string marks = test::trigger_path("marks");
  live::Result result = live::trace("count", {"usdt:" + marks + ":test:*"}, live::trigger("marks", {"5"}));
  INFO(result.out << result.err);
  for (const char* name : {"values", "plain", "guarded"})
    CHECK(result.row({{"probe", std::string("usdt:marks:test:") + name}})["count"] == 5);
  live::Process running(live::trigger("marks", {"5", "wait"}));
  running.says();
  live::Tool tool("count", {"usdt:" + marks + ":test:*", "-p", running.number()});
  running.go();
  result = tool.finish();
  INFO(result.out << result.err);
  for (const char* name : {"values", "plain", "guarded"})
    CHECK(result.row({{"probe", std::string("usdt:marks:test:") + name}})["count"] == 5);
}

TEST_CASE("hits that the kernel held back are counted") {
  NEEDS("root");
  test::TemporaryDirectory folder;
  std::string program = live::compile(folder.path(), "faults", R"(
#include <sys/mman.h>
int main(void) {
  for (int round = 0; round < 100; round++) {
    char *pages = mmap(0, 4096 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) return 1;
    madvise(pages, 4096 * 4096, MADV_NOHUGEPAGE);
    for (int i = 0; i < 4096; i++) *(volatile char *)(pages + 4096 * i);
    munmap(pages, 4096 * 4096);
  }
  return 0;
}
)",
                                      {"-O1"});
  if (program.empty()) SKIP_CASE("no compiler here", "gcc");
  constexpr std::uint64_t made = 100 * 4096;
  live::Result result = live::trace("count", {"software:page-faults:1", "/comm == \"faults\"/"}, {program});
  INFO(result.out << result.err);
  std::uint64_t shown = result.row_lines() ? result.rows()[0]["count"].get<std::uint64_t>() : 0;
  std::uint64_t held = result.end()["lost"]["throttled"];
  CHECK(shown + held >= made);
  // One in a thousand is few enough for any kernel.
  result = live::trace("count", {"software:page-faults:1000", "/comm == \"faults\"/"}, {program});
  INFO(result.out << result.err);
  CHECK(result.end()["lost"]["throttled"] == 0);
  CHECK(result.rows().at(0)["count"].get<std::uint64_t>() + 2 >= made / 1000);
}
