// SPDX-License-Identifier: BSD-2-Clause
// Time off CPU in a frontend: the other side of bpf/lib/waiting.bpf.h. Options, columns and pictures of the tools that
// show who waits, for how long and who ends it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "kit/picture.hpp"
#include "kit/session.hpp"
#include "kit/stacks.hpp"
#include "kit/waiting.h"

namespace kit {

struct WaitRow {
  kit_wait_side sleeper{}, waker{};
  kit_wait_sum sum{};
  std::uint64_t blocked = 0;  // how many of them still waited
};

class Waiting {
 public:
  enum Shows { sleeper_stack = 1, waker_stack = 2, preempted = 4, blocked = 8 };
  // Declares the options; `shows` says which stacks and counts there are.
  Waiting(Options& options, const std::string& title, unsigned shows);
  Waiting(const Waiting&) = delete;  // the columns point here
  const Columns& table() const { return table_; }

  // After the command line was read.
  void begin(Session& session) { pictures_.begin(session); }
  // All the rest: `rows` reads those of a report. Returns the exit code.
  template <typename S>
  int run(Session& session, Skeleton<S>& bpf, const AttachPlan& plan,
          const std::function<std::vector<WaitRow>(Report&)>& rows) {
    prepare(bpf.object());
    session.settle(bpf, plan);
    session.load(bpf);
    stacks_.follow(session, bpf.object(), pictures_.tells_cgroups());
    return pictures_.write(session, session.reports(bpf, [&](Report& report) { show(report, rows(report)); }));
  }

  // Whether a time is of a length that is asked for.
  bool counts(std::uint64_t ns) const { return ns >= shortest_.ns && ns <= longest_.ns; }

 private:
  void declare(Options& options);
  void add_columns();
  void prepare(bpf_object* object);
  // The longest time first.
  void show(Report& report, std::vector<WaitRow> rows);
  std::string parse_states(std::string_view text);
  // The sleeper's stack and, where both are shown, beneath its leaf the waker's turned round.
  Stack joined(const WaitRow& row);

  unsigned shows_;
  Duration shortest_, longest_{.ns = UINT64_MAX};
  bool threads_ = false, only_preempted_ = false;
  std::uint32_t states_ = 0;
  Table<WaitRow> table_;
  Stacks stacks_;
  Pictures pictures_;
  std::string separator_;  // joined()'s own frame
};

// The entries of a map in which a program keeps the threads that are off CPU, each with the time until now in place of
// when it left: its values begin with that, in CLOCK_MONOTONIC.
std::vector<RawEntry> read_sleeps(bpf_map* map);
// Those that wait at the end of the last report, also of one that is replayed.
template <typename Sleep>
std::vector<std::pair<std::uint32_t, Sleep>> read_blocked(Report& report, bpf_map* sleeps) {
  return decode_entries<std::uint32_t, Sleep>(
      report.found_out("blocked", [&] { return report.last() ? read_sleeps(sleeps) : std::vector<RawEntry>(); }));
}

}  // namespace kit
