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

TEST_CASE("a tracepoint's stacks are the kernel's and the program's") {
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
