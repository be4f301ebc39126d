// SPDX-License-Identifier: BSD-2-Clause
// bitesize: how large the I/Os are that each process makes, as a histogram.
#include "bitesize.h"

#include <map>

#include "bitesize.skel.h"
#include "kit/block.hpp"
#include "kit/session.hpp"

namespace {

using Sizes = bitesize_sizes;

void declare(kit::Options& options, kit::BlockGroups& groups) {
  groups.declare(options);
  options
      .shows({"size",
              "bytes",
              "how many I/Os of a process were how large",
              {{"pid", "the process that submitted them"},
               {"comm", "its name"},
               {"disk", "with -D: the disk or partition"},
               {"op", "with -O: the operation"}}})
      .details(
          "Counts I/O when it is over, as large as the disk got it: after small ones were joined. A flush has no size "
          "and counts as 0. What was buffered is written by the kernel's own processes.")
      .example("bitesize -d 10", "how large each process's I/O is, in ten seconds")
      .example("bitesize -O --disk sda 1", "reads and writes of one disk apart, each second");
}

// By whose they are, as a number (bitesize_number()); a number may come from its place and from the map.
std::map<std::uint64_t, Sizes> take_sizes(kit::Report& report) {
  std::map<std::uint64_t, Sizes> all;
  for (const auto& [whose, sizes] : report.entries<std::uint64_t, Sizes>("sizes")) {
    auto [at, is_new] = all.try_emplace(whose, sizes);
    if (!is_new) kit::add(at->second.bytes, sizes.bytes);
  }
  return all;
}

}  // namespace

int tool(int argc, char** argv) {
  kit::BlockGroups groups;
  kit::Options options(kit::Shape::interval, "bitesize", "Show how large each process's block I/O is, as a histogram.");
  declare(options, groups);
  kit::Session session(options, argc, argv);

  kit::Skeleton<bitesize_bpf> bpf;
  bpf->rodata->per_disk = groups.per_disk;
  bpf->rodata->per_operation = groups.per_operation;
  kit::BlockNeeds needs = {
      .process = true, .thread = false, .latency = false, .disks = groups.per_disk, .disk = groups.disk};
  session.settle(bpf, kit::block_plan(bpf.object(), session, needs));
  session.load(bpf);
  return session.reports(bpf, [&](kit::Report& report) {
    std::multimap<std::uint64_t, std::pair<bitesize_key, Sizes>, std::greater<>> largest_first;
    for (const auto& [whose, sizes] : take_sizes(report))
      largest_first.emplace(sizes.bytes.sum, std::pair(bitesize_key_of(whose), sizes));
    for (const auto& [bytes, entry] : largest_first) {
      const auto& [key, sizes] = entry;
      kit::Histogram::Key keys = {{"pid", kit::to_cell(key.pid)},
                                  {"comm", sizes.comm[0] ? kit::to_cell(sizes.comm) : kit::Cell::unknown()}};
      groups.add_keys(keys, session, key.disk, key.operation);
      report.histogram("size", "bytes", keys, sizes.bytes);
    }
  });
}
