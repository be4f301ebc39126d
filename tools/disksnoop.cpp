// SPDX-License-Identifier: BSD-2-Clause
// disksnoop: each block I/O: who asked for it, of which disk, how much and how long it took.
#include "disksnoop.h"

#include "disksnoop.skel.h"
#include "kit/block.hpp"
#include "kit/session.hpp"
#include "kit/timeline.hpp"

namespace {

using Record = disksnoop_record;

struct Knobs {
  bool queue = false, merges = false;
  kit::Disk disk;
  kit::Duration min;
};

bool known(const Record& record) { return record.comm[0]; }

kit::Table<Record> make_table(const Knobs& knobs, const kit::Session*& session) {
  static const bool never = false;
  kit::Table<Record> table;
  table.time()
      .column("COMM", "comm", 16, "the thread that submitted it",
              [](const Record& r) { return known(r) ? kit::to_cell(r.comm) : kit::Cell::unknown(); })
      .column("PID", "pid", -7, "its process", &Record::pid)
      .column("TID", "tid", -7, "its own number", &Record::tid)
      .only_with(never)
      .column("DISK", "disk", 10, "the disk or partition",
              [&](const Record& r) { return kit::disk_cell(*session, r.disk); })
      .column("T", "rwbs", 4,
              "what was done: R read, W write, D discard, F flush, N other, and the flags, as the kernel spells them",
              [](const Record& r) { return kit::Cell::owned(kit::block_rwbs(r.flags)); })
      .column("OP", "op", 12, "what was done, without flags",
              [](const Record& r) { return kit::Cell::owned(kit::block_operation(r.flags)); })
      .only_with(never)
      .column("SECTOR", "sector", -12, "where it begins on the whole disk, in units of 512 bytes; none of a flush",
              [](const Record& r) { return r.sector + 1 ? kit::to_cell(r.sector) : kit::Cell::none(); })
      .column("BYTES", "bytes", -8, "how much", &Record::bytes)
      .column("MERGES", "merges", -6, "with --merges: how many more I/Os were joined to it before it was issued",
              [&](const Record& r) { return knobs.merges ? kit::to_cell(r.merges) : kit::Cell::unknown(); })
      .only_with(knobs.merges)
      .column("QUE(ms)", "queue_ns", -9, "with -Q: from submission to issue",
              [&](const Record& r) {
                if (session->takes("submit", "none")) return kit::Cell::absent();
                return known(r) ? kit::Cell::duration(r.queue, kit::Unit::ms) : kit::Cell::unknown();
              })
      .only_with(knobs.queue)
      .column("LAT(ms)", "latency_ns", -9, "from the issue to the device to its last completion",
              [](const Record& r) { return kit::Cell::duration(r.latency, kit::Unit::ms); });
  return table;
}

}  // namespace

int tool(int argc, char** argv) {
  Knobs knobs;
  const kit::Session* running = nullptr;
  auto table = make_table(knobs, running);
  kit::Options options(kit::Shape::stream, "disksnoop", "Show each block I/O, and how long it took.");
  options.flag('Q', "queue", knobs.queue, "the time before the issue, too")
      .option(0, "disk", "NAME", knobs.disk, "only this disk, with its partitions, or only this partition")
      .option(0, "min", "DURATION", knobs.min, "only I/O that took at least so long, like 10ms")
      .flag(0, "merges", knobs.merges, "how many more I/Os were joined to each")
      .shows(table)
      .details(
          "The process is the one that submitted the I/O: of a write that was buffered, the kernel's worker that wrote "
          "it back. A flush is shown as the disk gets it, under the first process that waits for it. Of a disk that "
          "lies on another, as those of device-mapper, both are shown.")
      .example("disksnoop --min 10ms", "I/O that takes long")
      .example("disksnoop -Q --disk sda1", "that of one partition, with the time in the queue")
      .example("disksnoop -- dd if=/dev/sda of=/dev/null count=10 iflag=direct", "that of one command")
      .example("disksnoop -d 10 --perfetto disks.perfetto-trace", "ten seconds as a time line, a track for each disk");
  kit::Timelines timelines(options, "block I/O");
  kit::Session session(options, argc, argv);
  running = &session;
  timelines.begin(session);

  kit::Skeleton<disksnoop_bpf> bpf;
  bpf->rodata->min_latency = knobs.min.ns;
  session.settle(bpf,
                 kit::block_plan(bpf.object(), session, {.process = true, .merges = knobs.merges, .disk = knobs.disk}));
  session.load(bpf);
  int code = session.stream(bpf, table, [&](const kit_head& head) {
    const auto& record = kit::record_as<Record>(head);
    if (!session.row(table, record)) return;
    timelines.device(record.disk, kit::disk_cell(session, record.disk).text(), kit::block_operation(record.flags),
                     record.head.time - record.latency, record.head.time, table, record);
  });
  return timelines.write(session, code);
}
