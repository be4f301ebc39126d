// SPDX-License-Identifier: BSD-2-Clause
// count: how often probes are hit, by place and by what is asked for.
#include "count.h"

#include <algorithm>
#include <cstring>

#include "count.skel.h"
#include "kit/probing.hpp"

namespace {

struct Knobs {
  std::vector<std::string> words;
  kit::Number top;
  bool force = false;
};

struct Row {
  count_key key;
  std::uint64_t count;
};

kit::Table<Row> make_table(const std::unique_ptr<kit::Probing>& probing) {
  kit::Table<Row> table;
  table.column("COUNT", "count", -10, "how many hits", &Row::count)
      .column("PROBE", "probe", 32, "the place", [&](const Row& row) { return probing->name(row.key.of); })
      .column("VALUES", "values", 0, "the values that they had, by the expressions",
              [&](const Row& row) { return probing->values(row.key.of); });
  return table;
}

void declare(kit::Options& options, Knobs& knobs) {
  kit::Probing::declare(options, knobs.words, knobs.force);
  options.option(0, "top", "N", knobs.top, "only the N most frequent")
      .details("A key is up to 5 values, of which 2 may be strings of up to 62 bytes, or one beside stacks.")
      .example("count tracepoint:raw_syscalls:sys_enter -i 1", "system calls each second")
      .example("count profile:hz:99 tid -d 10", "which threads run")
      .example("count uprobe:libc:strlen arg0:str --top 10", "which strings are measured most")
      .example("count software:page-faults:100 comm", "every 100th page fault, by name of the process")
      .example("count tracepoint:block:block_rq_issue kstack --top 5",
               "by which ways in the kernel I/O is started most")
      .example("count 'kprobe:vfs_*' -d 1", "which functions of the kernel's are called");
}

// The most frequent first.
std::vector<Row> read_rows(const Knobs& knobs, kit::Report& report) {
  std::vector<Row> rows;
  for (const auto& [key, count] : report.entries<count_key, std::uint64_t>("counts")) rows.push_back({key, count});
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    return std::pair(b.count, a.key.of.place) != std::pair(a.count, b.key.of.place)
               ? std::pair(b.count, a.key.of.place) < std::pair(a.count, b.key.of.place)
               : std::memcmp(&a.key, &b.key, sizeof a.key) < 0;
  });
  if (knobs.top) rows.resize(std::min<std::size_t>(rows.size(), knobs.top.value));
  return rows;
}

}  // namespace

int tool(int argc, char** argv) {
  Knobs knobs;
  std::unique_ptr<kit::Probing> probing;
  kit::Table<Row> table = make_table(probing);
  kit::Options options(kit::Shape::interval, "count", "Count the hits of any probe, by the values that it has.");
  declare(options, knobs);
  kit::Stacks stacks(options, kit::Stacks::Letters::none);
  kit::Session session(options.shows(table), argc, argv);
  kit::ProbeDemand demand{.values = FETCH_KEY_VALUES, .keys = true, .stacks = &stacks};
  probing = std::make_unique<kit::Probing>(session, knobs.words, demand, knobs.force);
  kit::Skeleton<count_bpf> bpf;
  probing->start(bpf);
  return session.reports(bpf, [&](kit::Report& report) {
    report.table(table);
    auto rows = read_rows(knobs, report);
    std::vector<const fetch_key*> keys;
    for (const Row& row : rows) keys.push_back(&row.key.of);
    probing->look_up(report, keys);
    for (const Row& row : rows) report.row(table, row);
    probing->tally(report);
  });
}
