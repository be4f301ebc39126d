// SPDX-License-Identifier: BSD-2-Clause
// wakeuptime: who wakes whom, with the waker's stack, and how long the woken had slept.
#include "wakeuptime.h"

#include "kit/waiting.hpp"
#include "wakeuptime.skel.h"

namespace {

std::vector<kit::WaitRow> read_rows(kit::Report& report) {
  std::vector<kit::WaitRow> rows;
  for (const auto& [key, sum] : report.entries<wakeuptime_key, kit_wait_sum>("times"))
    rows.push_back({.sleeper = key.woken, .waker = key.waker, .sum = sum});
  return rows;
}

}  // namespace

int tool(int argc, char** argv) {
  kit::Options options(kit::Shape::stacks, "wakeuptime", "Show who wakes whom, and how long the woken had slept.");
  kit::Waiting waiting(options, "Time slept, by who ends it", kit::Waiting::waker_stack);
  options
      .details(
          "Time from when a thread leaves its CPU until another wakes it, under the stack of the other. Filters speak "
          "of the thread that is woken. An interrupt wakes in the name of whatever thread it interrupted; its stack "
          "tells.")
      .example("wakeuptime 5", "five seconds of the whole machine")
      .example("wakeuptime -p 1234 --threads", "who wakes each thread of a process")
      .example("wakeuptime --min 10ms -- make", "who ends a build's longer waits");
  kit::Session session(options.shows(waiting.table()), argc, argv);
  waiting.begin(session);

  kit::Skeleton<wakeuptime_bpf> bpf;
  kit::AttachPlan plan;
  plan.event("switch")
      .way("btf", {bpf->progs.switch_btf, bpf->progs.waking_btf})
      .way("raw", {bpf->progs.switch_raw, bpf->progs.waking_raw});
  return waiting.run(session, bpf, plan, read_rows);
}
