// SPDX-License-Identifier: BSD-2-Clause
// offcputime: what threads wait for, and how long: time off CPU, by stack.
#include "offcputime.h"

#include <algorithm>

#include "kit/waiting.hpp"
#include "offcputime.skel.h"

namespace {

using kit::Waiting;

std::vector<kit::WaitRow> read_rows(const Waiting& waiting, kit::Report& report, bpf_map* sleeps) {
  std::vector<kit::WaitRow> rows;
  for (const auto& [key, sum] : report.entries<offcputime_key, kit_wait_sum>("times"))
    rows.push_back({.sleeper = key.who, .sum = sum});
  for (const auto& [tid, sleep] : kit::read_blocked<offcputime_sleep>(report, sleeps)) {
    if (!waiting.counts(sleep.since)) continue;
    auto same = [who = sleep.key.who](const auto& row) { return std::memcmp(&row.sleeper, &who, sizeof who) == 0; };
    auto row = std::find_if(rows.begin(), rows.end(), same);
    if (row == rows.end()) row = rows.insert(row, {.sleeper = sleep.key.who});
    row->sum.count++;
    row->sum.total += sleep.since;
    row->blocked++;
  }
  return rows;
}

}  // namespace

int tool(int argc, char** argv) {
  kit::Options options(kit::Shape::stacks, "offcputime", "Show what threads wait for, and how long, by stack.");
  Waiting waiting(options, "Time off CPU", Waiting::sleeper_stack | Waiting::preempted | Waiting::blocked);
  options
      .details(
          "Time from when a thread leaves its CPU until it is on one again, under the stack with which it left. What "
          "is still off CPU when the run ends is counted up to then; what left before it began is not known. The idle "
          "task is left out.")
      .example("offcputime 5", "five seconds of the whole machine")
      .example("offcputime -p 1234 --min 1ms", "where one process waits for a millisecond or more")
      .example("offcputime --state D -- tar c /usr", "what a command waits for on disks");
  kit::Session session(options.shows(waiting.table()), argc, argv);
  waiting.begin(session);

  kit::Skeleton<offcputime_bpf> bpf;
  kit::AttachPlan plan;
  plan.event("switch").way("btf", {bpf->progs.switch_btf}).way("raw", {bpf->progs.switch_raw});
  return waiting.run(session, bpf, plan,
                     [&](kit::Report& report) { return read_rows(waiting, report, bpf->maps.sleeps); });
}
