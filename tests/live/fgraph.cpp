// SPDX-License-Identifier: BSD-2-Clause
// fgraph: known calls of known functions, nested as they were made, whichever way they ended.
#include <map>

#include "harness.hpp"

using live::Json;
using live::Words;
using live::operator+;

namespace {

live::Result graph(const Words& options, const std::string& trigger, const Words& arguments = {}) {
  return live::trace("fgraph", options, live::trigger(trigger, arguments));
}

// As text shows them.
std::vector<std::string> calls(const std::vector<Json>& rows) {
  std::vector<std::string> all;
  for (const Json& row : rows) all.push_back(row["call"]);
  return all;
}

// Each thread's calls beneath each other, as the rows tell of them: a call that is none's, or one that ends and has not
// begun, is an error.
void check_nesting(const std::vector<Json>& rows) {
  std::map<int, std::vector<std::string>> open;
  for (const Json& row : rows) {
    auto& own = open[row["tid"]];
    INFO(row.dump());
    if (row["event"] == "leave") {
      REQUIRE(!own.empty());
      CHECK(own.back() == row["function"]);
      own.pop_back();
    }
    CHECK(own.size() == row["depth"]);
    if (row["event"] == "enter") own.push_back(row["function"]);
    bool timed = row["end"].is_null() || row["end"] == "exit" || row["end"] == "exec";
    CHECK(row["duration_ns"].is_null() == (row["event"] == "enter" || !timed));
  }
  for (const auto& [tid, own] : open) CHECK(own.empty());
}

// What lies around the last call of a function, outermost first and itself last, where a certain one is the outermost.
std::vector<std::string> chain_to(const std::vector<Json>& rows, const std::string& outermost,
                                  const std::string& function) {
  std::vector<std::string> around, chain;
  for (const Json& row : rows) {
    around.resize(row["depth"].get<std::size_t>());
    around.push_back(row["function"]);
    if (row["function"] == function && around.front() == outermost) chain = around;
  }
  return chain;
}

// A function of the kernel beneath a program's and a system call: what is between, `least` with all, is in its stack.
void check_beneath(const std::vector<Json>& rows, const std::vector<std::string>& beneath, const std::string& function,
                   std::size_t least) {
  auto chain = chain_to(rows, beneath.front(), function);
  INFO(Json(chain).dump());
  REQUIRE(chain.size() >= least);
  CHECK(std::equal(beneath.begin(), beneath.end(), chain.begin()));
  live::Result stacks = live::trace("stackcount", {"kprobe:" + function, "-K"}, live::trigger("nested"));
  INFO(stacks.out << stacks.err);
  std::size_t most = 0;
  for (const Json& row : stacks.rows()) {
    std::size_t seen = 0;
    for (const Json& frame : row["stack"])
      seen += seen < chain.size() && frame["name"] == chain[chain.size() - 1 - seen];
    most = std::max(most, seen);
  }
  CHECK(most == chain.size() - beneath.size());
}

}  // namespace

TEST_CASE("a program's calls are nested as it makes them", "[each-kernel]") {
  NEEDS("root");
  live::Result result = graph({"--func", "main,levels,write_line,fopen,fprintf,fclose"}, "nested");
  INFO(result.out << result.err);
  CHECK(result.status == 0);
  CHECK(result.lost() == 0);
  std::vector<std::string> expected = {"main() {", "  fopen();"};
  auto write = [&](const std::string& indent) {
    expected.insert(expected.end(),
                    {indent + "write_line() {", indent + "  fprintf();", indent + "} /* write_line */"});
  };
  for (int level = 0; level < 10; level++) {
    std::string indent(2 + 2 * level, ' ');
    expected.push_back(indent + "levels() {");
    write(indent + "  ");
  }
  for (int level = 9; level >= 0; level--) {
    std::string indent(2 + 2 * level, ' ');
    write(indent + "  ");
    expected.push_back(indent + "} /* levels */");
  }
  expected.insert(expected.end(), {"  fclose();", "} /* main */"});
  CHECK(calls(result.rows()) == expected);
  check_nesting(result.rows());
}

