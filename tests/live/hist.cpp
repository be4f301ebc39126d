// SPDX-License-Identifier: BSD-2-Clause
// hist: histograms of known values.
#include "harness.hpp"

using live::Json;
using live::Words;

namespace {

std::string steps() { return test::trigger_path("steps"); }

}  // namespace

TEST_CASE("values fall where they belong", "[each-kernel]") {
  NEEDS("root");
  live::Result result =
      live::trace("hist", {"uprobe:" + steps() + ":steps", "(u32)arg0"}, live::trigger("steps", {"1000"}));
  INFO(result.out << result.err);
  auto all = result.histograms();
  REQUIRE(all.size() == 1);
  CHECK(all[0]["count"] == 1000);
  CHECK(all[0]["sum"] == 499500);
  CHECK(all[0]["max"] == 999);
  int in_buckets = 0;
  for (const Json& bucket : all[0]["buckets"]) in_buckets += bucket["count"].get<int>();
  CHECK(in_buckets == 1000);
  for (const Json& bucket : all[0]["buckets"])
    if (bucket["max"].get<int>() < 999)
      CHECK(bucket["count"].get<int>() == bucket["max"].get<int>() - bucket["min"].get<int>() + 1);
  CHECK(result.lost() == 0);
}

TEST_CASE("keys tell histograms apart, and negative values are told as such") {
  NEEDS("root");
  live::Result result = live::trace("hist", {"uprobe:" + steps() + ":steps", "/arg0 < 4/", "arg1", "(u32)arg0"},
                                    live::trigger("steps", {"9"}));
  CHECK(result.histograms().size() == 4);
  CHECK(result.histograms({{"values", Json{{"(u32)arg0", 2}}}})[0]["sum"] == 10);
  result = live::trace("hist", {"usdt:" + test::trigger_path("marks") + ":test:values", "arg2"},
                       live::trigger("marks", {"3"}));
  REQUIRE(result.histograms({{"sign", "negative"}}).size() == 1);
  CHECK(result.histograms()[0]["count"] == 3);
}

