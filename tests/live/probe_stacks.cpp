// SPDX-License-Identifier: BSD-2-Clause
// kstack and ustack, and trace -K -U: known ways to one place, told apart and counted exactly.
#include "harness.hpp"

using live::Json;
using live::Words;
using live::operator+;

namespace {

constexpr const char* getppid_entry = "tracepoint:syscalls:sys_enter_getppid";
std::string at_ends() { return "uprobe:" + test::trigger_path("chains") + ":ends_here"; }

// One that has gone the ways which the letters say and still lives, so that its functions have names.
class Chains : public live::Process {
 public:
  Chains() : live::Process(live::trigger("chains")) { says(); }
  void goes(const std::string& ways) {
    write(ways + "\n");
    lines_++;
    REQUIRE(out().wait([&](std::string_view all) { return live::count_lines(std::string(all)) >= lines_; }));
  }

 private:
  std::size_t lines_ = 1;  // "ready"
};

// The functions from the innermost on up to main().
std::vector<std::string> ways_of(const Json& stack) {
  std::vector<std::string> names;
  for (const Json& frame : stack) {
    if (!frame["name"].is_string() || frame["module"] == "[kernel]") continue;
    names.push_back(frame["name"]);
    if (names.back() == "main") break;
  }
  return names;
}

bool is_kernel(const Json& frame) { return frame["addr"].get<std::string>().starts_with("0xffff"); }

using Way = std::vector<std::string>;
const Way by_first = {"ends_here", "shared", "first", "main"}, by_second = {"ends_here", "shared", "second", "main"},
          by_first_alone = {"ends_here", "first", "main"};

// All by frame pointers, which lead less far than tables do: those are made while the first hits come.
live::Result count(const Words& words, Chains& chains, const std::string& ways) {
  live::Tool tool("count", words + Words{"--unwind", "fp", "-p", chains.number()});
  chains.goes(ways);
  live::Result result = tool.stop();
  INFO(result.out << result.err);
  CHECK(result.status == 0);
  return result;
}

}  // namespace

TEST_CASE("hits are counted by the ways that lead to them, whoever else comes by") {
  NEEDS("syscall_tracepoints");
  Chains chains;
  live::Result result = count({getppid_entry, "ustack"}, chains, "aabacba");
  std::map<Way, int> counted;
  for (const Json& row : result.rows()) counted[ways_of(row["values"]["ustack"])] += row["count"].get<int>();
  CHECK(counted == std::map<Way, int>{{by_first, 4}, {by_second, 2}, {by_first_alone, 1}});
  CHECK(result.row_lines() == 3);
  CHECK(result.lost() == 0);
  // The way in the kernel is the same for all; a filter that wants none leaves none.
  result = count({getppid_entry, "kstack"}, chains, "abc");
  REQUIRE(result.row_lines() == 1);
  CHECK(result.rows()[0]["count"] == 3);
  REQUIRE_FALSE(result.rows()[0]["values"]["kstack"].empty());
  for (const Json& frame : result.rows()[0]["values"]["kstack"]) CHECK(is_kernel(frame));
  CHECK(count({getppid_entry, "/pid == 1/", "kstack", "ustack"}, chains, "abc").row_lines() == 0);
}

TEST_CASE("stacks are keys beside values and strings, of a histogram, too") {
  NEEDS("syscall_tracepoints");
  Chains chains;
  live::Result result = count({getppid_entry, "ustack", "tid", "kstack"}, chains, "abb");
  REQUIRE(result.row_lines() == 2);
  CHECK(result.row({{"count", 2}})["values"]["tid"] == chains.pid());
  CHECK(ways_of(result.row({{"count", 2}})["values"]["ustack"]) == by_second);
  live::Tool tool("hist", {getppid_entry, "pid", "ustack", "-p", chains.number()});
  chains.goes("aab");
  result = tool.stop();
  INFO(result.out << result.err);
  std::map<Way, int> counted;
  for (const Json& one : result.histograms())
    counted[ways_of(one["key"]["values"]["ustack"])] += one["count"].get<int>();
  CHECK(counted == std::map<Way, int>{{by_first, 2}, {by_second, 1}});
}

