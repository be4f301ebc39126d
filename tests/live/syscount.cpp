// SPDX-License-Identifier: BSD-2-Clause
// syscount: as many calls as were made, in the intervals together too.
#include "harness.hpp"

using live::Json;
using live::Words;
using live::operator+;

namespace {

live::Result counts(const Words& options, const Words& calls) {
  return live::trace("syscount", options, live::trigger("calls", calls));
}

// The sum of a key over the rows like this.
std::uint64_t sum(const live::Result& result, const Json& like, const char* key = "count") {
  std::uint64_t all = 0;
  for (const Json& row : result.rows(like)) all += row[key].get<std::uint64_t>();
  return all;
}

// How many different intervals have rows.
std::size_t intervals(const live::Result& result) {
  std::set<int> numbers;
  for (const Json& row : result.rows()) numbers.insert(row["interval"].get<int>());
  return numbers.size();
}

}  // namespace

TEST_CASE("100,000 calls of getppid are 100,000", "[each-kernel]") {
  NEEDS("root");
  live::Process calls(live::trigger("calls", {"getppid", "100000"}), {.gated = true});
  live::Tool tool("syscount", {"-p", calls.number()});
  calls.go();
  live::Result result = tool.finish();  // which the end of the process ends
  CHECK(result.status == 0);
  Json row = result.row({{"syscall", "getppid"}});
  CHECK(row["count"] == 100'000);
  CHECK(row["errors"] == 0);
  CHECK(row["total_ns"] == nullptr);
  CHECK(result.lost() == 0);
}

TEST_CASE("errors are counted") {
  NEEDS("root");
  live::Result result = counts({}, {"close", "1234", "chdir", "70", "getppid", "5"});
  CHECK(result.row({{"syscall", "close"}})["errors"] == 1234);
  CHECK(result.row({{"syscall", "chdir"}})["errors"] == 70);
  CHECK(result.row({{"syscall", "getppid"}})["errors"] == 0);
  CHECK(result.row({{"syscall", "getppid"}})["count"] == 5);
}

TEST_CASE("syscount's own filters let through exactly what they name") {
  NEEDS("root");
  Words calls = {"close", "50", "chdir", "60", "getppid", "70"};
  auto names = [&](const Words& options) {
    std::map<std::string, std::uint64_t> counted;
    for (const Json& row : counts(options, calls).rows()) counted[row["syscall"]] = row["count"];
    return counted;
  };
  using Counted = std::map<std::string, std::uint64_t>;
  CHECK(names({"--syscall", "getppid,close"}) == Counted{{"close", 50}, {"getppid", 70}});
  CHECK(names({"--syscall", "getppid,close", "-x"}) == Counted{{"close", 50}});
  CHECK(names({"--syscall", "swapoff"}).empty());
  CHECK(names({"--errno", "EBADF"}) == Counted{{"close", 50}});
  CHECK(names({"--errno", "EPERM"}).empty());
  CHECK(names({"--top", "1"}) == Counted{{"getppid", 70}});
  CHECK(names({"--top", "2"}) == Counted{{"getppid", 70}, {"chdir", 60}});
  auto failed = names({"-x"});
  CHECK(failed["chdir"] == 60);
  CHECK(failed["close"] == 50);
  CHECK_FALSE(failed.contains("getppid"));
}

TEST_CASE("-P counts per process", "[each-kernel]") {
  NEEDS("root");
  std::string calls = test::trigger_path("calls");
  live::Result result =
      live::trace("syscount", {"-P", "--syscall", "getppid,chdir"},
                  {"bash", "-c", calls + " getppid 4000 chdir 30 & " + calls + " getppid 5000 chdir 40 & wait"});
  auto rows = result.rows({{"comm", "calls"}});
  REQUIRE(rows.size() == 2);
  CHECK(rows[0]["count"] == 5040);
  CHECK(rows[0]["errors"] == 40);
  CHECK(rows[1]["count"] == 4030);
  CHECK(rows[1]["errors"] == 30);
  CHECK(rows[0]["pid"] != rows[1]["pid"]);
  CHECK(rows[0]["syscall"] == nullptr);
}

TEST_CASE("syscount 1 3 gives three reports") {
  NEEDS("root");
  live::Process calls(live::trigger("calls", {"getppid", "0"}));
  auto begin = std::chrono::steady_clock::now();
  live::Result json = live::run("syscount", {"-p", calls.number(), "1", "3"});
  auto took = std::chrono::steady_clock::now() - begin;
  CHECK(json.status == 0);
  CHECK(intervals(json) == 3);
  CHECK(json.rows({{"syscall", "getppid"}}).size() == 3);
  CHECK(took >= std::chrono::seconds(3));
  if (!live::brief()) CHECK(took < std::chrono::seconds(5));
  live::Result text = live::run("syscount", {"-p", calls.number(), "100ms", "3"}, {.json = false});
  std::size_t headings = 0;
  for (const std::string& line : text.lines()) headings += line.starts_with("SYSCALL");
  CHECK(headings == 3);
  CHECK(intervals(live::run("syscount", {"-p", calls.number(), "-i", "250ms", "-n", "4"})) == 4);
  CHECK(intervals(live::run("syscount", {"-p", calls.number(), "-n", "1"})) == 1);
}

TEST_CASE("intervals together are what was made, while it is being made") {
  NEEDS("root");
  auto half = live::heavy(1'000'000);
  Words load = {"getppid", std::to_string(2 * half), "close", std::to_string(half)};
  for (const Words& options : std::vector<Words>{{"-i", "50ms"}, {"-i", "50ms", "-L"}}) {
    live::Result result = counts(options, load);
    INFO(Json(options).dump() << result.err);
    CHECK(intervals(result) > 3);
    CHECK(sum(result, {{"syscall", "getppid"}}) == 2 * half);
    CHECK(sum(result, {{"syscall", "close"}}) == half);
    CHECK(sum(result, {{"syscall", "close"}}, "errors") == half);
    CHECK(result.lost() == 0);
  }
}

TEST_CASE("intervals of -P together are what was made") {
  NEEDS("root");
  auto part = live::heavy(500'000);
  std::string load =
      test::trigger_path("calls") + " getppid " + std::to_string(3 * part) + " chdir " + std::to_string(part);
  for (const Words& options : std::vector<Words>{{"-P"}, {"-P", "-L"}}) {
    live::Result result = live::trace("syscount", options + Words{"-i", "20ms", "--syscall", "getppid,chdir"},
                                      {"bash", "-c", load + " & " + load + " & wait"});
    INFO(Json(options).dump() << result.err);
    CHECK(intervals(result) > 10);
    // A kernel that may take the CPU from a program skips it for whoever runs into it meanwhile, and counts that.
    Json skipped = result.end()["lost"]["skipped"];
    std::uint64_t most = skipped.is_number() ? skipped.get<std::uint64_t>() : 0;
    CHECK(result.lost() == most);
    CHECK(sum(result, {{"comm", "calls"}}) <= 8 * part);
    CHECK(sum(result, {{"comm", "calls"}}) + most >= 8 * part);
    CHECK(sum(result, {{"comm", "calls"}}, "errors") <= 2 * part);
    CHECK(sum(result, {{"comm", "calls"}}, "errors") + most >= 2 * part);
  }
}

TEST_CASE("a percentile that is not known is not 0") {
  NEEDS("root");
  for (const Words& options : std::vector<Words>{{"-L"}, {"-L", "-P"}}) {
    INFO(Json(options).dump());
    live::Result result = counts(options + Words{"-i", "5ms", "--syscall", "getppid"},
                                 {"getppid", std::to_string(live::heavy(3'000'000))});
    for (const Json& row : result.rows()) CHECK((row["p99_ns"] == nullptr || row["p99_ns"] > 0));
  }
}

TEST_CASE("a partial last interval is marked") {
  NEEDS("root");
  live::Process calls(live::trigger("calls", {"getppid", "0"}));
  live::Result result = live::run("syscount", {"-p", calls.number(), "-i", "1", "-d", "1500ms"});
  auto rows = result.rows({{"syscall", "getppid"}});
  REQUIRE(rows.size() == 2);
  CHECK_FALSE(rows[0].contains("partial"));
  CHECK(rows[1]["partial"] == true);
}

TEST_CASE("-L gives plausible times", "[any-kernel]") {
  NEEDS("root");
  Json row = counts({"-L"}, {"nanosleep", "20"}).row({{"syscall", "nanosleep"}});
  auto average = row["average_ns"].get<double>(), p99 = row["p99_ns"].get<double>(),
       total = row["total_ns"].get<double>();
  CHECK(row["count"] == 20);
  CHECK(average >= 20e6);
  CHECK(average < 60e6);
  CHECK(std::abs(total / 20 - average) < 1);
  CHECK(p99 >= average * 0.8);
  CHECK(p99 <= total);
}

TEST_CASE("-L sorts by time, without it by count", "[any-kernel]") {
  NEEDS("root");
  Words calls = {"nanosleep", "20", "getppid", "1000"};
  CHECK(counts({"-L", "--top", "1"}, calls).rows().at(0)["syscall"] == "nanosleep");
  CHECK(counts({"--top", "1"}, calls).rows().at(0)["syscall"] == "getppid");
}

TEST_CASE("32-bit calls are told apart") {
  NEEDS("root");
  NEEDS("compat32");
#ifndef __x86_64__
  SKIP_CASE("the trigger makes 32-bit calls on x86_64 only");
#endif
  live::Result result = live::trace("syscount", {}, live::trigger("compat", {"getppid", "300"}));
  CHECK(result.row({{"syscall", "getppid (32-bit)"}})["count"] == 300);
  CHECK(result.rows({{"syscall", "getppid"}}).empty());
}