TEST_CASE("equal buckets have what falls into them, and what is outside is in one on either side") {
  NEEDS("root");
  live::Result result = live::trace("hist", {"--linear", "100,900,50", "uprobe:" + steps() + ":steps", "(u32)arg0"},
                                    live::trigger("steps", {"1000"}));
  INFO(result.out << result.err);
  REQUIRE(result.histograms().size() == 1);
  Json all = result.histograms()[0];
  CHECK(all["sum"] == 499500);
  CHECK(all["max"] == 999);
  CHECK(all["p50"] == 499);
  CHECK(all["p99"].is_null());  // it is not below 900, and that is all that is known
  REQUIRE(all["buckets"].size() == 18);
  for (std::size_t i = 1; i < 17; i++)
    CHECK(all["buckets"][i] == Json{{"min", 50 + 50 * i}, {"max", 99 + 50 * i}, {"count", 50}});
  CHECK(all["buckets"][0] == Json{{"min", nullptr}, {"max", 99}, {"count", 100}});
  CHECK(all["buckets"][17] == Json{{"min", 900}, {"max", nullptr}, {"count", 100}});
  // With a sign: -1, -10,000,000,001 and -20,000,000,002 are in one histogram.
  result = live::trace("hist", {"--linear=-3,0,1", "usdt:" + test::trigger_path("marks") + ":test:values", "arg2"},
                       live::trigger("marks", {"3"}));
  INFO(result.out << result.err);
  REQUIRE(result.histograms().size() == 1);
  CHECK(result.histograms()[0]["sum"] == -30'000'000'003);
  CHECK(result.histograms()[0]["max"] == -1);
  CHECK(result.histograms()[0]["buckets"] ==
        Json{{{"min", nullptr}, {"max", -4}, {"count", 2}}, {{"min", -1}, {"max", -1}, {"count", 1}}});
}

TEST_CASE("buckets that cannot be are refused") {
  for (const char* wrong : {"1,2", "0,10,0", "10,0,1", "0,10,3", "0,100000,1", "a,b,c", ""}) {
    live::Result result = live::run("hist", {"--linear", wrong, "begin", "pid"});
    INFO(wrong << ": " << result.err);
    CHECK(result.status == 64);
    CHECK(live::count_lines(result.err) == 1);
  }
}

TEST_CASE("a call's latency is measured") {
  NEEDS("root");
  live::Result result =
      live::trace("hist", {"uretprobe:" + steps() + ":deeper", "latency"}, live::trigger("steps", {"1"}));
  auto all = result.histograms();
  REQUIRE(all.size() == 1);
  CHECK(all[0]["name"] == "latency");
  CHECK(all[0]["unit"] == "ns");
  CHECK(all[0]["count"] == 4);
}

TEST_CASE("what is no number is refused") {
  for (const Words& words :
       {Words{"uprobe:" + steps() + ":steps"}, Words{"uprobe:" + steps() + ":steps", "arg2:str"}}) {
    live::Result result = live::run("hist", words);
    CHECK(result.status == 64);
    CHECK(live::count_lines(result.err) == 1);
    CHECK(result.err.find("▶") != std::string::npos);
  }
}

TEST_CASE("each place's value has its own sign") {
  NEEDS("root");
  std::string marks = test::trigger_path("marks");
  live::Result result =
      live::trace("hist", {"uprobe:" + steps() + ":steps", "(u32)arg0", "usdt:" + marks + ":test:values", "arg2"},
                  {"/bin/sh", "-c", steps() + " 4; " + marks + " 3"});
  INFO(result.out << result.err);
  auto below = result.histograms({{"sign", "negative"}}), above = result.histograms({{"sign", "positive"}});
  REQUIRE((below.size() == 1 && above.size() == 1));
  CHECK(below[0]["count"] == 3);
  CHECK(below[0]["sum"] == 30000000003);
  CHECK(above[0]["sum"] == 6);
  // As it is shown: the lower half of -1, -10000000001 and -20000000001.
  result = live::trace("hist", {"usdt:" + marks + ":test:values", "/arg0 == 0/", "(u32)arg2:d"},
                       live::trigger("marks", {"3"}));
  REQUIRE(result.histograms({{"sign", "negative"}}).size() == 1);
  CHECK(result.histograms()[0]["sum"] == 1);
}

TEST_CASE("the value is a number at every place, not at the last alone") {
  NEEDS("root");
  live::Result result = live::run("hist", {"rawtracepoint:module_*", "arg0", "-d", "1ms"});
  if (result.err.find("no tracepoint") != std::string::npos) SKIP_CASE("this kernel loads no modules");
  INFO(result.err);
  CHECK(result.status == 64);
  CHECK(result.err.find("it is none at rawtracepoint:module_request") != std::string::npos);
}

TEST_CASE("filters of processes and names measure whom they name, and nobody else; a run is recorded and replayed") {
  NEEDS("root");
  std::string probe = "uprobe:" + steps() + ":steps";
  test::TemporaryDirectory folder;
  std::string capture = folder.path() + "/capture";
  live::Process first(live::trigger("steps", {"100", "wait"})), second(live::trigger("steps", {"100", "wait"}));
  first.says();
  second.says();
  live::Tool tool("hist", {probe, "(u32)arg0", "-p", first.number(), "--record", capture}),
      nobody("hist", {probe, "(u32)arg0", "--comm", "other"});
  second.go();
  second.wait();
  first.go();
  live::Result result = tool.finish(), none = nobody.stop();
  REQUIRE(result.histograms().size() == 1);
  CHECK(result.histograms()[0]["count"] == 100);
  CHECK(none.status == 0);
  CHECK(none.histograms().empty());
  CHECK(live::run("hist", {"--replay", capture}).histograms() == result.histograms());
}

TEST_CASE("a call that began before anybody looked is counted, and its latency is not made up") {
  NEEDS("root");
  test::TemporaryDirectory folder;
  std::string program = live::compile(folder.path(), "waits_here", R"(
#include <stdio.h>
#include <unistd.h>
__attribute__((noipa)) int waits_here(void) {
  char byte;
  int got = read(0, &byte, 1);
  __asm__ volatile("" : "+r"(got));
  return got;
}
int main(void) {
  puts("ready");
  fflush(stdout);
  while (waits_here() == 1) {
  }
  return 0;
}
)",
                                      {"-O1"});
  if (program.empty()) SKIP_CASE("no compiler here", "gcc");
  live::Process running({program});
  running.says();
  std::string at = "uretprobe:" + program + ":waits_here";
  live::Tool tool("hist", {at, "latency", "-p", running.number()}),
      rows("trace", {at, "latency", "-p", running.number()});
  running.write("xxx");
  running.close_input();
  live::Result result = tool.finish(), each = rows.finish();
  INFO(result.out << result.err << each.out << each.err);
  // The first of four was waiting already; each tool misses its beginning.
  REQUIRE(result.histograms().size() == 1);
  CHECK(result.histograms()[0]["count"] == 3);
  CHECK(result.end()["lost"]["entry_unseen"] == 1);
  CHECK(result.end()["lost"]["value_unread"] == 0);
  REQUIRE(each.row_lines() == 4);
  CHECK(each.rows()[0]["values"]["latency_ns"].is_null());
  for (int i = 1; i < 4; i++) CHECK(each.rows()[i]["values"]["latency_ns"].get<std::uint64_t>() > 0);
  CHECK(each.end()["lost"]["entry_unseen"] == 1);
}