TEST_CASE("no call lies beneath one that longjmp has left", "[each-kernel]") {
  NEEDS("root");
  live::Result result = graph({"--func", "leap,deeper,after"}, "leaps", {"longjmp"});
  INFO(result.out << result.err);
  CHECK(result.status == 0);
  std::vector<std::string> one = {"leap() {",
                                  "  deeper() {",
                                  "    deeper() {",
                                  "      deeper(); /* cut */",
                                  "    } /* deeper */ /* cut */",
                                  "  } /* deeper */ /* cut */",
                                  "  after();",
                                  "} /* leap */"};
  CHECK(calls(result.rows()) == one + one);
  check_nesting(result.rows());
}

TEST_CASE("no call lies beneath one that an exception has left") {
  NEEDS("root");
  test::TemporaryDirectory folder;
  std::string program = folder.path() + "/throws";
  std::ofstream(program + ".cpp") << R"(#include <stdexcept>
__attribute__((noipa)) void after() { asm volatile(""); }
__attribute__((noipa)) int deeper(int levels) {
  if (levels == 0) throw std::runtime_error("thrown");
  int beneath = levels > 100 ? 0 : deeper(levels - 1);
  asm volatile("" : "+r"(beneath));
  return beneath + 1;
}
__attribute__((noipa)) int catches() {
  try { return deeper(2); } catch (const std::exception&) { after(); return 1; }
}
int main() { return catches() + catches() - 2; })";
  if (test::run({"sh", "-c", "g++ -O1 -o " + program + " " + program + ".cpp"}).status != 0)
    SKIP_CASE("no compiler here", "gcc");
  live::Result result = live::trace("fgraph", {"--func", "main,catches,deeper,after"}, {program});
  INFO(result.out << result.err);
  CHECK(result.status == 0);
  CHECK(result.end()["command"]["exit"] == 0);
  std::vector<std::string> one = {"  catches() {",
                                  "    deeper() {",
                                  "      deeper() {",
                                  "        deeper(); /* cut */",
                                  "      } /* deeper */ /* cut */",
                                  "    } /* deeper */ /* cut */",
                                  "    after();",
                                  "  } /* catches */"};
  auto shown = calls(result.rows());
  REQUIRE(shown.size() == 2 * one.size() + 2);
  CHECK(std::vector(shown.begin() + 1, shown.end() - 1) == one + one);
  check_nesting(result.rows());
}

TEST_CASE("a function that ends in a jump to another holds that one's call") {
  NEEDS("root");
  live::Result result = graph({"--func", "first,second"}, "leaps", {"tail"});
  INFO(result.out << result.err);
  CHECK(calls(result.rows()) == std::vector<std::string>{"first() {", "  second();", "} /* first */"});
  check_nesting(result.rows());
}

TEST_CASE("each thread's calls are its own") {
  NEEDS("root");
  live::Result result = graph({"--func", "thread,work,after"}, "leaps", {"threads", "4", "100"});
  CHECK(result.status == 0);
  CHECK(result.lost() == 0);
  check_nesting(result.rows());
  std::map<int, int> works;
  for (const Json& row : result.rows({{"function", "work"}, {"event", "leave"}})) works[row["tid"]]++;
  CHECK(works.size() == 4);
  for (const auto& [tid, count] : works) CHECK(count == 100);
  CHECK(result.rows({{"function", "after"}, {"event", "call"}, {"depth", 2}}).size() == 1200);
  CHECK(result.rows({{"function", "thread"}, {"event", "leave"}}).size() == 4);
}

TEST_CASE("children are followed, and a program that another one follows") {
  NEEDS("root");
  live::Result family = graph({"--func", "work,after"}, "leaps", {"fork"});
  INFO(family.out << family.err);
  std::set<int> processes;
  for (const Json& row : family.rows({{"function", "work"}, {"event", "leave"}}))
    processes.insert(row["pid"].get<int>());
  CHECK(processes.size() == 2);
  check_nesting(family.rows());

  live::Result exec = graph({"--func", "become,first,second"}, "leaps", {"exec"});
  INFO(exec.out << exec.err);
  CHECK(calls(exec.rows()) ==
        std::vector<std::string>{"become(); /* exec */", "first() {", "  second();", "} /* first */"});
  check_nesting(exec.rows());
}

