// SPDX-License-Identifier: BSD-2-Clause
// offwaketime: known waits, each with the stack that waited and the stack that ended it.
#include "waits.hpp"

using live::Json;
using live::Words;

TEST_CASE("the sleeper's stack and the waker's are joined", "[each-kernel]") {
  NEEDS("root");
  // An emulated machine takes its time between the end of a sleep and the look at the clock that follows.
  const char* length = live::brief() ? "2000" : "500";
  live::Result result =
      live::trace("offwaketime", {"--state", "S", "--min", "100ms"}, live::trigger("waits", {length}));
  INFO(result.out << result.err);
  Json truth = live::waits_said(result);
  for (const auto& [thread, call] :
       std::map<std::string, std::string>{{"locking", "futex_wake"}, {"reading", "vfs_write"}}) {
    Json row = result.row({{"comm", thread}, {"waker_comm", "waits"}});
    double made = truth[thread].get<double>(), shown = row["total_ns"].get<double>();
    INFO(thread << ": " << shown << " ns shown, " << made << " ns made");
    CHECK(std::abs(shown - made) <= made * 0.02);
    CHECK(live::has_function(row["stack"], "wait_" + thread));
    CHECK(live::has_function(row["waker_stack"], call));
    CHECK_FALSE(live::has_function(row["waker_stack"], "wait_" + thread));
  }
  CHECK(live::total_ns(result.rows({{"comm", "sleeping"}}), "wait_sleeping") > 4.9e8);
  CHECK(result.lost() == 0);
}

TEST_CASE("what still waits at the end has no waker") {
  NEEDS("root");
  live::Process process(live::trigger("waits", {"60000"}), {.gated = true});
  live::Tool tool("offwaketime", {"-p", process.number(), "--state", "S", "-d", "1"});
  process.go();
  live::Result result = tool.finish();
  Json row = result.row({{"comm", "reading"}, {"blocked", 1}});
  CHECK(row["waker_pid"] == nullptr);
  CHECK(row["waker_stack"].empty());
  CHECK(live::has_function(row["stack"], "wait_reading"));
}

TEST_CASE("a picture has the waker's stack turned round on the sleeper's") {
  NEEDS("root");
  live::File folded("folded");
  Words options = {"--state", "S", "--min", "100ms", "--comm", "reading", "--folded", folded.path()};
  live::Result result = live::trace("offwaketime", options, live::trigger("waits", {"300"}));
  std::string text = test::read_file(folded.path());
  INFO(text << result.err);
  std::size_t sleeper = text.find("wait_reading"), by = text.find("woken by waits"), waker = text.find("vfs_write");
  CHECK(sleeper < by);
  CHECK(by < waker);
  CHECK(waker < text.find("ksys_write"));
  CHECK(waker != text.npos);
}
