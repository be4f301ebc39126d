// SPDX-License-Identifier: BSD-2-Clause
// taskswitch: how often one of two threads handed the CPU to the other.
#include "harness.hpp"

using live::Json;
using live::Words;

namespace {

std::uint64_t switches(const live::Result& result, const char* prev, const char* next) {
  std::uint64_t sum = 0;
  for (const Json& row : result.rows({{"prev_comm", prev}, {"next_comm", next}}))
    sum += row["count"].get<std::uint64_t>();
  return sum;
}

bool within_percent(std::uint64_t count, std::uint64_t of) { return count >= of - of / 100 && count <= of + of / 100; }

bool has_way(const std::string& way) { return live::run("taskswitch", {"--explain", "--attach", way}).status == 0; }

}  // namespace

TEST_CASE("two pinned threads hand each other the CPU as often as they say, in every way there is") {
  NEEDS("root");
  constexpr std::uint64_t made = 2000;
  int tried = 0;
  for (const char* way : {"btf", "raw", "kprobe"}) {
    if (!has_way(way)) continue;
    live::Result result =
        live::trace("taskswitch", {"--attach", way}, live::trigger("pingpong", {std::to_string(made)}));
    INFO(way << '\n' << result.out << result.err);
    CHECK(within_percent(switches(result, "ping", "pong"), made));
    CHECK(within_percent(switches(result, "pong", "ping"), made));
    CHECK(result.lost() == 0);
    tried++;
  }
  CHECK(tried > 0);
}

TEST_CASE("a filter takes the switches from and to a task, and no others") {
  NEEDS("root");
  for (const char* comm : {"ping", "nobody-is-so"}) {
    INFO(comm);
    live::Tool tool("taskswitch", {"--comm", comm});
    live::Process process(live::trigger("pingpong", {"1000"}));
    process.wait();
    live::Result result = tool.stop();
    bool matches = std::string(comm) == "ping";
    CHECK(within_percent(switches(result, "ping", "pong"), matches ? 1000 : 0));
    for (const Json& row : result.rows()) CHECK((row["prev_comm"] == comm || row["next_comm"] == comm || matches));
    CHECK(result.rows().empty() == !matches);
  }
}

TEST_CASE("reports of an interval add up to what was made, with names in each") {
  NEEDS("root");
  live::Result result = live::trace("taskswitch", {"-i", "20ms"}, live::trigger("pingpong", {"30000"}));
  CHECK(within_percent(switches(result, "ping", "pong"), 30000));
  CHECK(result.rows().back()["interval"] > 1);
  for (const Json& row : result.rows()) CHECK(row["prev_comm"].is_string());
}
