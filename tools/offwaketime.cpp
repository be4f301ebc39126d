// SPDX-License-Identifier: BSD-2-Clause
// offwaketime: what threads wait for and who ends it: time off CPU, by the sleeper's stack and the waker's.
#include "offwaketime.h"

#include "kit/waiting.hpp"
#include "offwaketime.skel.h"

namespace {

// Those that still wait have rows of their own, without a waker.
std::vector<kit::WaitRow> read_rows(const kit::Waiting& waiting, kit::Report& report, bpf_map* sleeps) {
  std::vector<kit::WaitRow> rows;
  for (const auto& [key, sum] : report.entries<offwaketime_key, kit_wait_sum>("times"))
    rows.push_back({.sleeper = key.sleeper, .waker = key.waker, .sum = sum});
  for (const auto& [tid, sleep] : kit::read_blocked<offwaketime_sleep>(report, sleeps))
    if (waiting.counts(sleep.since))
      rows.push_back({.sleeper = sleep.who.sleeper, .sum = {.count = 1, .total = sleep.since}, .blocked = 1});
  return rows;
}

}  // namespace

int tool(int argc, char** argv) {
  using kit::Waiting;
  kit::Options options(kit::Shape::stacks, "offwaketime",
                       "Show what threads wait for and who ends it, by both stacks.");
  Waiting waiting(options, "Time off CPU, and who ends it",
                  Waiting::sleeper_stack | Waiting::waker_stack | Waiting::preempted | Waiting::blocked);
  options
      .details(
          "Time from when a thread leaves its CPU until it is on one again, under the stack with which it left and the "
          "stack of the thread that woke it; a thread that was preempted, or still waits, has no waker. In pictures "
          "the waker's stack stands on the sleeper's, turned round. Filters speak of the sleeper.")
      .example("offwaketime 5", "five seconds of the whole machine")
      .example("offwaketime -p 1234 --state D", "what one process waits for on disks, and what ends it")
      .example("offwaketime --flame waits.svg -- make", "a picture of a build's waits");
  kit::Session session(options.shows(waiting.table()), argc, argv);
  waiting.begin(session);

  kit::Skeleton<offwaketime_bpf> bpf;
  kit::AttachPlan plan;
  plan.event("switch")
      .way("btf", {bpf->progs.switch_btf, bpf->progs.waking_btf})
      .way("raw", {bpf->progs.switch_raw, bpf->progs.waking_raw});
  return waiting.run(session, bpf, plan,
                     [&](kit::Report& report) { return read_rows(waiting, report, bpf->maps.sleeps); });
}
