// SPDX-License-Identifier: BSD-2-Clause
// Stacks as they are kept: very many of them, each by itself, and counted where there is no room.
#include <cstdio>

#include "harness.hpp"

using live::Json;
using live::Words;
using live::operator+;

namespace {

// The ways by which trigger ways(1) is said to have arrived, with how often, from a file of folded stacks.
std::map<std::string, std::uint64_t> arrivals(const std::string& path) {
  std::map<std::string, std::uint64_t> ways;
  std::ifstream lines(path);
  for (std::string line; std::getline(lines, line);) {
    std::size_t end = line.find(";arrive"), begin = line.find_first_of("lr", line.find(";main;") + 6);
    if (end == line.npos) continue;
    ways[line.substr(begin, end - begin)] += std::stoull(line.substr(line.rfind(' ') + 1));
  }
  return ways;
}

// Runs it under a tool that is given no names to look for but the symbols'.
live::Result follow(const std::string& tool, const Words& options, std::uint64_t count, const std::string& folded) {
  return live::trace(tool, options + Words{"--no-lines", "--folded", folded},
                     live::trigger("ways", {std::to_string(count)}));
}

std::uint64_t hits(const live::Result& result) {
  std::uint64_t sum = 0;
  for (const Json& row : result.rows()) sum += row["count"].get<std::uint64_t>();
  return sum;
}

Words at_arrival() { return {"uprobe:" + test::trigger_path("ways") + ":arrived"}; }

}  // namespace

TEST_CASE("of 20,000 different stacks none is lost and no two are one") {
  NEEDS("root");
  live::File folded;
  std::uint64_t count = live::heavy(20'000);
  live::Result result = follow("stackcount", at_arrival(), count, folded.path());
  INFO(result.err);
  CHECK(result.status == 0);
  CHECK(result.lost() == 0);
  CHECK(result.row_lines() == count);
  auto ways = arrivals(folded.path());
  CHECK(ways.size() == count);
  CHECK(std::all_of(ways.begin(), ways.end(), [](const auto& way) { return way.second == 1; }));
}

TEST_CASE("stacks for which there is no room are counted: lost and shown are all that were made", "[any-kernel]") {
  NEEDS("root");
  live::File folded;
  std::uint64_t count = live::heavy(20'000);
  live::Result result = follow("stackcount", at_arrival() + Words{"--stacks", "500"}, count, folded.path());
  INFO(result.err);
  Json lost = result.end()["lost"];
  CHECK(hits(result) == 500);
  CHECK(lost["map_full.stacks"] == count - 500);
  CHECK(hits(result) + result.lost() == count);
  CHECK(arrivals(folded.path()).size() == 500);
  CHECK(follow("stackcount", at_arrival() + Words{"--stacks", "500", "--strict"}, count, folded.path()).status == 3);
}

TEST_CASE("where a kernel makes less room for stacks than is asked for, it is said", "[each-kernel]") {
  NEEDS("root");
  live::File folded;
  std::string release = test::read_file("/proc/sys/kernel/osrelease");
  int major = 0, minor = 0;
  REQUIRE(std::sscanf(release.c_str(), "%d.%d", &major, &minor) == 2);
  bool made_before = major < 6 || (major == 6 && minor < 1);
  live::Result result = follow("offcputime", {"--state", "S", "--stacks", "300000"}, 50, folded.path());
  INFO(result.err);
  CHECK(result.status == 0);
  bool said = result.err.find(
                  "offcputime: --stacks 300000: this kernel (before 6.1) makes the room beforehand: there is "
                  "some for 65536 stacks of over 31 frames and 262144 others in a report\n") != result.err.npos;
  CHECK(said == made_before);
  CHECK(follow("offcputime", {"--stacks", "65536"}, 50, folded.path()).err.find("--stacks") == std::string::npos);
}

// Each report reads other stacks than the one before, of which no more are kept than a report has room for twice.
TEST_CASE("in a run of many reports each row has its stack, whatever was forgotten") {
  NEEDS("root");
  std::uint64_t count = live::heavy(20'000), shown = 0;
  live::Result result = live::trace("stackcount", at_arrival() + Words{"--no-lines", "--stacks", "2000", "-i", "20ms"},
                                    live::trigger("ways", {std::to_string(count)}));
  INFO(result.err);
  CHECK(result.status == 0);
  std::uint64_t last = 0;
  for (const Json& row : result.rows()) {
    shown += row["count"].get<std::uint64_t>();
    last = row["interval"];
    CHECK(row["stack"].back()["reason"] != "its stack is no longer kept");
    CHECK(row["stack"].dump().find("arrive") != std::string::npos);
  }
  CHECK(shown + result.lost() == count);
  CHECK(last > 3);
}

// A sleep may also be lost for its end, where the kernel does not tell of each.
TEST_CASE("20,000 sleeps in different places are as many stacks") {
  NEEDS("root");
  live::File folded;
  std::uint64_t count = live::heavy(20'000);
  live::Result result = follow("offcputime", {"--state", "S"}, count, folded.path());
  INFO(result.err);
  std::uint64_t unseen = result.end()["lost"]["return_unseen"].get<std::uint64_t>();
  CHECK(result.lost() == 0);
  CHECK(unseen * 10 < count);
  CHECK(arrivals(folded.path()).size() + unseen == count);
}
