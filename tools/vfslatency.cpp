// SPDX-License-Identifier: BSD-2-Clause
// vfslatency: how long reads, writes, opens and fsyncs of files take, as histograms.
#include "vfslatency.h"

#include <algorithm>
#include <map>

#include "kit/names.hpp"
#include "kit/session.hpp"
#include "kit/text.hpp"
#include "vfslatency.skel.h"

namespace {

struct Operation {
  const char* name;
  const char* calls;  // the system calls that lead there
};
// By enum vfslatency_op.
constexpr Operation operations[VFSLATENCY_OPS] = {{"", ""},
                                                  {"read", "read,pread64,readv,preadv,preadv2"},
                                                  {"write", "write,pwrite64,writev,pwritev,pwritev2"},
                                                  {"open", "open,openat,openat2,creat"},
                                                  {"fsync", "fsync,fdatasync"}};

// Which operations are wanted; all if none was named.
using Wanted = std::array<bool, VFSLATENCY_OPS>;

std::string parse_operations(std::string_view text, Wanted& wanted) {
  wanted.fill(false);
  for (std::string_view name : kit::split(text, ',')) {
    auto found =
        std::find_if(operations + 1, std::end(operations), [&](const Operation& one) { return one.name == name; });
    if (found == std::end(operations)) {
      std::vector<std::string> names = {"read", "write", "open", "fsync"};
      return kit::cat("there is no operation ", name, kit::suggestion(name, names));
    }
    wanted[static_cast<std::size_t>(found - operations)] = true;
  }
  return "";
}

void declare(kit::Options& options, Wanted& wanted, bool& per_process) {
  options
      .add(0, "op", "OPERATION,...", "only these of read, write, open and fsync",
           [&wanted](std::string_view text) { return parse_operations(text, wanted); })
      .flag('P', "per-process", per_process, "apart for each process")
      .shows({"latency",
              "ns",
              "how many operations took how long; \"system call latency\" where it is that of the system calls",
              {{"op", "read, write, open or fsync"}, {"pid", "with -P: the process"}, {"comm", "with -P: its name"}}})
      .details(
          "The latency is that of vfs_read, vfs_write, vfs_open and vfs_fsync_range, from entry to return. Where the "
          "kernel "
          "lets none of its functions be traced, that of the system calls that lead there is shown, and named so. "
          "What began before the trace is left out.")
      .example("vfslatency 1 5", "five reports, a second each")
      .example("vfslatency --op read -P -d 10", "reads, by process, in ten seconds")
      .example("vfslatency --op fsync -o json -- sync-heavy-program", "the fsyncs of one command, as JSON");
}

// The ways to see the wanted operations: all of them by the same kind of hook.
kit::AttachPlan make_plan(vfslatency_bpf& bpf, const Wanted& wanted) {
  auto& p = bpf.progs;
  bpf_program* const functions[VFSLATENCY_OPS][4] = {
      {},
      {p.read_fentry, p.read_fexit, p.read_kprobe, p.read_kretprobe},
      {p.write_fentry, p.write_fexit, p.write_kprobe, p.write_kretprobe},
      {p.open_fentry, p.open_fexit, p.open_kprobe, p.open_kretprobe},
      {p.fsync_fentry, p.fsync_fexit, p.fsync_kprobe, p.fsync_kretprobe}};
  std::vector<kit::Part> typed, probed;
  for (std::size_t op = 1; op < VFSLATENCY_OPS; op++) {
    if (!wanted[op]) continue;
    // Exits first: a call that is entered before its exit is watched would stay among those that run.
    typed.insert(typed.begin(), {functions[op][1], functions[op][0]});
    probed.insert(probed.begin(), {functions[op][3], functions[op][2]});
  }
  std::vector<kit::Part> typed_too, probed_too;
  if (wanted[VFSLATENCY_FSYNC]) {
    typed_too = {p.do_fsync_fexit, p.do_fsync_fentry};
    probed_too = {p.do_fsync_kretprobe, p.do_fsync_kprobe};
  }
  const char* calls = "how long the kernel's own functions take; the latency is that of the system calls";
  kit::AttachPlan plan;
  plan.event("latency")
      .way("fexit", typed, typed_too)
      .way("kprobe", probed, probed_too)
      .misses("of operations inside one another, as on overlayfs, all but the innermost")
      .way("calls", {p.exit_btf, p.enter_btf})
      .misses(calls)
      .way("calls-raw", {p.exit_raw, p.enter_raw})
      .misses(calls);
  return plan;
}

void set_calls(vfslatency_bpf& bpf, const Wanted& wanted) {
  for (std::size_t op = 1; op < VFSLATENCY_OPS; op++) {
    if (!wanted[op]) continue;
    for (std::string_view name : kit::split(operations[op].calls, ',')) {
      std::vector<kit::SyscallNumber> numbers;
      kit::parse_value(name, numbers);  // arm64 has no open(2) of its own
      for (auto call : numbers)
        if (auto& of = call.compat ? bpf.rodata->compat_calls : bpf.rodata->native_calls;
            call.number < VFSLATENCY_CALLS)
          const_cast<__u8&>(of[call.number]) = static_cast<__u8>(op);
    }
  }
}

}  // namespace

int tool(int argc, char** argv) {
  Wanted wanted;
  wanted.fill(true);
  bool per_process = false;
  kit::Options options(kit::Shape::interval, "vfslatency",
                       "Show how long reads, writes, opens and fsyncs of files take.");
  declare(options, wanted, per_process);
  kit::Session session(options, argc, argv);

  kit::Skeleton<vfslatency_bpf> bpf;
  bpf->rodata->per_process = per_process;
  set_calls(*bpf.operator->(), wanted);
  session.settle(bpf, make_plan(*bpf.operator->(), wanted));
  session.load(bpf);
  bool of_calls = session.takes("latency", "calls") || session.takes("latency", "calls-raw");
  return session.reports(bpf, [&](kit::Report& report) {
    auto all = report.entries<vfslatency_key, vfslatency_latencies>("latencies");
    std::stable_sort(all.begin(), all.end(), [](auto& a, auto& b) {
      return std::pair(a.first.op, b.second.ns.sum) < std::pair(b.first.op, a.second.ns.sum);
    });
    for (const auto& [key, latencies] : all) {
      kit::Histogram::Key keys = {{"op", kit::Cell::owned(operations[key.op % VFSLATENCY_OPS].name)}};
      if (per_process) {
        keys.emplace_back("pid", kit::to_cell(key.pid));
        keys.emplace_back("comm", kit::to_cell(latencies.comm));
      }
      report.histogram(of_calls ? "system call latency" : "latency", "ns", keys, latencies.ns);
    }
  });
}
