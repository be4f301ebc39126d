// SPDX-License-Identifier: BSD-2-Clause
// offcputime: threads that sleep, wait for a lock and read a slow pipe for known times.
#include "waits.hpp"

using live::Json;
using live::Words;
using live::operator+;

TEST_CASE("times off CPU are those that were waited, under the functions that waited", "[each-kernel]") {
  NEEDS("root");
  live::Result result = live::trace("offcputime", {"--state", "S"}, live::trigger("waits", {"700"}));
  INFO(result.err);
  Json truth = live::waits_said(result);
  for (const char* thread : {"sleeping", "locking", "reading"}) {
    double made = truth[thread].get<double>(),
           shown = live::total_ns(result.rows({{"comm", thread}}), std::string("wait_") + thread);
    INFO(thread << ": " << shown << " ns shown, " << made << " ns made");
    // An emulated machine takes its time between the end of a sleep and the look at the clock that follows.
    CHECK(std::abs(shown - made) <= made * (live::brief() ? 0.06 : 0.02));
  }
  CHECK(result.lost() == 0);
}

TEST_CASE("what is still off CPU at the end is counted up to then, once") {
  NEEDS("root");
  for (const Words& end : {Words{"-d", "1"}, Words{"-i", "1", "-n", "1"}}) {
    live::Process process(live::trigger("waits", {"60000"}), {.gated = true});
    Words options = {"-p", process.number(), "--state", "S"};
    live::Tool tool("offcputime", options + end);
    process.go();
    live::Result result = tool.finish();
    for (const char* thread : {"sleeping", "locking", "reading"}) {
      auto rows = result.rows({{"comm", thread}, {"blocked", 1}});
      INFO(thread << ' ' << end[0]);
      REQUIRE(rows.size() == 1);
      CHECK(rows[0]["count"] == 1);
      CHECK(rows[0]["total_ns"].get<double>() > 0.5e9);
      CHECK(rows[0]["total_ns"].get<double>() < 1.2e9);
    }
  }
}

// While somebody else traces the event, too, the way from it to our program has a function more.
TEST_CASE("stacks that look the same are one row, whoever else traces the switches meanwhile", "[each-kernel]") {
  NEEDS("root");
  for (const char* way : {"btf", "raw"}) {
    INFO(way);
    live::Process process(live::trigger("calls", {"nanosleep", "40"}), {.gated = true});
    live::Tool tool("offcputime", {"-p", process.number(), "--state", "S", "--attach", way});
    process.go();
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    live::Tool("taskswitch", {"-p", process.number()}).stop();
    live::Tool other("taskswitch", {"-p", process.number()});
    CHECK(process.wait() == 0);
    other.finish();
    live::Result result = tool.finish();
    INFO(result.out);
    std::set<std::string> seen;
    std::uint64_t sleeps = 0;
    for (const Json& row : result.rows()) {
      CHECK(seen.insert(Json{row["pid"], row["comm"], row["stack"]}.dump()).second);
      sleeps += row["stack"].dump().find("nanosleep") == std::string::npos ? 0 : row["count"].get<std::uint64_t>();
    }
    CHECK(sleeps + result.lost() == 40);
  }
}

TEST_CASE("times are filtered by length and state") {
  NEEDS("root");
  Words waits = live::trigger("waits", {"200"});
  CHECK(live::total_ns(live::trace("offcputime", {"--min", "500ms"}, waits).rows(), "wait_sleeping") == 0);
  CHECK(live::total_ns(live::trace("offcputime", {"--state", "S", "--max", "100ms"}, waits).rows(), "wait_sleeping") ==
        0);
  CHECK(live::total_ns(live::trace("offcputime", {"--min", "150ms", "--max", "900ms"}, waits).rows(), "wait_sleeping") >
        1.9e8);
  CHECK(live::total_ns(live::trace("offcputime", {"--state", "D"}, waits).rows(), "wait_sleeping") == 0);
  // It may have lost the CPU on its way to sleep.
  CHECK(live::total_ns(live::trace("offcputime", {"--state", "R"}, waits).rows(), "wait_sleeping") < 1e8);
  CHECK(live::run("offcputime", {"--state", "Q"}).status == 64);
  CHECK(live::run("offcputime", {"--min", "5"}).status == 64);
}
