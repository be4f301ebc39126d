// SPDX-License-Identifier: BSD-2-Clause
// taskswitch: how often one task handed the CPU to another.
#include "taskswitch.h"

#include <algorithm>
#include <map>

#include "kit/session.hpp"
#include "taskswitch.skel.h"

namespace {

using Pair = taskswitch_pair;
using Task = taskswitch_task;

struct Row {
  Pair pair;
  std::uint64_t count;
  const Task *prev, *next;  // nullptr: its map had no room
};

// Who the thread ids were. A pair that is new just when a report is made may have its names in the one before.
class Tasks {
 public:
  void read(kit::Report& report) {
    before_ = std::move(now_);
    now_.clear();
    for (const auto& [tid, task] : report.entries<std::uint32_t, Task>("tasks")) now_[tid] = task;
  }
  const Task* find(std::uint32_t tid) const {
    for (const auto* tasks : {&now_, &before_})
      if (auto found = tasks->find(tid); found != tasks->end()) return &found->second;
    return nullptr;
  }

 private:
  std::map<std::uint32_t, Task> now_, before_;
};

void add(std::uint64_t& into, const std::uint64_t& from) { into += from; }

// The most frequent first. The pairs are read first: the names of all that are among them have then been kept.
std::vector<Row> read_rows(kit::Report& report, Tasks& tasks, std::uint32_t top) {
  std::vector<Row> rows;
  auto pairs = report.entries<Pair, std::uint64_t>("counts", add);
  tasks.read(report);
  for (const auto& [pair, count] : pairs) rows.push_back({pair, count, tasks.find(pair.prev), tasks.find(pair.next)});
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    if (a.count != b.count) return a.count > b.count;
    return std::pair(a.pair.prev, a.pair.next) < std::pair(b.pair.prev, b.pair.next);
  });
  if (top && rows.size() > top) rows.resize(top);
  return rows;
}

template <typename Get>
auto of(const Task* Row::*which, Get get) {
  return [which, get](const Row& row) { return row.*which ? kit::to_cell(row.*which->*get) : kit::Cell::unknown(); };
}

// The idle task has another name on each CPU: "swapper/0".
auto name_of(const Task* Row::*which) {
  return [which](const Row& row) {
    const Task* task = row.*which;
    if (!task) return kit::Cell::unknown();
    return task->tid == 0 ? kit::Cell::borrowed("(idle)") : kit::to_cell(task->comm);
  };
}

}  // namespace

int tool(int argc, char** argv) {
  kit::Number top;
  kit::Table<Row> table;
  table
      .column("PREVPID", "prev_pid", -7, "the process that gave the CPU away; 0 is the idle task",
              of(&Row::prev, &Task::pid))
      .column("PREVTID", "prev_tid", -7, "its thread", of(&Row::prev, &Task::tid))
      .column("PREVCOMM", "prev_comm", 16, "the thread's name", name_of(&Row::prev))
      .column("NEXTPID", "next_pid", -7, "the process that got it", of(&Row::next, &Task::pid))
      .column("NEXTTID", "next_tid", -7, "its thread", of(&Row::next, &Task::tid))
      .column("NEXTCOMM", "next_comm", 16, "the thread's name", name_of(&Row::next))
      .column("COUNT", "count", -10, "how often", &Row::count);

  kit::Options options(kit::Shape::interval, "taskswitch", "Count how often one task hands the CPU to another.");
  options.shows(table)
      .option(0, "top", "N", top, "only the N most frequent")
      .details("A filter takes a switch if either of the two tasks is wanted.")
      .example("taskswitch -d 10 --top 20", "the twenty most frequent in ten seconds")
      .example("taskswitch -i 1 -p 1234", "to whom and from whom one process switches, each second");
  kit::Session session(options, argc, argv);

  kit::Skeleton<taskswitch_bpf> bpf;
  kit::AttachPlan plan;
  auto& p = bpf->progs;
  plan.event("switch")
      .way("btf", {p.switch_btf}, {p.rename_btf})
      .way("raw", {p.switch_raw}, {p.rename_raw})
      .way("kprobe", {p.switch_finished}, {p.rename_raw});
  session.settle(bpf, plan);
  session.load(bpf);
  Tasks tasks;
  return session.reports(bpf, [&](kit::Report& report) {
    auto rows = read_rows(report, tasks, top.value);
    report.table(table);
    for (const Row& row : rows) report.row(table, row);
  });
}
