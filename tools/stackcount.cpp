// SPDX-License-Identifier: BSD-2-Clause
// stackcount: by which ways of calling any probe is hit.
#include "stackcount.h"

#include <algorithm>

#include "kit/picture.hpp"
#include "kit/probing.hpp"
#include "kit/stacks.hpp"
#include "kit/text.hpp"
#include "stackcount.skel.h"

namespace {

struct Row {
  stackcount_key key;
  std::uint64_t hits;
};

struct Shown {
  std::unique_ptr<kit::Probing> probing;
  kit::Stacks* stacks = nullptr;
};

kit::Cell place_of(const Shown& shown, const Row& row) {
  const kit::ProbePlace* place = shown.probing->place(row.key.place);
  return place ? kit::Cell::borrowed(place->name) : kit::Cell::unknown();
}

kit::Table<Row> make_table(const Shown& shown) {
  kit::Table<Row> table;
  table.column("HITS", "count", -10, "how many hits had this stack", &Row::hits)
      .column("PID", "pid", -7, "the process", [](const Row& row) { return kit::to_cell(row.key.pid); })
      .column("COMM", "comm", 16, "its thread's name", [](const Row& row) { return kit::to_cell(row.key.comm); })
      .column("PROBE", "probe", 28, "the place", [&](const Row& row) { return place_of(shown, row); })
      .column("STACK", "stack", 0, "how it was come to, innermost function first",
              [&](const Row& row) { return kit::Cell::stack(shown.stacks->of(row.key.pid, row.key.stacks)); });
  return table;
}

std::vector<Row> read_rows(kit::Stacks& stacks, kit::Report& report) {
  std::vector<Row> rows;
  for (const auto& [key, hits] : report.entries<stackcount_key, std::uint64_t>("counts")) rows.push_back({key, hits});
  std::vector<kit::Stacks::Wanted> wanted;
  for (const Row& row : rows) wanted.push_back({row.key.pid, row.key.stacks});
  stacks.resolve(report, wanted);
  stacks.unite(
      rows, [](Row& row) { return std::tie(row.key); }, [](Row& row, const Row& other) { row.hits += other.hits; });
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.hits > b.hits; });
  return rows;
}

void declare(kit::Options& options, std::vector<std::string>& words, bool& force) {
  kit::Probing::declare(options, words, force);
  options.example("stackcount tracepoint:block:block_rq_issue -d 10", "who starts block I/O")
      .example("stackcount uprobe:libc:malloc -- ls", "where a command allocates")
      .example("stackcount 'kprobe:vfs_fsync* /comm == \"mysqld\"/' --folded out.folded", "for a flame graph");
}

}  // namespace

int tool(int argc, char** argv) {
  Shown shown;
  std::vector<std::string> words;
  bool force = false;
  kit::Table<Row> table = make_table(shown);
  kit::Options options(kit::Shape::stacks, "stackcount", "Count the hits of any probe by stack.");
  declare(options, words, force);
  kit::Stacks stacks(options);
  shown.stacks = &stacks;
  kit::Pictures pictures(options, "Hits", false);
  kit::Session session(options.shows(table), argc, argv);
  kit::ProbeDemand demand{.values = 0, .user_stacks = true};
  shown.probing = std::make_unique<kit::Probing>(session, words, demand, force);
  pictures.begin(session);

  kit::Skeleton<stackcount_bpf> bpf;
  stacks.prepare(bpf.object());
  shown.probing->start(bpf);
  stacks.follow(session, bpf.object(), pictures.tells_cgroups());
  int code = session.reports(bpf, [&](kit::Report& report) {
    report.table(table);
    for (const Row& row : read_rows(stacks, report)) {
      report.row(table, row);
      pictures.add(stacks.of(row.key.pid, row.key.stacks), row.key.pid, 0, kit::comm_text(row.key.comm), row.hits,
                   row.hits);
    }
    stacks.tally(report);
  });
  return pictures.write(session, code);
}