TEST_CASE("a call that does not end is marked, and so is one that ends with its thread") {
  NEEDS("root");
  live::Process process(live::trigger("leaps", {"never"}));
  process.says();
  Words functions = {"--func", "forever,after", "-p", process.number()};
  live::Tool tool("fgraph", functions);
  process.go();
  REQUIRE(process.out().wait([](std::string_view text) { return text.find('y') != text.npos; }));
  live::Result running = tool.stop();
  INFO(running.out << running.err);
  CHECK(calls(running.rows()) ==
        std::vector<std::string>{"forever() {", "  after();", "} /* forever */ /* running */"});

  live::Tool late("fgraph", functions);
  CHECK(late.stop().row_lines() == 0);  // it began before

  live::Result ended = graph({"--func", "main,exit", "--lib", "libc"}, "nested");
  INFO(ended.out << ended.err);
  CHECK(ended.rows({{"function", "exit"}, {"end", "exit"}}).size() == 1);
  check_nesting(ended.rows());
}

TEST_CASE("depth and length choose what is shown") {
  NEEDS("root");
  Words functions = {"--func", "main,levels,write_line"};
  live::Result shallow = graph(functions + Words{"--depth", "3"}, "nested");
  INFO(shallow.out);
  CHECK(shallow.rows({{"event", "leave"}}).size() == 2);  // main and the first level
  CHECK(shallow.rows({{"event", "call"}}).size() == 3);   // its two lines and the second level
  check_nesting(shallow.rows());
  CHECK(graph(functions + Words{"--min", "1h"}, "nested").row_lines() == 0);
  live::Result all = graph(functions + Words{"--min", "1ns"}, "nested");
  CHECK(all.rows({{"event", "call"}}).size() == 20);
  check_nesting(all.rows());
}

TEST_CASE("system calls lie in the functions that make them", "[each-kernel]") {
  NEEDS("root");
  live::Result result = graph({"--func", "main,levels,fopen,fclose", "-K", "1", "--kernel", "vfs_open"}, "nested");
  INFO(result.out << result.err);
  CHECK(result.status == 0);
  check_nesting(result.rows());
  std::set<std::string> within;
  std::vector<std::string> around;
  for (const Json& row : result.rows()) {
    around.resize(row["depth"].get<std::size_t>());
    std::string all;
    for (const std::string& one : around) all += one + ";";
    within.insert(all + row["function"].get<std::string>());
    around.push_back(row["function"]);
  }
  CHECK(within.contains("main;fopen;openat"));
  CHECK(within.contains("main;fclose;write"));
  CHECK(within.contains("main;fclose;close"));
  for (const std::string& one : within) CHECK(one.find("uretprobe") == one.npos);
  CHECK(result.rows({{"function", "exit_group"}, {"end", "exit"}}).size() == 1);
}

TEST_CASE("the kernel's functions lie beneath system calls as a stack has them", "[kprobe]") {
  NEEDS("root");
  live::Result result = graph({"--func", "fopen,fclose", "-K", "8", "--kernel",
                               "do_sys_open*,do_fil[ep]_open,path_openat,alloc_fd,getname*,ksys_writ[e],vfs_writ[e],"
                               "filp_clos[e],filp_flus[h]"},
                              "nested");
  INFO(result.err);
  CHECK(result.status == 0);
  NEEDS("kprobe");
  check_nesting(result.rows());
  check_beneath(result.rows(), {"fopen", "openat"}, "path_openat", 4);
  check_beneath(result.rows(), {"fclose", "write"}, "vfs_write", 4);
  bool flushes = !chain_to(result.rows(), "fclose", "filp_flush").empty();  // of its own from 6.8 on (71c5ba2a3b1a)
  check_beneath(result.rows(), {"fclose", "close"}, flushes ? "filp_flush" : "filp_close", 3);
}

