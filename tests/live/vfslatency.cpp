// SPDX-License-Identifier: BSD-2-Clause
// vfslatency: as many operations as were made, and those that take 20 ms take that long.
#include "harness.hpp"

using live::Json;
using live::Words;
using live::operator+;

namespace {

// Every way of the plan that this kernel lets be taken.
std::vector<Words> ways() {
  std::vector<Words> all = {{"--attach", "calls"}, {"--attach", "calls-raw"}};
  if (test::lacks("fentry").empty()) all.push_back({"--attach", "fexit"});
  if (test::lacks("kprobe").empty()) all.push_back({"--attach", "kprobe"});
  return all;
}

live::Result measure(const Words& options, const Words& acts) {
  test::TemporaryDirectory folder;
  live::Process files(live::trigger("files", Words{folder.path()} + acts), {.gated = true});
  live::Tool tool("vfslatency", options + Words{"-p", files.number()});
  files.go();
  live::Result result = tool.finish();  // which the end of the process ends
  CHECK(files.wait() == 0);
  CHECK(result.status == 0);
  CHECK(result.lost() == (live::brief() ? result.skipped() : 0));
  return result;
}

std::uint64_t count(const live::Result& result, const std::string& op) {
  std::uint64_t sum = 0;
  for (const Json& one : result.histograms({{"op", op}})) sum += one["count"].get<std::uint64_t>();
  return sum;
}

}  // namespace

TEST_CASE("each operation is counted as often as it was made, in every way", "[each-kernel]") {
  NEEDS("root");
  for (const Words& way : ways()) {
    INFO(way.back());
    live::Result result = measure(way, {"read", "1000", "write", "200", "open", "300", "fsync", "5"});
    // The file itself was opened and written to once before; functions are seen to open the program, too, as exec does.
    bool calls = way.back().starts_with("calls");
    CHECK(count(result, "read") == 1000);
    CHECK(count(result, "write") == 201);
    CHECK(count(result, "open") == (calls ? 301 : 302));
    CHECK(count(result, "fsync") == 5);
    for (const Json& one : result.histograms()) {
      CHECK(one["unit"] == "ns");
      CHECK(one["name"] == (calls ? "system call latency" : "latency"));
      std::uint64_t sum = 0;
      for (const Json& bucket : one["buckets"]) sum += bucket["count"].get<std::uint64_t>();
      CHECK(sum == one["count"]);
    }
  }
}

TEST_CASE("a read that waits for 20 ms takes 20 ms") {
  NEEDS("root");
  for (const Words& way : ways()) {
    INFO(way.back());
    live::Result result = measure(way + Words{"--op", "read"}, {"wait", "20"});
    auto reads = result.histograms();
    REQUIRE(reads.size() == 1);
    CHECK(reads[0]["count"] == 20);
    // The writer never sleeps for less, and the reader is back before it has slept again; only the sum is both exact
    // and beyond what else the machine does.
    CHECK(reads[0]["sum"] >= 19 * 20'000'000);
    CHECK(reads[0]["max"] >= 19'000'000);
  }
}

TEST_CASE("--op leaves out the others, -P tells processes apart") {
  NEEDS("root");
  live::Result some = measure({"--op", "write,fsync", "-P"}, {"read", "10", "write", "20", "open", "30", "fsync", "4"});
  CHECK(count(some, "read") == 0);
  CHECK(count(some, "write") == 21);
  CHECK(count(some, "open") == 0);
  CHECK(count(some, "fsync") == 4);
  auto writes = some.histograms({{"op", "write"}});
  REQUIRE(writes.size() == 1);
  CHECK(writes[0]["key"]["comm"] == "files");
  CHECK(writes[0]["key"]["pid"].is_number());
}

TEST_CASE("processes that are not meant are left out") {
  NEEDS("root");
  test::TemporaryDirectory folder;
  live::Process files(live::trigger("files", {folder.path(), "read", "500"}), {.gated = true});
  live::Tool tool("vfslatency", {"--comm", "nobody-is-called-so"});
  files.go();
  CHECK(files.wait() == 0);
  live::Result result = tool.stop();
  CHECK(result.status == 0);
  CHECK(result.histograms().empty());
}

TEST_CASE("an operation that there is not is refused, with the nearest", "[any-kernel]") {
  test::Ran ran = test::run({test::tool_path("vfslatency"), "--op", "raed"});
  CHECK(ran.status == 64);
  CHECK(ran.out.empty());
  CHECK(ran.err.find("did you mean read?") != std::string::npos);
}
