// SPDX-License-Identifier: BSD-2-Clause
// randomread: who reads randomness from the kernel, and how much.
#include "randomread.h"

#include "kit/session.hpp"
#include "kit/text.hpp"
#include "randomread.skel.h"

namespace {

using Record = randomread_record;

constexpr const char* source_names[RANDOMREAD_SOURCES] = {"getrandom", "/dev/urandom", "/dev/random"};

// RANDOMREAD_SOURCES: all.
struct Source {
  unsigned number = RANDOMREAD_SOURCES;
  std::string parse(std::string_view text) {
    number = 0;
    while (number < RANDOMREAD_SOURCES && text != source_names[number]) number++;
    return number < RANDOMREAD_SOURCES ? "" : "expects getrandom, /dev/urandom or /dev/random";
  }
};

kit::Table<Record> make_table() {
  kit::Table<Record> table;
  table.time()
      .column("PID", "pid", -7, "the process that reads", &Record::pid)
      .column("TID", "tid", -7, "its thread", &Record::tid)
      .column("UID", "uid", -6, "its user", &Record::uid)
      .column("COMM", "comm", 16, "the thread's name", &Record::comm)
      .column("SOURCE", "source", 12, "getrandom, /dev/urandom or /dev/random, by whatever name it was opened",
              [](const Record& r) { return kit::Cell::borrowed(source_names[r.source % RANDOMREAD_SOURCES]); })
      .column("ERR", "error", 8, "why it failed; none if it did not",
              [](const Record& r) { return kit::Cell::error(r.result < 0 ? static_cast<int>(-r.result) : 0); })
      .column("BYTES", "bytes", -10, "how many it got; none if it failed", [](const Record& r) {
        return r.result < 0 ? kit::Cell::none() : kit::Cell::count(static_cast<std::uint64_t>(r.result));
      });
  return table;
}

// The devices by the functions that read them, else by every read that returns and its descriptor.
kit::AttachPlan make_plan(const randomread_bpf& bpf, const Source& source) {
  auto& p = bpf.progs;
  std::vector<kit::Part> reads;
  for (const char* call : {"pread64", "readv", "preadv", "preadv2"})
    reads.emplace_back(p.read_tracepoint, kit::cat("tp/syscalls/sys_exit_", call));
  kit::AttachPlan plan;
  if (source.number != RANDOMREAD_GETRANDOM)
    plan.event("device")
        .way("fexit", {p.urandom_iter_fexit, p.random_iter_fexit})
        .way("fexit-old", {p.urandom_fexit, p.random_fexit})
        .way("kretprobe", {p.urandom_kretprobe, p.random_kretprobe})
        .way("kretprobe-old",
             {{p.urandom_kretprobe, "kretprobe/urandom_read"}, {p.random_kretprobe, "kretprobe/random_read"}})
        .way("tracepoints", {p.read_tracepoint}, reads)
        .misses("reads by splice, sendfile, io_uring and 32-bit programs are not seen")
        .way("btf", {p.read_btf})
        .misses("reads by splice, sendfile and io_uring are not seen")
        .way("raw", {p.read_raw})
        .misses("reads by splice, sendfile and io_uring are not seen");
  if (source.number == RANDOMREAD_GETRANDOM || source.number == RANDOMREAD_SOURCES)
    plan.event("getrandom")
        .way("tracepoints", {p.getrandom_tracepoint})
        .misses("getrandom by 32-bit programs is not seen")
        .way("btf", {p.getrandom_btf})
        .way("raw", {p.getrandom_raw});
  return plan;
}

}  // namespace

int tool(int argc, char** argv) {
  Source source;
  auto table = make_table();
  kit::Options options(kit::Shape::stream, "randomread", "Show who reads randomness from the kernel, and how much.");
  options.shows(table)
      .add(0, "source", "SOURCE", "only getrandom, only /dev/urandom or only /dev/random",
           [&source](std::string_view text) { return source.parse(text); })
      .details(
          "Shows getrandom and reads of /dev/urandom and /dev/random when they return, those that fail, too. What the "
          "C library makes of a getrandom in the vDSO (6.11) without asking the kernel is not shown, nor is what the "
          "kernel reads for itself.")
      .example("randomread", "every read")
      .example("randomread -p 1234 -d 10", "those of one process, in ten seconds")
      .example("randomread -o json -- openssl rand 16", "those of one command, as JSON lines");
  kit::Session session(options, argc, argv);

  kit::Skeleton<randomread_bpf> bpf;
  bpf->rodata->only_source = source.number;
  session.settle(bpf, make_plan(*bpf.operator->(), source));
  session.load(bpf);
  return session.show(bpf, table);
}
