// SPDX-License-Identifier: BSD-2-Clause
// biolatency: how long block I/O takes, as a histogram.
#include "biolatency.h"

#include <algorithm>

#include "biolatency.skel.h"
#include "kit/block.hpp"
#include "kit/session.hpp"

namespace {

void declare(kit::Options& options, kit::BlockGroups& groups, bool& queue) {
  groups.declare(options);
  options.flag('Q', "queue", queue, "the time before the issue included")
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

}  // namespace

int tool(int argc, char** argv) {
  kit::BlockGroups groups;
  bool queue = false;
  kit::Options options(kit::Shape::interval, "biolatency", "Show how long block I/O takes, as a histogram.");
  declare(options, groups, queue);
  kit::Session session(options, argc, argv);

  kit::Skeleton<biolatency_bpf> bpf;
  bpf->rodata->with_queue = queue;
  bpf->rodata->per_disk = groups.per_disk;
  bpf->rodata->per_operation = groups.per_operation;
  session.settle(
      bpf, kit::block_plan(bpf.object(), session, {.queue = queue, .disks = groups.per_disk, .disk = groups.disk}));
  session.load(bpf);
  return session.reports(bpf, [&](kit::Report& report) {
    auto all = report.entries<biolatency_key, biolatency_latencies>("latencies");
    // One of everything says so when there was nothing.
    if (all.empty() && !groups.per_disk && !groups.per_operation) all.emplace_back();
    std::stable_sort(all.begin(), all.end(), [](auto& a, auto& b) { return a.second.ns.sum > b.second.ns.sum; });
    for (const auto& [key, latencies] : all) {
      kit::Histogram::Key keys;
      groups.add_keys(keys, session, key.disk, key.operation);
      report.histogram("latency", "ns", keys, latencies.ns);
    }
  });
}
