// SPDX-License-Identifier: BSD-2-Clause
// stackcount: known calls by known ways.
#include "harness.hpp"

using live::Json;
using live::Words;
using live::operator+;

TEST_CASE("hits are counted by the functions that lead to them") {
  NEEDS("root");
  std::string steps = test::trigger_path("steps");
  live::Result result = live::trace("stackcount", {"uprobe:" + steps + ":steps"}, live::trigger("steps", {"100"}));
  INFO(result.out << result.err);
  CHECK(result.status == 0);
  std::uint64_t sum = 0;
  for (const Json& row : result.rows()) sum += row["count"].get<std::uint64_t>();
  CHECK(sum == 100);
  REQUIRE(result.row_lines() >= 1);
  CHECK(result.rows()[0]["probe"] == "uprobe:steps:steps");
  // The process is gone before its mappings are read: the frames are addresses.
  CHECK(result.rows()[0]["stack"].size() >= 1);
  CHECK(result.lost() == 0);
}

TEST_CASE("a tracepoint's stacks are the kernel's and the program's", "[each-kernel]") {
  NEEDS("syscall_tracepoints");
  live::Result result =
      live::trace("stackcount", {"tracepoint:syscalls:sys_enter_getppid"}, live::trigger("calls", {"getppid", "50"}));
  INFO(result.out << result.err);
  std::uint64_t sum = 0;
  for (const Json& row : result.rows()) sum += row["count"].get<std::uint64_t>();
  CHECK(sum == 50);
}

TEST_CASE("values are no part of it") {
  live::Result result = live::run("stackcount", {"uprobe:libc:getenv", "arg0"});
  CHECK(result.status == 64);
  CHECK(result.err.find("▶arg0") != std::string::npos);
}

TEST_CASE("filters of processes and names count whom they name, and nobody else; a run is recorded and replayed") {
  NEEDS("root");
  std::string probe = "uprobe:" + test::trigger_path("steps") + ":steps";
  test::TemporaryDirectory folder;
  std::string capture = folder.path() + "/capture";
  live::Process first(live::trigger("steps", {"100", "wait"})), second(live::trigger("steps", {"100", "wait"}));
  first.says();
  second.says();
  live::Tool tool("stackcount", {probe, "-p", first.number(), "--record", capture}),
      nobody("stackcount", {probe, "--comm", "other"});
  second.go();
  second.wait();
  first.go();
  live::Result result = tool.finish(), none = nobody.stop();
  INFO(result.out << result.err);
  std::uint64_t sum = 0;
  for (const Json& row : result.rows()) sum += row["count"].get<std::uint64_t>();
  CHECK(sum == 100);
  CHECK(none.status == 0);
  CHECK(none.row_lines() == 0);
  CHECK(live::run("stackcount", {"--replay", capture}).rows() == result.rows());
}

TEST_CASE("the frames of a process of another PID namespace are not called the kernel's") {
  NEEDS("root");
  live::Process busy(live::trigger("calls", {"getppid", "0"}));
  live::Result result =
      live::run("stackcount", {"profile:hz:99", "-d", "500ms"}, {.inside = live::enter_pid_namespace});
  INFO(result.out << result.err);
  auto rows = result.rows({{"comm", "calls"}});
  REQUIRE_FALSE(rows.empty());
  for (const Json& row : rows) {
    CHECK(row["pid"].is_null());
    for (const Json& frame : row["stack"])
      if (!frame["addr"].get<std::string>().starts_with("0xffff")) CHECK(frame["module"] != "[kernel]");
  }
}

TEST_CASE("the frames of a process that lives have names") {
  NEEDS("root");
  test::TemporaryDirectory folder;
  std::string program = live::compile(folder.path(), "within", R"(
#include <stdio.h>
#include <unistd.h>
#define KEPT __attribute__((noipa))
KEPT int inner(int i) { return i + 1; }
KEPT int outer(int i) { return inner(i) + 1; }
int main(void) {
  char byte;
  puts("ready");
  fflush(stdout);
  if (read(0, &byte, 1) != 1) return 1;
  for (int i = 0; i < 10; i++) outer(i);
  puts("done");
  fflush(stdout);
  return read(0, &byte, 1) != 1;
}
)",
                                      {"-O1", "-fno-omit-frame-pointer", "-fno-optimize-sibling-calls"});
  if (program.empty()) SKIP_CASE("no compiler here", "gcc");
  live::Process running({program});
  running.says();
  // Tables come in the background: the first of its stacks may be walked without.
  live::Tool tool("stackcount", {"uprobe:" + program + ":inner", "-p", running.number(), "--unwind", "fp"});
  running.go();
  running.out().wait([](std::string_view text) { return text.find("done") != text.npos; });
  live::Result result = tool.stop();
  INFO(result.out << result.err);
  REQUIRE(result.row_lines() == 1);
  Json row = result.rows()[0];
  CHECK(row["count"] == 10);
  std::vector<std::string> names;
  for (const Json& frame : row["stack"])
    if (frame["name"].is_string()) names.push_back(frame["name"]);
  REQUIRE_FALSE(names.empty());
  CHECK(names[0] == "inner");
  CHECK(std::count(names.begin(), names.end(), "main") == 1);
}
