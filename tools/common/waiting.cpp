// SPDX-License-Identifier: BSD-2-Clause
#include "kit/waiting.hpp"

#include <bpf/bpf.h>
#include <time.h>

#include <algorithm>
#include <cstring>

#include "kit/text.hpp"

namespace kit {

Waiting::Waiting(Options& options, const std::string& title, unsigned shows)
    : shows_(shows), stacks_(options), pictures_(options, title, true) {
  declare(options);
  add_columns();
}

void Waiting::declare(Options& options) {
  options.option(0, "min", "DURATION", shortest_, "only times from this long on (1ms)")
      .option(0, "max", "DURATION", longest_, "only times up to this long")
      .add(0, "state", "STATE,...",
           cat("only threads that went in these states: S, D, T, t", shows_ & preempted ? "; or R: preempted" : ""),
           [this](std::string_view text) { return parse_states(text); })
      .flag(0, "threads", threads_, "tell a process's threads apart");
}

// As ps(1) has them; R is one that was willing to go on, but another's turn came.
std::string Waiting::parse_states(std::string_view text) {
  for (std::string_view state : split(text, ',')) {
    std::size_t bit = state.size() == 1 ? std::string_view("SDTt").find(state[0]) : std::string_view::npos;
    if (state == "R" && text == "R" && (shows_ & preempted))
      only_preempted_ = true;
    else if (bit != std::string_view::npos)
      states_ |= 1u << bit;
    else
      return shows_ & preempted ? "expects R alone, or some of S,D,T,t" : "expects some of S,D,T,t";
  }
  return "";
}

void Waiting::add_columns() {
  table_
      .column("TOTAL(ms)", "total_ns", -12, "how long, together",
              [](const WaitRow& row) { return Cell::duration(row.sum.total, Unit::ms); })
      .column("COUNT", "count", -8, "how many times", [](const WaitRow& row) { return to_cell(row.sum.count); });
  if (shows_ & blocked)
    table_.column("BLOCKED", "blocked", -8, "how many of them were still off CPU at the end", &WaitRow::blocked);
  table_
      .column("PID", "pid", -7, "the process that waited", [](const WaitRow& row) { return to_cell(row.sleeper.pid); })
      .column("TID", "tid", -7, "with --threads: its thread",
              [this](const WaitRow& row) { return threads_ ? to_cell(row.sleeper.tid) : Cell::unknown(); })
      .only_with(threads_)
      .column("COMM", "comm", 16, "the thread's name", [](const WaitRow& row) { return to_cell(row.sleeper.comm); });
  auto woken = [](const WaitRow& row) { return row.waker.comm[0] != 0; };
  if (shows_ & waker_stack)
    table_
        .column("WAKER", "waker_pid", -7, "the process that woke it; 0: an interrupt of an idle CPU",
                [woken](const WaitRow& row) { return woken(row) ? to_cell(row.waker.pid) : Cell::none(); })
        .column("WTID", "waker_tid", -7, "with --threads: its thread",
                [this, woken](const WaitRow& row) {
                  return threads_ && woken(row) ? to_cell(row.waker.tid) : Cell::unknown();
                })
        .only_with(threads_)
        .column("WCOMM", "waker_comm", 16, "the name of the thread that woke it",
                [woken](const WaitRow& row) { return woken(row) ? to_cell(row.waker.comm) : Cell::none(); });
  if (shows_ & sleeper_stack)
    table_.column("STACK", "stack", 0, "where it went off CPU, innermost function first",
                  [this](const WaitRow& row) { return Cell::stack(stacks_.of(row.sleeper.pid, row.sleeper.stacks)); });
  if (shows_ & waker_stack)
    table_.column("WOKEN BY", "waker_stack", 0, "where it was woken from, innermost function first",
                  [this](const WaitRow& row) { return Cell::stack(stacks_.of(row.waker.pid, row.waker.stacks)); });
}

void Waiting::prepare(bpf_object* object) {
  set_knob(object, "shortest", shortest_.ns);
  set_knob(object, "longest", longest_.ns);
  set_knob(object, "states", states_);
  set_knob(object, "only_preempted", only_preempted_);
  set_knob(object, "per_thread", threads_);
  stacks_.prepare(object);
}

Stack Waiting::joined(const WaitRow& row) {
  const Stack& waker = stacks_.of(row.waker.pid, row.waker.stacks);
  if (!(shows_ & waker_stack)) return stacks_.of(row.sleeper.pid, row.sleeper.stacks);
  std::string comm(comm_text(shows_ & sleeper_stack ? row.waker.comm : row.sleeper.comm));
  separator_ = shows_ & sleeper_stack ? cat("woken by ", comm) : cat("wakes ", comm);
  Stack stack = {{.name = separator_, .kind = StackFrame::Kind::kernel}};
  if (!(shows_ & sleeper_stack)) {
    stack.insert(stack.end(), waker.begin(), waker.end());
    return stack;
  }
  if (comm.empty()) stack.clear();  // nobody has
  stack.insert(stack.begin(), waker.rbegin(), waker.rend());
  const Stack& sleeper = stacks_.of(row.sleeper.pid, row.sleeper.stacks);
  stack.insert(stack.end(), sleeper.begin(), sleeper.end());
  return stack;
}

void Waiting::show(Report& report, std::vector<WaitRow> rows) {
  std::vector<Stacks::Wanted> wanted;
  for (const WaitRow& row : rows) {
    if (shows_ & sleeper_stack) wanted.push_back({row.sleeper.pid, row.sleeper.stacks});
    if ((shows_ & waker_stack) && row.waker.comm[0]) wanted.push_back({row.waker.pid, row.waker.stacks});
  }
  stacks_.resolve(report, wanted);
  stacks_.unite(
      rows, [](WaitRow& row) { return std::tie(row.sleeper, row.waker); },
      [](WaitRow& row, const WaitRow& other) {
        row.sum.count += other.sum.count;
        row.sum.total += other.sum.total;
        row.blocked += other.blocked;
      });
  std::stable_sort(rows.begin(), rows.end(),
                   [](const WaitRow& a, const WaitRow& b) { return a.sum.total > b.sum.total; });
  report.table(table_);
  for (const WaitRow& row : rows) {
    const kit_wait_side& whose = shows_ & sleeper_stack ? row.sleeper : row.waker;
    report.row(table_, row);
    pictures_.add(joined(row), whose.pid, whose.tid, comm_text(whose.comm), row.sum.total, row.sum.count);
  }
  stacks_.tally(report);
}

std::vector<RawEntry> read_sleeps(bpf_map* map) {
  std::vector<RawEntry> entries;
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  auto now = static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(time.tv_nsec);
  std::uint32_t tid, *before = nullptr;
  for (; bpf_map_get_next_key(bpf_map__fd(map), before, &tid) == 0; before = &tid) {
    RawEntry entry = raw_entry(tid, now);
    std::uint64_t since;
    entry.values.resize(bpf_map__value_size(map));
    if (bpf_map_lookup_elem(bpf_map__fd(map), &tid, entry.values.data()) != 0) continue;
    std::memcpy(&since, entry.values.data(), sizeof since);
    if (since == 0) continue;  // it is on a CPU
    since = now - std::min(now, since);
    std::memcpy(entry.values.data(), &since, sizeof since);
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace kit
