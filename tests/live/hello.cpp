// SPDX-License-Identifier: BSD-2-Clause
// hello: a row for each process that a program forks, none for its threads.
#include "harness.hpp"

using live::Json;

TEST_CASE("each forked process is a row, a thread is none", "[each-kernel]") {
  NEEDS("root");
  live::Result result = live::trace("hello", {}, live::trigger("forks", {"25"}));
  CHECK(result.status == 0);
  auto rows = result.rows();
  REQUIRE(rows.size() == 25);
  std::set<int> pids;
  for (const Json& row : rows) {
    CHECK(row["comm"] == "forks");
    CHECK(row["uid"] == 0);
    CHECK(row["ppid"] == rows[0]["ppid"]);
    pids.insert(row["pid"].get<int>());
  }
  CHECK(pids.size() == 25);
  CHECK_FALSE(pids.contains(rows[0]["ppid"].get<int>()));
  CHECK(result.end()["rows"] == 25);
  CHECK(result.lost() == 0);
}

TEST_CASE("the parent is the one that forked") {
  NEEDS("root");
  live::Process forks(live::trigger("forks", {"3"}), {.gated = true});
  live::Tool hello("hello", {"--tree", forks.number(), "-n", "3"});
  forks.go();
  auto rows = hello.finish().rows();
  CHECK(rows.size() == 3);
  for (const Json& row : rows) CHECK(row["ppid"] == forks.pid());
}

TEST_CASE("a process of another user is shown with that user") {
  NEEDS("root");
  live::Process forks(live::trigger("forks", {"3"}), {.inside = [] { live::become_nobody(); }, .gated = true});
  live::Tool hello("hello", {"--tree", forks.number(), "-n", "3"});
  forks.go();
  auto rows = hello.finish().rows();
  CHECK(rows.size() == 3);
  for (const Json& row : rows) CHECK(row["uid"] == live::nobody);
}
