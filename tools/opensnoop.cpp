// SPDX-License-Identifier: BSD-2-Clause
// opensnoop: which thread opens which file, and whether it worked.
#include "opensnoop.h"

#include <cstring>

#include "kit/names.hpp"
#include "kit/session.hpp"
#include "kit/text.hpp"
#include "opensnoop.skel.h"

namespace {

using Record = opensnoop_record;

struct Knobs {
  bool failed = false, writes = false, absolute = false;
  kit::ErrorNumber error;
  std::string prefix;
};

// "…" stands where a part is missing.
kit::Cell path(const Record& record) {
  if (record.notes & OPENSNOOP_UNREADABLE) return kit::Cell::unknown();
  std::string_view path = kit::tail(record);
  if (path.empty() && (record.notes & OPENSNOOP_RESOLVED)) return kit::Cell::borrowed("/");
  if (!(record.notes & (OPENSNOOP_CUT_PATH | OPENSNOOP_CUT_NAME))) return kit::Cell::borrowed(path);
  return kit::Cell::owned(
      kit::cat(record.notes & OPENSNOOP_CUT_PATH ? "…" : "", path, record.notes & OPENSNOOP_CUT_NAME ? "…" : ""));
}

kit::Table<Record> make_table(const kit::Session*& session) {
  kit::Table<Record> table;
  table.time()
      .column("PID", "pid", -7, "the process that opens", &Record::pid)
      .column("TID", "tid", -7, "its thread", &Record::tid)
      .column("UID", "uid", -6, "its user", &Record::uid)
      .column("COMM", "comm", 16, "the thread's name", &Record::comm)
      .column("FD", "fd", -4, "the new descriptor; none if the open failed",
              [](const Record& r) { return r.result < 0 ? kit::Cell::none() : kit::Cell::integer(r.result); })
      .column("ERR", "error", 8, "why it failed; none if it did not",
              [](const Record& r) { return kit::Cell::error(r.result < 0 ? -r.result : 0); })
      .column("FLAGS", "flags", 20, "how it is opened, as open(2) names it",
              [&session](const Record& r) { return kit::Cell::owned(kit::open_flags_text(session->arch(), r.flags)); })
      .column("PATH", "path", 0, "the file: as it was named, or with -F its absolute path", path);
  return table;
}

void declare(kit::Options& options, Knobs& knobs) {
  options.flag('x', "failed", knobs.failed, "only opens that failed")
      .option(0, "errno", "NAME", knobs.error, "only opens that failed with this error, like ENOENT")
      .flag(0, "write", knobs.writes, "only opens for writing")
      .add(0, "path", "PREFIX", "only paths that begin so (with -F, absolute ones)",
           [&knobs](std::string_view text) -> std::string {
             knobs.prefix = text;
             return text.empty() || text.size() >= OPENSNOOP_PREFIX_SIZE ? "expects 1 to 255 bytes" : "";
           })
      .flag('F', "full-path", knobs.absolute, "absolute paths, from the root of the opener's mount namespace")
      .details(
          "Shows open, openat, openat2 and creat, when they return. A path is what the program asked for; with -F it "
          "is, for an open that worked, where the kernel found the file, through links and mounts; for one that "
          "failed, the name joined to the directory it is relative to. Paths of up to 4,096 bytes and 160 "
          "directories come out whole; what is missing of others is marked with an ellipsis.")
      .details("Opens by io_uring, and those that the kernel makes for itself, are not shown.")
      .example("opensnoop -x", "opens that fail, and why")
      .example("opensnoop -F --write --path /etc/", "who writes beneath /etc")
      .example("opensnoop -o json -- ls", "what one command opens, as JSON lines");
}

}  // namespace

int tool(int argc, char** argv) {
  Knobs knobs;
  const kit::Session* running = nullptr;
  auto table = make_table(running);
  kit::Options options(kit::Shape::stream, "opensnoop", "Show files as they are opened.");
  declare(options, knobs);
  kit::Session session(options.shows(table), argc, argv);
  running = &session;

  kit::Skeleton<opensnoop_bpf> bpf;
  auto* read_only = bpf->rodata;
  read_only->only_failed = knobs.failed;
  read_only->only_error = knobs.error.number;
  read_only->only_writes = knobs.writes;
  read_only->absolute = knobs.absolute;
  read_only->prefix_size = static_cast<unsigned>(knobs.prefix.size());
  std::memcpy(const_cast<char*>(read_only->prefix), knobs.prefix.data(), knobs.prefix.size());

  auto& p = bpf->progs;
  kit::AttachPlan plan;
  plan.event("open")
      .way("fexit", {p.openat2_fexit})
      .way("tracepoints", {p.exit_tracepoint},
           {{p.exit_tracepoint, "tp/syscalls/sys_exit_open"},
            {p.exit_tracepoint, "tp/syscalls/sys_exit_openat2"},
            {p.exit_tracepoint, "tp/syscalls/sys_exit_creat"}})
      .misses("opens by 32-bit programs are not seen")
      .way("btf", {p.any_exit_btf})
      .misses("opens by 32-bit programs are not seen")
      .way("raw", {p.any_exit_raw})
      .misses("opens by 32-bit programs are not seen");
  session.settle(bpf, plan);
  session.load(bpf);
  return session.show(bpf, table);
}
