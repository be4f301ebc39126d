// SPDX-License-Identifier: BSD-2-Clause
// profile: where the CPUs' time goes, by samples of what runs, with stacks.
#include "profile.h"

#include <algorithm>

#include "kit/sampler.hpp"
#include "kit/picture.hpp"
#include "kit/session.hpp"
#include "kit/stacks.hpp"
#include "kit/text.hpp"
#include "profile.skel.h"

namespace {

struct Knobs {
  kit::Number frequency{.value = 99, .most = 100'000};
  std::vector<std::uint32_t> cpus;
  bool idle = false, threads = false;
};

struct Row {
  profile_key key;
  std::uint64_t samples;
};

kit::Table<Row> make_table(kit::Stacks*& stacks, const Knobs& knobs) {
  kit::Table<Row> table;
  table.column("SAMPLES", "count", -8, "how many samples met this stack", &Row::samples)
      .column("PID", "pid", -7, "the process", [](const Row& row) { return kit::to_cell(row.key.pid); })
      .column("TID", "tid", -7, "with --threads: its thread",
              [&](const Row& row) { return knobs.threads ? kit::to_cell(row.key.tid) : kit::Cell::unknown(); })
      .only_with(knobs.threads)
      .column("COMM", "comm", 16, "the thread's name", [](const Row& row) { return kit::to_cell(row.key.comm); })
      .column("STACK", "stack", 0, "what it was doing, innermost function first",
              [&](const Row& row) { return kit::Cell::stack(stacks->of(row.key.pid, row.key.stacks)); });
  return table;
}

void declare(kit::Options& options, Knobs& knobs) {
  options.option('F', "frequency", "HZ", knobs.frequency, "samples a second on each CPU (99)")
      .option('C', "cpu", "CPU,...", knobs.cpus, "only these CPUs")
      .flag(0, "idle", knobs.idle, "samples of idle CPUs, too")
      .flag(0, "threads", knobs.threads, "tell a process's threads apart")
      .details(
          "Samples by the hardware's counter of cycles where there is one, else by a timer on each CPU; --explain says "
          "which.")
      .example("profile 10", "ten seconds of the whole machine")
      .example("profile -F 999 -- make", "a build, ten times as closely")
      .example("profile -p 1234 -d 5 --flame out.svg", "a picture of one process");
}

std::vector<Row> read_rows(kit::Stacks& stacks, kit::Report& report) {
  std::vector<Row> rows;
  std::vector<kit::Stacks::Wanted> wanted;
  for (const auto& [key, count] : report.entries<profile_key, profile_count>("counts")) {
    rows.push_back({key, count.samples});
    wanted.push_back({key.pid, key.stacks});
  }
  stacks.resolve(report, wanted);
  stacks.unite(
      rows, [](Row& row) { return std::tie(row.key); },
      [](Row& row, const Row& other) { row.samples += other.samples; });
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.samples > b.samples; });
  return rows;
}

}  // namespace

int tool(int argc, char** argv) {
  Knobs knobs;
  kit::Stacks* of_rows = nullptr;
  auto table = make_table(of_rows, knobs);
  kit::Options options(kit::Shape::stacks, "profile", "Show where the CPUs' time goes, by sampled stacks.");
  declare(options, knobs);
  kit::Stacks stacks(options);
  kit::Pictures pictures(options, "CPU time by samples", false);
  of_rows = &stacks;
  kit::Session session(options.shows(table), argc, argv);
  pictures.begin(session);

  kit::Skeleton<profile_bpf> bpf;
  bpf->rodata->with_idle = knobs.idle;
  bpf->rodata->per_thread = knobs.threads;
  stacks.prepare(bpf.object());
  kit::AttachPlan plan;
  plan.event("sample")
      .way("cycles", {{bpf->progs.sample, "sample/cycles"}})
      .way("clock", {{bpf->progs.sample, "sample/clock"}});
  session.settle(bpf, plan);
  session.load(bpf);
  stacks.follow(session, bpf.object(), pictures.tells_cgroups());
  std::optional<kit::Sampler> sampler;
  if (!session.replaying()) {
    sampler.emplace(bpf->progs.sample, session.way("sample"), knobs.frequency.value, knobs.cpus);
    session.every_second([&] { sampler->look(); });
    session.at_end([&] { sampler.reset(); });
  }
  int code = session.reports(bpf, [&](kit::Report& report) {
    auto rows = read_rows(stacks, report);
    std::uint64_t taken = 0;
    report.table(table);
    for (const Row& row : rows) {
      taken += row.samples;
      report.row(table, row);
      pictures.add(stacks.of(row.key.pid, row.key.stacks), row.key.pid, row.key.tid, kit::comm_text(row.key.comm),
                   row.samples, row.samples);
    }
    // By what they were taken: hardware's cycles, or the clock where there are none.
    report.tally({"samples", "samples", {{session.takes("sample", "cycles") ? "cycles" : "clock", taken}}});
    stacks.tally(report);
  });
  return pictures.write(session, code);
}
