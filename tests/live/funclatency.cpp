// SPDX-License-Identifier: BSD-2-Clause
// funclatency: a known number of calls, recursion told apart.
#include "harness.hpp"

using live::Json;
using live::Words;

namespace {

std::string steps() { return test::trigger_path("steps"); }

}  // namespace

TEST_CASE("each call of a recursion has its own latency", "[each-kernel]") {
  NEEDS("root");
  live::Result result = live::trace("funclatency", {steps() + ":deeper"}, live::trigger("steps", {"1"}));
  INFO(result.out << result.err);
  CHECK(result.status == 0);
  auto all = result.histograms();
  REQUIRE(all.size() == 1);
  CHECK(all[0]["count"] == 4);
  CHECK(all[0]["sum"].get<std::uint64_t>() > all[0]["max"].get<std::uint64_t>());
  CHECK(result.lost() == 0);
}

TEST_CASE("functions are one histogram or each its own") {
  NEEDS("root");
  Words functions = {steps() + ":deeper", steps() + ":steps"};
  live::Result together = live::trace("funclatency", functions, live::trigger("steps", {"100"}));
  REQUIRE(together.histograms().size() == 1);
  CHECK(together.histograms()[0]["count"] == 104);
  functions.push_back("--per-function");
  live::Result apart = live::trace("funclatency", functions, live::trigger("steps", {"100"}));
  CHECK(apart.histograms({{"probe", "uretprobe:steps:steps"}})[0]["count"] == 100);
  CHECK(apart.histograms({{"probe", "uretprobe:steps:deeper"}})[0]["count"] == 4);
}

TEST_CASE("functions of a glob that cannot be probed are left out, the others measured", "[each-kernel]") {
  NEEDS("root");
#ifdef __x86_64__
  std::string begins = test::trigger_path("begins");
  live::Result result =
      live::trace("funclatency", {begins + ":begins_*", "--per-function"}, live::trigger("begins", {"100"}));
  INFO(result.out << result.err);
  CHECK(result.end()["command"]["exit"] == 0);
  for (const char* name : {"guarded", "tested", "looped", "looping", "jumping", "ended", "outer"}) {
    auto one = result.histograms({{"probe", std::string("uretprobe:begins:begins_") + name}});
    REQUIRE(one.size() == 1);
    CHECK(one[0]["count"] == 100);
  }
  CHECK(result.histograms({{"probe", "uretprobe:begins:begins_lost"}}).empty());
  CHECK(result.err.find("begins:begins_lost: it begins with an instruction of AVX") != std::string::npos);
  // With its stack, it has no other end than its beginning.
  live::refused("trace", {"uretprobe:" + begins + ":begins_ended", "ustack", "latency"},
                "▶latency: the function's first instruction is its last");
#endif
}

TEST_CASE("functions that end in jumps to others are measured in a library that throws nothing", "[any-kernel]") {
  NEEDS("root");
  // The help's own example.
  live::Result example = live::trace("funclatency", {"libc:*alloc", "--per-function"}, {"ls", "/"});
  CHECK(example.status == 0);
  CHECK(example.histograms({{"probe", "uretprobe:libc.so.6:malloc"}}).size() == 1);
}

TEST_CASE("a filter takes only calls of a latency") {
  NEEDS("root");
  auto with = [](const char* filter) {
    live::Result result = live::trace("funclatency", {steps() + ":steps", filter}, live::trigger("steps", {"10"}));
    CHECK(result.status == 0);
    return result.histograms();
  };
  CHECK(with("/latency > 3600s/").empty());
  auto all = with("/latency > 1ns/");
  REQUIRE(all.size() == 1);
  CHECK(all[0]["count"] == 10);
}

TEST_CASE("what is no function is refused in one line") {
  for (const Words& words : {Words{}, Words{steps() + ":step"}}) {
    live::Result result = live::run("funclatency", words);
    CHECK(result.status == 64);
    CHECK(live::count_lines(result.err) == 1);
  }
}

TEST_CASE("filters of processes and names measure whom they name, and nobody else; a run is recorded and replayed") {
  NEEDS("root");
  std::string function = steps() + ":steps";
  test::TemporaryDirectory folder;
  std::string capture = folder.path() + "/capture";
  live::Process first(live::trigger("steps", {"100", "wait"})), second(live::trigger("steps", {"100", "wait"}));
  first.says();
  second.says();
  live::Tool tool("funclatency", {function, "-p", first.number(), "--record", capture}),
      nobody("funclatency", {function, "--comm", "other"});
  second.go();
  second.wait();
  first.go();
  live::Result result = tool.finish(), none = nobody.stop();
  REQUIRE(result.histograms().size() == 1);
  CHECK(result.histograms()[0]["count"] == 100);
  CHECK(none.status == 0);
  CHECK(none.histograms().empty());
  CHECK(live::run("funclatency", {"--replay", capture}).histograms() == result.histograms());
}
