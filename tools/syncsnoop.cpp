// SPDX-License-Identifier: BSD-2-Clause
// syncsnoop: who writes cached data back to disk, of which file, and how long it takes.
#include "syncsnoop.h"

#include "kit/session.hpp"
#include "kit/text.hpp"
#include "syncsnoop.skel.h"

namespace {

using Record = syncsnoop_record;

constexpr const char* call_names[SYNCSNOOP_CALLS] = {"sync",  "fsync",           "fdatasync",
                                                     "msync", "sync_file_range", "syncfs"};

// What --quick tells of the record that is shown, by those before it.
struct Quick {
  kit::Duration within;  // 0: not asked for
  std::uint64_t last_end = 0, since = 0, count = 0;
  bool known = false, quick = false;

  // `since` is the pause from the end of the one before to this one's beginning; none where they overlap.
  void see(const Record& record) {
    std::uint64_t start = record.head.time - record.latency;
    known = last_end > 0;
    since = start > last_end ? start - last_end : 0;
    quick = within.ns && known && since <= within.ns;
    count += quick;
    last_end = std::max<std::uint64_t>(last_end, record.head.time);
  }
};

kit::Cell file(const Record& record) {
  if (record.notes & SYNCSNOOP_NO_FILE) return kit::Cell::none();
  if (!(record.notes & SYNCSNOOP_HAS_FILE)) return kit::Cell::unknown();
  std::string_view path = kit::tail(record);
  if (record.notes & SYNCSNOOP_CUT_PATH) return kit::Cell::owned(kit::cat("…", path));
  return kit::Cell::borrowed(path.empty() ? "/" : path);
}

kit::Table<Record> make_table(const Quick& quick) {
  kit::Table<Record> table;
  table.time()
      .column("PID", "pid", -7, "the process that syncs", &Record::pid)
      .column("TID", "tid", -7, "its thread", &Record::tid)
      .column("COMM", "comm", 16, "the thread's name", &Record::comm)
      .column("CALL", "call", 15, "sync, fsync, fdatasync, msync, sync_file_range or syncfs",
              [](const Record& r) { return kit::Cell::borrowed(call_names[r.call % SYNCSNOOP_CALLS]); })
      .column("LAT(ms)", "latency_ns", -10, "how long the call took",
              [](const Record& r) { return kit::Cell::duration(r.latency, kit::Unit::ms); })
      .column("ERR", "error", 8, "why it failed; none if it did not",
              [](const Record& r) { return kit::Cell::error(static_cast<int>(r.error)); })
      .column("SINCE(ms)", "since_ns", -11, "the pause since the sync shown before it ended; unknown of the first",
              [&quick](const Record&) {
                return quick.known ? kit::Cell::duration(quick.since, kit::Unit::ms) : kit::Cell::unknown();
              })
      .column("QUICK", "quick", -6, "with --quick: how many have followed so soon by now; none if this one did not",
              [&quick](const Record&) { return quick.quick ? kit::Cell::count(quick.count) : kit::Cell::none(); })
      .only_with(quick.within.ns, 2)
      .column("FILE", "path", 0, "the file whose descriptor or memory was given; none of sync", file);
  return table;
}

}  // namespace

int tool(int argc, char** argv) {
  Quick quick;
  auto table = make_table(quick);
  kit::Options options(kit::Shape::stream, "syncsnoop", "Show who syncs files to disk.");
  options.shows(table)
      .option(0, "quick", "DURATION", quick.within, "mark a sync that begins within this long of the last one's end")
      .details(
          "Shows sync, fsync, fdatasync, msync, sync_file_range and syncfs when they return, those that fail, too. The "
          "file is the one that the descriptor stood for when the call began, or, of msync, the one whose memory its "
          "address was in; if another thread has closed or unmapped it meanwhile, it is not known.")
      .details("Files that are opened with O_SYNC, and syncs by io_uring or by the kernel itself, are not shown.")
      .example("syncsnoop", "every one")
      .example("syncsnoop --quick 1s", "mark those that come within a second of the last")
      .example("syncsnoop -o json -p 1234", "those of one process, as JSON lines");
  kit::Session session(options, argc, argv);

  kit::Skeleton<syncsnoop_bpf> bpf;
  auto& p = bpf->progs;
  std::vector<kit::Part> others = {{p.exit_tracepoint, "tp/syscalls/sys_exit_sync"}, p.enter_sync_tracepoint};
  for (const char* call : {"fdatasync", "msync", "sync_file_range", "syncfs"}) {
    others.emplace_back(p.enter_tracepoint, kit::cat("tp/syscalls/sys_enter_", call));
    others.emplace_back(p.exit_tracepoint, kit::cat("tp/syscalls/sys_exit_", call));
  }
  kit::AttachPlan plan;
  plan.event("sync")
      .way("tracepoints", {p.enter_tracepoint, p.exit_tracepoint}, others)
      .misses("syncs by 32-bit programs are not seen")
      .way("btf", {p.enter_btf, p.exit_btf})
      .way("raw", {p.enter_raw, p.exit_raw});
  session.settle(bpf, plan);
  session.load(bpf);
  return session.stream(bpf, table, [&](const kit_head& head) {
    const auto& record = kit::record_as<Record>(head);
    quick.see(record);
    session.row(table, record);
  });
}
