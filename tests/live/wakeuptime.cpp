// SPDX-License-Identifier: BSD-2-Clause
// wakeuptime: threads that are woken by a known thread, out of a known call, after a known time.
#include "waits.hpp"

using live::Json;
using live::Words;

TEST_CASE("the time slept is shown under the stack of who ended it", "[each-kernel]") {
  NEEDS("root");
  live::Result result = live::trace("wakeuptime", {"--state", "S", "--min", "100ms"}, live::trigger("waits", {"500"}));
  INFO(result.out << result.err);
  Json truth = live::waits_said(result);
  for (const auto& [thread, call] :
       std::map<std::string, std::string>{{"locking", "futex_wake"}, {"reading", "vfs_write"}}) {
    auto rows = result.rows({{"comm", thread}, {"waker_comm", "waits"}});
    double made = truth[thread].get<double>(), shown = live::total_ns(rows, call, "waker_stack");
    INFO(thread << ": " << shown << " ns shown, " << made << " ns made");
    CHECK(std::abs(shown - made) <= made * 0.02);
    for (const Json& row : rows) CHECK(row["waker_pid"] == row["pid"]);
  }
  // A timer's interrupt, in whose name ever.
  CHECK(live::total_ns(result.rows({{"comm", "sleeping"}}), "hrtimer_wakeup", "waker_stack") > 4.9e8);
  CHECK(result.lost() == 0);
}

TEST_CASE("times slept are filtered by length and by the thread that is woken") {
  NEEDS("root");
  Words waits = live::trigger("waits", {"200"});
  CHECK(live::trace("wakeuptime", {"--min", "900ms"}, waits).rows().empty());
  CHECK(live::trace("wakeuptime", {"--state", "D"}, waits).rows({{"comm", "sleeping"}}).empty());
  live::Result one = live::trace("wakeuptime", {"--comm", "locking", "--threads"}, waits);
  CHECK_FALSE(one.rows().empty());
  for (const Json& row : one.rows()) {
    CHECK(row["comm"] == "locking");
    CHECK(row["tid"] != row["pid"]);
  }
  CHECK(live::run("wakeuptime", {"--state", "R"}).status == 64);
}
