// SPDX-License-Identifier: BSD-2-Clause
// taskswitch: how often one of two threads handed the CPU to the other.
#include "harness.hpp"

using live::Json;
using live::Words;

namespace {

// From the trigger's first thread to its second, and the other way.
struct Switches {
  std::uint64_t there = 0, back = 0;
};
Switches switches(const live::Result& result) {
  Switches sum;
  for (const Json& row : result.rows()) {
    if (row["prev_pid"] != row["next_pid"] || row["prev_pid"] == 0) continue;
    (row["prev_tid"] == row["prev_pid"] ? sum.there : sum.back) += row["count"].get<std::uint64_t>();
  }
  return sum;
}

bool within_percent(std::uint64_t count, std::uint64_t of) { return count >= of - of / 100 && count <= of + of / 100; }

bool has_way(const std::string& way) { return live::run("taskswitch", {"--explain", "--attach", way}).status == 0; }

}  // namespace

TEST_CASE("two pinned threads hand each other the CPU as often as they say, in every way there is", "[each-kernel]") {
  NEEDS("root");
  constexpr std::uint64_t made = 2000;
  int tried = 0;
  for (const char* way : {"btf", "raw", "kprobe"}) {
    if (!has_way(way)) continue;
    live::Result result =
        live::trace("taskswitch", {"--attach", way}, live::trigger("pingpong", {std::to_string(made)}));
    INFO(way << '\n' << result.out << result.err);
    CHECK(within_percent(switches(result).there, made));
    CHECK(within_percent(switches(result).back, made));
    CHECK(result.lost() == 0);
    tried++;
  }
  CHECK(tried > 0);
}

TEST_CASE("a filter takes the switches from and to a task, and no others") {
  NEEDS("root");
  live::Process other(live::trigger("says"));
  for (bool matches : {true, false}) {
    live::Process process(live::trigger("pingpong", {"1000"}), {.gated = true});
    int pid = matches ? process.pid() : other.pid();
    live::Tool tool("taskswitch", {"--pid", std::to_string(pid)});
    process.go();
    process.wait();
    live::Result result = tool.stop();
    INFO(result.out << result.err);
    CHECK(within_percent(switches(result).there, matches ? 1000 : 0));
    for (const Json& row : result.rows()) CHECK((row["prev_pid"] == pid || row["next_pid"] == pid));
  }
}

TEST_CASE("reports of an interval add up to what was made, with names in each") {
  NEEDS("root");
  live::Result result = live::trace("taskswitch", {"-i", "20ms"}, live::trigger("pingpong", {"30000"}));
  CHECK(within_percent(switches(result).there, 30000));
  CHECK(result.rows().back()["interval"] > 1);
  for (const Json& row : result.rows()) CHECK(row["prev_comm"].is_string());
}
