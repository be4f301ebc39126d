// SPDX-License-Identifier: BSD-2-Clause
// Stacks as they are kept: very many of them, each by itself, and counted where there is no room.
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
