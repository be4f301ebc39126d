// SPDX-License-Identifier: BSD-2-Clause
// offcputime: what threads wait for, and how long: time off CPU, by stack.
#include "offcputime.h"

#include <bpf/bpf.h>
#include <time.h>

#include <algorithm>

#include "kit/picture.hpp"
#include "kit/session.hpp"
#include "kit/stacks.hpp"
#include "kit/text.hpp"
#include "offcputime.skel.h"

namespace {

struct Knobs {
  kit::Duration shortest, longest{.ns = UINT64_MAX};
  bool threads = false, preempted = false;
  std::uint32_t states = 0;
};

struct Row {
  offcputime_key key;
  offcputime_time time;
  std::uint64_t blocked;
};

kit::Table<Row> make_table(kit::Stacks*& stacks, const Knobs& knobs) {
  kit::Table<Row> table;
  table
      .column("TOTAL(ms)", "total_ns", -12, "time off CPU, together",
              [](const Row& row) { return kit::Cell::duration(row.time.total, kit::Unit::ms); })
      .column("COUNT", "count", -8, "how many times", [](const Row& row) { return kit::to_cell(row.time.count); })
      .column("BLOCKED", "blocked", -8, "how many of them were still off CPU at the end", &Row::blocked)
      .column("PID", "pid", -7, "the process", [](const Row& row) { return kit::to_cell(row.key.pid); })
      .column("TID", "tid", -7, "with --threads: its thread",
              [&](const Row& row) { return knobs.threads ? kit::to_cell(row.key.tid) : kit::Cell::unknown(); })
      .only_with(knobs.threads)
      .column("COMM", "comm", 16, "the thread's name", [](const Row& row) { return kit::to_cell(row.key.comm); })
      .column("STACK", "stack", 0, "where it went off CPU, innermost function first",
              [&](const Row& row) { return kit::Cell::stack(stacks->of(row.key.pid, row.key.stacks)); });
  return table;
}

// As ps(1) has them; R is one that was willing to go on, but another's turn came.
std::string parse_states(std::string_view text, Knobs& knobs) {
  for (std::string_view state : kit::split(text, ',')) {
    std::size_t bit = state.size() == 1 ? std::string_view("SDTt").find(state[0]) : std::string_view::npos;
    if (state == "R" && text == "R")
      knobs.preempted = true;
    else if (bit != std::string_view::npos)
      knobs.states |= 1u << bit;
    else
      return "expects R alone, or some of S,D,T,t";
  }
  return "";
}

void declare(kit::Options& options, Knobs& knobs) {
  options.option(0, "min", "DURATION", knobs.shortest, "only times off CPU from this long on (1ms)")
      .option(0, "max", "DURATION", knobs.longest, "only times up to this long")
      .add(0, "state", "STATE,...", "only threads that went in these states: S, D, T, t; or R: preempted",
           [&knobs](std::string_view text) { return parse_states(text, knobs); })
      .flag(0, "threads", knobs.threads, "tell a process's threads apart")
      .details(
          "Time from when a thread leaves its CPU until it is on one again, under the stack with which it left. What "
          "is still off CPU when the run ends is counted up to then; what left before it began is not known. The idle "
          "task is left out.")
      .example("offcputime 5", "five seconds of the whole machine")
      .example("offcputime -p 1234 --min 1ms", "where one process waits for a millisecond or more")
      .example("offcputime --state D -- tar c /usr", "what a command waits for on disks");
}

// Those that are off CPU now, for the last report, with the time until now in the place of when they left.
std::vector<kit::RawEntry> read_blocked(bpf_map* map, bool wanted) {
  std::vector<kit::RawEntry> entries;
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  std::uint64_t now =
      static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(time.tv_nsec);
  std::uint32_t tid, *before = nullptr;
  for (offcputime_sleep sleep; wanted && bpf_map_get_next_key(bpf_map__fd(map), before, &tid) == 0; before = &tid) {
    if (bpf_map_lookup_elem(bpf_map__fd(map), &tid, &sleep) != 0) continue;
    sleep.since = now - std::min<std::uint64_t>(now, sleep.since);
    entries.push_back(kit::raw_entry(tid, sleep));
  }
  return entries;
}

std::vector<Row> read_rows(kit::Stacks& stacks, const Knobs& knobs, kit::Report& report, bpf_map* sleeps) {
  std::vector<Row> rows;
  for (const auto& [key, time] : report.entries<offcputime_key, offcputime_time>("times"))
    rows.push_back({key, time, 0});
  auto blocked = report.found_out("blocked", [&] { return read_blocked(sleeps, report.last()); });
  for (const auto& [tid, sleep] : kit::decode_entries<std::uint32_t, offcputime_sleep>(blocked)) {
    if (sleep.since < knobs.shortest.ns || sleep.since > knobs.longest.ns) continue;
    auto same = [key = sleep.key](const Row& row) { return std::memcmp(&row.key, &key, sizeof key) == 0; };
    auto row = std::find_if(rows.begin(), rows.end(), same);
    if (row == rows.end()) row = rows.insert(row, {sleep.key, {}, 0});
    row->time.count++;
    row->time.total += sleep.since;
    row->blocked++;
  }
  std::vector<kit::Stacks::Wanted> wanted;
  for (const Row& row : rows) wanted.push_back({row.key.pid, row.key.stacks});
  stacks.resolve(report, wanted);
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.time.total > b.time.total; });
  return rows;
}

}  // namespace

int tool(int argc, char** argv) {
  kit::Stacks* of_rows = nullptr;
  Knobs knobs;
  auto table = make_table(of_rows, knobs);
  kit::Options options(kit::Shape::stacks, "offcputime", "Show what threads wait for, and how long, by stack.");
  declare(options, knobs);
  kit::Stacks stacks(options);
  kit::Pictures pictures(options, "Time off CPU", true);
  of_rows = &stacks;
  kit::Session session(options.shows(table), argc, argv);
  pictures.begin(session);

  kit::Skeleton<offcputime_bpf> bpf;
  bpf->rodata->shortest = knobs.shortest.ns;
  bpf->rodata->longest = knobs.longest.ns;
  bpf->rodata->states = knobs.states;
  bpf->rodata->only_preempted = knobs.preempted;
  bpf->rodata->per_thread = knobs.threads;
  stacks.prepare(bpf.object());
  kit::AttachPlan plan;
  plan.event("switch").way("btf", {bpf->progs.switch_btf}).way("raw", {bpf->progs.switch_raw});
  session.settle(bpf, plan);
  session.load(bpf);
  stacks.follow(session, bpf.object());
  int code = session.reports(bpf, [&](kit::Report& report) {
    auto rows = read_rows(stacks, knobs, report, bpf->maps.sleeps);
    report.table(table);
    for (const Row& row : rows) {
      report.row(table, row);
      pictures.add(stacks.of(row.key.pid, row.key.stacks), row.key.pid, row.key.tid, kit::comm_text(row.key.comm),
                   row.time.total, row.time.count);
    }
    stacks.tally(report);
  });
  return pictures.write(session, code);
}
