// SPDX-License-Identifier: BSD-2-Clause
// biolatency: how long block I/O takes, as a histogram.
#include "biolatency.h"

#include <algorithm>

#include "biolatency.skel.h"
#include "kit/block.hpp"
#include "kit/session.hpp"

namespace {

struct Knobs {
  bool queue = false, per_disk = false, per_operation = false;
  kit::Disk disk;
};

void declare(kit::Options& options, Knobs& knobs) {
  options.flag('Q', "queue", knobs.queue, "the time before the issue included")
      .flag('D', "per-disk", knobs.per_disk, "a histogram for each disk or partition")
      .flag('O', "per-operation", knobs.per_operation, "a histogram for each operation: read, write, flush...")
      .option(0, "disk", "NAME", knobs.disk, "only this disk, with its partitions, or only this partition")
      .shows({"latency",
              "ns",
              "how many I/Os took how long",
              {{"disk", "with -D: the disk or partition"}, {"op", "with -O: the operation"}}})
      .details(
          "The latency is from the issue to the device to the last completion; with -Q from the submission on. Of a "
          "disk that lies on another, as those of device-mapper, both are counted: -D tells them apart.")
      .example("biolatency 1 10", "ten reports, a second each")
      .example("biolatency -D -O", "by disk and operation, until interrupted")
      .example("biolatency -Q --disk sda -o json -d 10", "of one disk, queue included, as JSON");
}

kit::Histogram::Key keys(const Knobs& knobs, const kit::Session& session, const biolatency_key& key) {
  kit::Histogram::Key all;
  if (knobs.per_disk) all.emplace_back("disk", kit::disk_cell(session, key.disk));
  if (knobs.per_operation) all.emplace_back("op", kit::Cell::owned(kit::block_operation(key.operation)));
  return all;
}

}  // namespace

int tool(int argc, char** argv) {
  Knobs knobs;
  kit::Options options(kit::Shape::interval, "biolatency", "Show how long block I/O takes, as a histogram.");
  declare(options, knobs);
  kit::Session session(options, argc, argv);

  kit::Skeleton<biolatency_bpf> bpf;
  bpf->rodata->with_queue = knobs.queue;
  bpf->rodata->per_disk = knobs.per_disk;
  bpf->rodata->per_operation = knobs.per_operation;
  session.settle(bpf, kit::block_plan(bpf.object(), session, {.queue = knobs.queue, .disk = knobs.disk}));
  session.load(bpf);
  return session.reports(bpf, [&](kit::Report& report) {
    auto all = report.entries<biolatency_key, biolatency_latencies>("latencies");
    if (all.empty() && !knobs.per_disk && !knobs.per_operation) all.emplace_back();
    std::stable_sort(all.begin(), all.end(), [](auto& a, auto& b) { return a.second.ns.sum > b.second.ns.sum; });
    for (const auto& [key, latencies] : all) report.histogram("latency", "ns", keys(knobs, session, key), latencies.ns);
  });
}