TEST_CASE("a system call beneath more calls than are followed is counted") {
  NEEDS("root");
  test::TemporaryDirectory folder;
  std::string program = live::compile(folder.path(), "down",
                                      "#include <stdlib.h>\n#include <sys/syscall.h>\n#include <unistd.h>\n"
                                      "__attribute__((noipa)) long down(long n) {\n"
                                      "  long beneath = n ? down(n - 1) : syscall(SYS_getppid);\n"
                                      "  __asm__ volatile(\"\" : \"+r\"(beneath));\n  return beneath + 1;\n}\n"
                                      "int main(int argc, char **argv) { return argc < 2 || !down(atol(argv[1])); }\n",
                                      {"-O1"});
  if (program.empty()) SKIP_CASE("no compiler here", "gcc");
  for (int depth : {20, 200}) {
    live::Result result = live::trace("fgraph", {"--func", "down", "-K", "1"}, {program, std::to_string(depth)});
    INFO(result.err);
    CHECK(result.rows({{"function", "getppid"}}).size() == (depth == 20 ? 1 : 0));
    CHECK(result.end()["lost"]["too_deep"] == (depth == 200 ? 1 : 0));
    check_nesting(result.rows());
  }
}

TEST_CASE("chosen functions of the kernel are shown without a program", "[kprobe]") {
  NEEDS("root");
  NEEDS("kprobe");
  live::Result result = live::trace("fgraph", {"--kernel", "vfs_writ[e],ksys_write"}, {"sh", "-c", "echo x; echo y"});
  INFO(result.out << result.err);
  CHECK(result.status == 0);
  CHECK(result.rows({{"function", "ksys_write"}, {"event", "leave"}, {"comm", "sh"}}).size() == 2);
  CHECK(result.rows({{"function", "vfs_write"}, {"event", "call"}, {"depth", 1}}).size() == 2);
  check_nesting(result.rows());
}

TEST_CASE("sums tell how often each function was called, by name and by way") {
  NEEDS("root");
  Words functions = {"--func", "main,levels,write_line,fprintf"};
  live::Result report = graph(functions + Words{"--report", "--sort", "name"}, "nested");
  INFO(report.out << report.err);
  const std::vector<std::pair<std::string, int>> made = {
      {"fprintf", 20}, {"levels", 10}, {"main", 1}, {"write_line", 20}};
  auto rows = report.rows();
  REQUIRE(rows.size() == made.size());
  for (std::size_t i = 0; i < made.size(); i++) {
    INFO(rows[i].dump());
    CHECK(rows[i]["function"] == made[i].first);
    CHECK(rows[i]["calls"] == made[i].second);
    CHECK(rows[i]["cut"] == 0);
    CHECK(rows[i]["total_ns"] >= rows[i]["self_ns"]);
    CHECK(rows[i]["max_ns"] >= rows[i]["average_ns"]);
  }
  // A recursion's time counts once; without what they call, all of them together took as long as main.
  auto sum = [&](const char* key) {
    std::uint64_t all = 0;
    for (const Json& row : rows) all += row[key].get<std::uint64_t>();
    return all;
  };
  CHECK(rows[2]["total_ns"] == sum("self_ns"));
  CHECK(rows[1]["total_ns"] <= rows[2]["total_ns"]);
  CHECK(graph(functions + Words{"--report", "--sort", "calls", "--top", "2"}, "nested").row_lines() == 2);

  live::Result tree = graph(functions + Words{"--graph"}, "nested");
  INFO(tree.out);
  REQUIRE(tree.row_lines() == 31);  // main, and at each of ten levels the level, its lines, and what they call
  CHECK(tree.row({{"function", "fprintf"}, {"depth", 12}})["calls"] == 2);
  CHECK(tree.rows({{"function", "levels"}}).size() == 10);
}