TEST_CASE("-K and -U show beneath each row how it was come to; a replay shows the same", "[each-kernel]") {
  NEEDS("syscall_tracepoints");
  Chains chains;
  test::TemporaryDirectory folder;
  std::string capture = folder.path() + "/capture";
  Words words = {getppid_entry, "/pid > 1/", "ustack", "-K", "-U"};
  live::Tool tool("trace", words + Words{"-p", chains.number(), "-n", "3", "--record", capture});
  chains.goes("abc");
  live::Result result = tool.finish();
  INFO(result.out << result.err);
  auto rows = result.rows();
  REQUIRE(rows.size() == 3);
  const Way* ways[] = {&by_first, &by_second, &by_first_alone};
  for (std::size_t i = 0; i < 3; i++) {
    CHECK(ways_of(rows[i]["values"]["ustack"]) == *ways[i]);
    CHECK(ways_of(rows[i]["stack"]) == *ways[i]);
    // 5.10 has nothing but its own tracing between a system call and this.
    for (const Json& frame : rows[i]["stack"]) {
      if (frame["name"] == "ends_here") break;
      CHECK(is_kernel(frame));
    }
  }
  CHECK(result.lost() == 0);
  CHECK(live::run("trace", {"--replay", capture}).rows() == rows);
  live::Result text = live::run("trace", {"--replay", capture, "-U"}, {.json = false});
  CHECK(text.out.find("\n    ends_here+") != std::string::npos);
  CHECK(live::run("trace", {"--replay", capture}, {.json = false}).out.find("\n    ends_here+") == std::string::npos);
}

TEST_CASE("a stack without room is lost and counted, and never another's") {
  NEEDS("syscall_tracepoints");
  Chains chains;
  live::Result result = count({"--stacks", "1", getppid_entry, "ustack"}, chains, "aabbb");
  // The room may be had a moment later than it could be: then the first way is lost at first, too.
  std::map<Way, std::uint64_t> counted;
  for (const Json& row : result.rows()) {
    Json stack = row["values"]["ustack"];
    counted[stack.is_null() ? Way{} : ways_of(stack)] += row["count"].get<std::uint64_t>();
  }
  CHECK(counted.size() == 2);
  CHECK(counted[{}] + counted[by_first] + counted[by_second] == 5);
  CHECK(counted[{}] >= 2);
  CHECK(result.end()["lost"]["map_full.stacks"] == counted[{}]);
  live::Tool tool("trace", {"--stacks", "1", getppid_entry, "-U", "-p", chains.number(), "-n", "3"});
  chains.goes("aba");
  result = tool.finish();
  INFO(result.out << result.err);
  REQUIRE(result.row_lines() == 3);
  std::uint64_t lost = 0;
  for (std::size_t i = 0; i < 3; i++) {
    Json stack = result.rows()[i]["stack"];
    lost += stack.is_null();
    if (!stack.is_null()) CHECK(ways_of(stack) == (i == 1 ? by_second : by_first));
  }
  CHECK(lost >= 1);
  CHECK(lost < 3);
  CHECK(result.end()["lost"]["map_full.stacks"] == lost);
}

TEST_CASE("user stacks are walked by tables where a function has no frame yet") {
  NEEDS("root");
#ifndef __x86_64__
  SKIP_CASE("there are no tables for this architecture yet");
#endif
  Chains chains;
  live::Tool tool("trace", {"--unwind", "table", at_ends(), "ustack", "-p", chains.number()});
  // Until the tables are there the kernel walks, which may miss who called; then no more.
  int round = 0;
  auto whole = [&] {
    chains.goes("a");
    round++;
    tool.out().wait([&](std::string_view all) { return live::count_lines(std::string(all)) > std::size_t(round); });
    return tool.out().text().rfind("\"shared\"") > tool.out().text().rfind("\"type\":\"row\"");
  };
  while (round < 200 && !whole()) {
  }
  chains.goes("abc");
  live::Result result = tool.stop();
  INFO(result.out << result.err);
  auto rows = result.rows();
  REQUIRE(rows.size() == std::size_t(round) + 3);
  rows.erase(rows.begin(), rows.begin() + round);
  CHECK(ways_of(rows[0]["values"]["ustack"]) == by_first);
  CHECK(ways_of(rows[1]["values"]["ustack"]) == by_second);
  CHECK(ways_of(rows[2]["values"]["ustack"]) == by_first_alone);
}

TEST_CASE("what cannot be done with stacks is refused in one line") {
  NEEDS("root");
  live::refused("trace", {at_ends(), "/kstack == 1/"}, "▶kstack == 1/: a stack is shown, as it is");
  live::refused("trace", {at_ends(), "ustack:x"}, "▶ustack:x: a stack has no other format");
  live::refused("trace", {at_ends(), "(u32)ustack"}, "▶ustack: a stack is shown, as it is");
  live::refused("count", {at_ends(), "kstak"}, "▶kstak: nothing is called kstak here; did you mean kstack?");
  live::refused("count", {at_ends(), "kstack", "arg0:str", "arg1:str"}, "keys hold 1 string at most beside stacks");
  live::refused("hist", {at_ends(), "ustack"}, "▶ustack: the value that is measured is to be a number");
  live::refused("trace", {at_ends(), "--unwind", "x"}, "expects fp, table or auto");
}
