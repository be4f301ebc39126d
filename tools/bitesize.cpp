// SPDX-License-Identifier: BSD-2-Clause
// bitesize: how large the I/Os are that each process makes, as a histogram.
#include "bitesize.h"

#include <map>

#include "bitesize.skel.h"
#include "kit/block.hpp"
#include "kit/session.hpp"

namespace {

using Key = bitesize_key;
using Sizes = bitesize_sizes;

struct Knobs {
  bool per_disk = false, per_operation = false;
  kit::Disk disk;
};

void declare(kit::Options& options, Knobs& knobs) {
  options.flag('D', "per-disk", knobs.per_disk, "apart for each disk or partition")
      .flag('O', "per-operation", knobs.per_operation, "apart for each operation: read, write, flush...")
      .option(0, "disk", "NAME", knobs.disk, "only this disk, with its partitions, or only this partition")
      .shows({"size",
              "bytes",
              "how many I/Os of a process were how large",
              {{"pid", "the process that submitted them"},
               {"comm", "its name when first seen"},
               {"disk", "with -D: the disk or partition"},
               {"op", "with -O: the operation"}}})
      .details(
          "Counts I/O when it is over, as large as the disk got it: after small ones were joined. A flush has no size "
          "and counts as 0. What was buffered is written by the kernel's own processes.")
      .example("bitesize -d 10", "how large each process's I/O is, in ten seconds")
      .example("bitesize -O --disk sda 1", "reads and writes of one disk apart, each second");
}

kit::Histogram::Key keys(const Knobs& knobs, const kit::Session& session, const Key& key, const Sizes& sizes) {
  kit::Histogram::Key all = {{"pid", kit::to_cell(key.pid)},
                             {"comm", sizes.comm[0] ? kit::to_cell(sizes.comm) : kit::Cell::unknown()}};
  if (knobs.per_disk) all.emplace_back("disk", kit::disk_cell(session, key.disk));
  if (knobs.per_operation) all.emplace_back("op", kit::Cell::owned(kit::block_operation(key.operation)));
  return all;
}

}  // namespace

int tool(int argc, char** argv) {
  Knobs knobs;
  kit::Options options(kit::Shape::interval, "bitesize", "Show how large each process's block I/O is, as a histogram.");
  declare(options, knobs);
  kit::Session session(options, argc, argv);

  kit::Skeleton<bitesize_bpf> bpf;
  bpf->rodata->per_disk = knobs.per_disk;
  bpf->rodata->per_operation = knobs.per_operation;
  session.settle(bpf, kit::block_plan(bpf.object(), session, {.process = true, .disk = knobs.disk}));
  session.load(bpf);
  return session.reports(bpf, [&](kit::Report& report) {
    std::multimap<std::uint64_t, std::pair<Key, Sizes>, std::greater<>> largest_first;
    for (const auto& entry : report.entries<Key, Sizes>("sizes")) largest_first.emplace(entry.second.bytes.sum, entry);
    for (const auto& [bytes, entry] : largest_first)
      report.histogram("size", "bytes", keys(knobs, session, entry.first, entry.second), entry.second.bytes);
  });
}
