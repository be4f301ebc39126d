// SPDX-License-Identifier: BSD-2-Clause
// ttysnoop: what is written to other terminals, live.
#include "ttysnoop.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>

#include "kit/session.hpp"
#include "kit/text.hpp"
#include "ttysnoop.skel.h"

namespace {

using Record = ttysnoop_record;

struct Knobs {
  std::vector<std::string> terminals;
  bool raw = false, rows = false;

  // What one terminal shows goes to ours as it is, unless rows are asked for.
  void settle(kit::Output output) {
    raw |= !rows && terminals.size() == 1 && isatty(1);
    raw &= output == kit::Output::text;
  }
};

// "pts/3" for the kernel's "pts3".
kit::Cell terminal(const Record& record) {
  std::string_view name(record.tty, strnlen(record.tty, sizeof record.tty));
  return name.starts_with("pts") ? kit::Cell::owned(kit::cat("pts/", name.substr(3))) : kit::Cell::borrowed(name);
}

kit::Table<Record> make_table(const Knobs& knobs) {
  kit::Table<Record> table;
  table.time()
      .column("PID", "pid", -7, "the process that writes", &Record::pid)
      .column("TID", "tid", -7, "its thread", &Record::tid)
      .column("UID", "uid", -6, "its user", &Record::uid)
      .column("COMM", "comm", 16, "the thread's name", &Record::comm)
      .column("TTY", "tty", 8, "the terminal", terminal)
      .column("OFFSET", "offset", -7, "where in its write this part begins; a part has at most 4,096 bytes",
              &Record::offset)
      .column("BYTES", "bytes", -6, "how many they are",
              [](const Record& r) { return kit::Cell::count(r.head.tail_size); })
      .column("DATA", "data", 0, "what is written", [](const Record& r) { return kit::Cell::borrowed(kit::tail(r)); })
      .raw_with(knobs.raw);
  return table;
}

constexpr const char* beyond =
    "writes by splice, io_uring and 32-bit programs, and to rare kinds of terminals, are not seen";

// The device of a terminal called "pts/3" or "/dev/pts/3", as the kernel writes it.
std::uint32_t device_of(const std::string& name) {
  constexpr unsigned controlling = 5;  // /dev/tty, /dev/console, /dev/ptmx: whoever opens them gets another device
  std::string path = name.starts_with('/') ? name : kit::cat("/dev/", name);
  struct stat status {};
  if (stat(path.c_str(), &status) != 0 || !S_ISCHR(status.st_mode))
    throw kit::Failure(kit::Exit::usage, kit::cat("there is no terminal ", path, "; who(1) lists those in use"));
  if (major(status.st_rdev) == controlling)
    throw kit::Failure(kit::Exit::usage,
                       kit::cat(path, " is another one for each who opens it; tty(1) tells its name"));
  return static_cast<std::uint32_t>(major(status.st_rdev) << 20 | minor(status.st_rdev));
}

}  // namespace

int tool(int argc, char** argv) {
  Knobs knobs;
  auto table = make_table(knobs);
  kit::Options options(kit::Shape::stream, "ttysnoop", "Show what is written to other terminals, live.");
  options.shows(table)
      .words("[TTY...]", knobs.terminals)
      .flag(0, "raw", knobs.raw, "the bytes alone, as they are, whatever they make of a terminal")
      .flag(0, "rows", knobs.rows, "rows, also of one terminal on another")
      .details(
          "TTY is a terminal's name, as tty(1) tells it: pts/3 or /dev/pts/3. Without one, all are shown. Of a single "
          "one, on a terminal, the bytes appear as they are, so that it looks like the other; else they are rows, with "
          "who wrote them. What is typed is seen where a program writes it back, as shells do, not where the terminal "
          "itself echoes it.")
      .details("Containers number their terminals anew, so that two may have one name.")
      .example("ttysnoop pts/3", "look at another terminal")
      .example("ttysnoop --rows pts/3 pts/4", "who writes what to these two")
      .example("ttysnoop -o json -u alice", "all that one user's programs write to terminals");
  kit::Session session(options, argc, argv);
  knobs.settle(session.settings().output);

  kit::Skeleton<ttysnoop_bpf> bpf;
  if (knobs.terminals.size() > TTYSNOOP_TERMINALS)
    throw kit::Failure(kit::Exit::usage, kit::cat("expects at most ", TTYSNOOP_TERMINALS, " terminals"));
  for (const std::string& name : knobs.terminals)
    if (!session.replaying())
      const_cast<__u32&>(bpf->rodata->terminals[bpf->rodata->terminal_count++]) = device_of(name);
  auto& p = bpf->progs;
  kit::AttachPlan plan;
  plan.event("write")
      .way("fexit", {p.write_fexit})
      .way("kprobe", {p.write_kprobe, p.write_kretprobe})
      .way("tracepoints", {p.write_tracepoint, p.writev_tracepoint})
      .misses(beyond)
      .way("btf", {p.exit_btf})
      .misses(beyond)
      .way("raw", {p.exit_raw})
      .misses(beyond);
  session.settle(bpf, plan);
  session.load(bpf);
  return session.show(bpf, table);
}