TEST_CASE("values are those that the program passed", "[each-kernel]") {
  NEEDS("root");
  const Words functions = {"--func", "main,nothing,narrow,wide,text,address,paint,both,many,factorial,*fflush",
                           "--argument"};
  live::Result result = graph(functions, "takes");
  INFO(result.out << result.err);
  CHECK(result.end()["command"]["exit"] == 3);
  CHECK(result.lost() == 0);
  check_nesting(result.rows());
  auto values = [&](const char* function) {
    const Json row = result.row({{"function", function}, {"event", "call"}});
    return Json{row["args"], row["retval"]};
  };
  CHECK(values("narrow") == Json::parse(R"([{"a": -128, "b": 255, "c": -32768, "d": 65535}, 126])"));
  CHECK(values("wide") ==
        Json::parse(R"([{"a": -2147483648, "b": 4294967295, "c": -9223372036854775808, "d": 18446744073709551615,
                        "e": -5, "f": 1, "seventh": -7}, -9223372034707292173])"));
  std::string longer = std::string(62, 'x') + "…";
  CHECK(values("text") == Json{{{"a", "a \"quoted\"\tline\n"}, {"none", nullptr}, {"longer", longer}}, longer});
  std::string pair = result.err.substr(result.err.find("0x"));
  pair = pair.substr(0, pair.find('\n'));
  CHECK(values("address") == Json{{{"a", pair}, {"b", "0x0"}, {"color", "GREEN"}}, pair});
  // Neither a number with a point nor a structure that is handed over by value.
  CHECK(values("paint") == Json::parse(R"([{"again": 3}, "GREEN"])"));
  CHECK(values("both") == Json::parse(R"([{"times": 4}, null])"));
  CHECK(values("many") == Json::parse(R"([{"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6, "g": 7, "h": 8, "i": 9,
                                          "j": 10, "k": 11, "l": 12}, 91])"));
  CHECK(values("nothing") == Json{nullptr, nullptr});
  CHECK(result.row({{"function", "main"}, {"event", "leave"}})["retval"] == 3);
  // Of a static program's C library nothing tells.
  auto flushes = result.rows({{"event", "call"}, {"module", "takes"}, {"retval", nullptr}, {"args", nullptr}});
  CHECK(std::count_if(flushes.begin(), flushes.end(),
                      [](const Json& row) { return row["function"].get<std::string>().ends_with("fflush"); }) >= 1);
  auto shown = calls(result.rows());
  for (const char* line : {"  narrow(a=-128, b=255, c=-32768, d=65535) = 126;", "  paint(again=3) = GREEN;",
                           "  nothing();", "} = 3; /* main */"})
    CHECK(std::count(shown.begin(), shown.end(), line) == 1);
  CHECK(std::any_of(shown.begin(), shown.end(), [](const std::string& line) {
    return line.starts_with("  text(a=\"a \"quoted\"\tline\n\", none=NULL, longer=\"xxx");
  }));
}

TEST_CASE("values are kept in captures, and left out unless asked for") {
  NEEDS("root");
  test::TemporaryDirectory folder;
  std::string capture = folder.path() + "/capture";
  live::Result made =
      graph({"--argument", "--string", "256", "--func", "text,factorial", "--record", capture}, "takes");
  INFO(made.out << made.err);
  CHECK(made.row({{"function", "text"}})["args"]["longer"] == std::string(200, 'x'));
  live::Result again = live::run("fgraph", {"--replay", capture});
  CHECK(again.rows() == made.rows());
  live::Result without = graph({"--func", "text,factorial"}, "takes");
  REQUIRE(without.row_lines() > 1);
  for (const Json& row : without.rows()) {
    CHECK(row["args"].is_null());
    CHECK(row["retval"].is_null());
  }
  CHECK(calls(without.rows()).front() == "text();");
}

TEST_CASE("each call of a recursion has its own values") {
  NEEDS("root");
  test::TemporaryDirectory folder;
  std::string program = live::compile(folder.path(), "power",
                                      "#include <string.h>\n"
                                      "__attribute__((noipa)) long power(int base, unsigned char times) {\n"
                                      "  return times ? base * power(base, times - 1) : 1;\n}\n"
                                      "int main(int argc, char **argv) {\n"
                                      "  volatile size_t size = strlen(argv[argc - 1]);\n"
                                      "  return size == 5 && power(-3, 3) == -27 ? 0 : 1;\n}\n",
                                      {"-O1", "-g", "-fno-optimize-sibling-calls", "-fno-builtin"});
  if (program.empty()) SKIP_CASE("no compiler here", "gcc");
  live::Result result = live::trace("fgraph", {"--argument", "--func", "power,strlen"}, {program, "three"});
  INFO(result.out << result.err);
  CHECK(result.end()["command"]["exit"] == 0);
  CHECK(calls(result.rows()) == Words{"strlen(string=\"three\") = 5;", "power(base=-3, times=3) {",
                                      "  power(base=-3, times=2) {", "    power(base=-3, times=1) {",
                                      "      power(base=-3, times=0) = 1;", "    } = -3; /* power */",
                                      "  } = 9; /* power */", "} = -27; /* power */"});
}

