// SPDX-License-Identifier: BSD-2-Clause
// biolatency: how long block I/O takes, as a histogram.
#include "biolatency.h"

#include <map>

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

// By which I/O they are of, as a number (biolatency_number()); a number may come from its place and from the map.
std::map<std::uint64_t, kit_histogram> take_latencies(kit::Report& report) {
  std::map<std::uint64_t, kit_histogram> all;
  for (const auto& [number, latencies] : report.entries<std::uint64_t, biolatency_latencies>("latencies"))
    kit::add(all[number], latencies.ns);
  return all;
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
    auto all = take_latencies(report);
    // One of everything says so when there was nothing.
    if (all.empty() && !groups.per_disk && !groups.per_operation) all.emplace();
    std::multimap<std::uint64_t, std::uint64_t, std::greater<>> longest_first;
    for (const auto& [number, latencies] : all) longest_first.emplace(latencies.sum, number);
    for (const auto& [sum, number] : longest_first) {
      biolatency_key key = biolatency_key_of(number);
      kit::Histogram::Key keys;
      groups.add_keys(keys, session, key.disk, key.operation);
      report.histogram("latency", "ns", keys, all[number]);
    }
  });
}