TEST_CASE("pictures hold the calls as they were nested") {
  NEEDS("root");
  test::TemporaryDirectory folder;
  std::string folded = folder.path() + "/folded", chrome = folder.path() + "/chrome";
  live::Result result = graph({"--func", "main,levels,write_line", "--report", "--folded", folded, "--chrome", chrome,
                               "--speedscope", folder.path() + "/speedscope", "--firefox", folder.path() + "/firefox",
                               "--perfetto", folder.path() + "/perfetto", "--flame", folder.path() + "/flame.svg"},
                              "nested");
  INFO(result.out << result.err);
  CHECK(result.status == 0);
  std::map<std::string, std::uint64_t> stacks;
  std::ifstream lines(folded);
  std::uint64_t sum = 0;
  for (std::string line; std::getline(lines, line);) {
    std::size_t end = line.rfind(' ');
    sum += stacks[line.substr(0, end)] = std::stoull(line.substr(end + 1));
  }
  CHECK(stacks.size() == 21);
  CHECK(sum == result.row({{"function", "main"}})["total_ns"]);
  CHECK(stacks.contains("nested;main;levels;levels;write_line"));
  Json trace = Json::parse(std::ifstream(chrome));
  std::map<std::string, int> spans;
  for (const Json& event : trace["traceEvents"])
    if (event["ph"] == "B" || event["ph"] == "X") spans[event["name"]]++;
  CHECK(spans["main"] == 1);
  CHECK(spans["levels"] == 10);
  CHECK(spans["write_line"] == 10);
  for (const char* file : {"/speedscope", "/firefox", "/perfetto", "/flame.svg"})
    CHECK(std::filesystem::file_size(folder.path() + file) > 500);
}

TEST_CASE("what is lost is counted, and what was open then is marked") {
  NEEDS("root");
  live::Result result = graph({"--func", "thread,work,after", "--buffer", "4K"}, "leaps", {"threads", "4", "500"});
  CHECK(result.status == 0);
  std::uint64_t lost = result.end()["lost"]["ring_full"];
  if (lost == 0) SKIP_CASE("the reader kept up with the smallest buffer");
  CHECK(!result.rows({{"end", "lost"}}).empty());
  std::uint64_t seen = 0;
  for (const Json& row : result.rows({{"function", "after"}})) seen += row["event"] != "enter";
  CHECK(seen < 6000);
  check_nesting(result.rows());
}

TEST_CASE("a distribution's programs have all their calls paired or marked") {
  NEEDS("root");
  if (!std::filesystem::exists("/var/lib/dpkg")) SKIP_CASE("this is no distribution, whose ls has libraries");
  std::vector<Words> commands = {{"ls", "-l", "/usr"}};
  if (test::run({"which", "sqlite3"}).status == 0)
    commands.push_back(
        {"sqlite3", ":memory:", "create table t(a); insert into t values (1), (2); select sum(a) from t"});
  for (const Words& command : commands) {
    live::Result result = live::trace("fgraph", {"--buffer", "64M"}, command);
    INFO(command[0] << ": " << result.err);
    CHECK(result.status == 0);
    CHECK(result.end()["command"]["exit"] == 0);
    CHECK(result.row_lines() > 100);
    CHECK(result.lost() == 0);
    check_nesting(result.rows());
  }
}

TEST_CASE("what cannot be meant is refused in one line") {
  NEEDS("root");
  std::string nested = test::trigger_path("nested");
  live::refused("fgraph", {}, "-- COMMAND");
  live::refused("fgraph", {"--func", "levles", "--", nested}, "did you mean levels?");
  live::refused("fgraph", {"--lib", "libx", "--", nested}, "did you mean libc");
  live::refused("fgraph", {"--depth", "65", "--", nested}, "64");
  live::refused("fgraph", {"--report", "--sort", "slef", "--", nested}, "did you mean self?");
  live::refused("fgraph", {"--report", "--graph", "--", nested}, "choose one");
  live::refused("fgraph", {"--argument", "--report", "--", nested}, "--report");
  live::refused("fgraph", {"--string", "64", "--", nested}, "--argument");
  live::refused("fgraph", {"--min", "10", "--", nested}, "unit");
  live::refused("fgraph", {"--", test::source_dir() + "/README.md"}, "README.md", 1);
}
