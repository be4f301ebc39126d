// SPDX-License-Identifier: BSD-2-Clause
// syscount: which system calls are made, how often, how often in vain, and how long they take.
#include "syscount.h"

#include <algorithm>
#include <map>

#include "kit/names.hpp"
#include "kit/session.hpp"
#include "kit/slots.hpp"
#include "kit/text.hpp"
#include "syscount.skel.h"

namespace {

struct Knobs {
  bool latency = false, per_process = false, per_call = true, failed = false;
  std::uint32_t top = 0;
  kit::ErrorNumber error;
  std::vector<kit::SyscallNumber> syscalls;
};

// Of a system call, or of a process.
struct Row {
  std::uint32_t key;  // the call's index in the maps, or the PID
  syscount_process made;
  kit::Slots latency;
};

std::string call_name(std::string_view arch, std::uint32_t index) {
  auto number = static_cast<int>(index % SYSCOUNT_NUMBERS), abi = static_cast<int>(index / SYSCOUNT_NUMBERS);
  if (number == SYSCOUNT_OTHER) return "(no such call)";
  if (number == SYSCOUNT_RETURN) number = -1;
  else if (abi == SYSCOUNT_X32) number |= kit::x32_bit;
  return kit::syscall_name(arch, number, abi == SYSCOUNT_COMPAT);
}

kit::Cell with_latency(const Knobs& knobs, std::uint64_t ns, kit::Unit unit) {
  return knobs.latency ? kit::Cell::duration(ns, unit) : kit::Cell::unknown();
}

kit::Table<Row> make_table(const Knobs& knobs, const kit::Session*& session) {
  kit::Table<Row> table;
  table
      .column("SYSCALL", "syscall", 24, "the system call; none with -P",
              [&knobs, &session](const Row& row) {
                if (knobs.per_process) return kit::Cell::none();
                return kit::Cell::owned(call_name(session->arch(), row.key));
              })
      .only_with(knobs.per_call)
      .column("PID", "pid", -7, "with -P: the process",
              [&knobs](const Row& row) { return knobs.per_process ? kit::to_cell(row.key) : kit::Cell::none(); })
      .only_with(knobs.per_process)
      .column("COMM", "comm", 16, "with -P: its name when it was first seen",
              [&knobs](const Row& row) { return knobs.per_process ? kit::to_cell(row.made.comm) : kit::Cell::none(); })
      .only_with(knobs.per_process)
      .column("COUNT", "count", -10, "how many returned", [](const Row& row) { return kit::Cell::count(row.made.calls.count); })
      .column("ERRORS", "errors", -10, "how many of them failed", [](const Row& row) { return kit::Cell::count(row.made.calls.errors); })
      .column("TOTAL(ms)", "total_ns", -12, "with -L: time in them, together",
              [&knobs](const Row& row) { return with_latency(knobs, row.made.calls.total, kit::Unit::ms); })
      .only_with(knobs.latency)
      .column("AVG(us)", "average_ns", -11, "with -L: time in one, on average",
              [&knobs](const Row& row) {
                return with_latency(knobs, row.made.calls.count ? row.made.calls.total / row.made.calls.count : 0, kit::Unit::us);
              })
      .only_with(knobs.latency)
      .column("P99(us)", "p99_ns", -11, "with -L: 99 of 100 took at most this long, to 12.5 %",
              [&knobs](const Row& row) { return with_latency(knobs, row.latency.percentile(0.99), kit::Unit::us); })
      .only_with(knobs.latency);
  return table;
}

std::string parse_syscalls(std::string_view text, std::vector<kit::SyscallNumber>& list) {
  for (std::string_view name : kit::split(text, ',')) {
    auto numbers = kit::syscall_numbers(name);
    if (numbers.empty()) return kit::cat("there is no system call ", name, kit::suggestion(name, kit::all_syscalls()));
    list.insert(list.end(), numbers.begin(), numbers.end());
  }
  return "";
}

void declare(kit::Options& options, Knobs& knobs) {
  options.flag('L', "latency", knobs.latency, "time in the calls, too: total, average, 99th percentile")
      .add('P', "per-process", "", "count per process rather than per system call",
           [&knobs](std::string_view) {
             knobs.per_process = true;
             knobs.per_call = false;
             return std::string();
           })
      .add(0, "syscall", "NAME,...", "only these system calls",
           [&knobs](std::string_view text) { return parse_syscalls(text, knobs.syscalls); })
      .flag('x', "failed", knobs.failed, "only calls that failed")
      .option(0, "errno", "NAME", knobs.error, "only calls that failed with this error, like EAGAIN")
      .option(0, "top", "N", knobs.top, "only the N most frequent (with -L: longest in all)")
      .details("Counts calls when they return, so exit and exit_group, which do not, are never shown. Those of 32-bit "
               "programs on a 64-bit kernel are told apart. With -L a call that had begun before the trace is left out.")
      .example("syscount -d 10 --top 10", "the ten most frequent in ten seconds")
      .example("syscount -L -i 1 -p 1234", "where one process spends its time, each second")
      .example("syscount -P -x", "which processes' calls fail");
}

void set_knobs(const Knobs& knobs, syscount_bpf& bpf) {
  bpf.rodata->with_latency = knobs.latency;
  bpf.rodata->per_process = knobs.per_process;
  bpf.rodata->only_failed = knobs.failed;
  bpf.rodata->only_error = knobs.error.number;
  bpf.rodata->only_some = !knobs.syscalls.empty();
  for (const kit::SyscallNumber& call : knobs.syscalls) {
    int abi = call.compat ? SYSCOUNT_COMPAT : call.number & kit::x32_bit ? SYSCOUNT_X32 : SYSCOUNT_NATIVE;
    auto number = static_cast<unsigned>(call.number & ~kit::x32_bit);
    unsigned index = number < SYSCOUNT_OTHER ? number : SYSCOUNT_OTHER;
    const_cast<unsigned char&>(bpf.rodata->wanted[index]) |= static_cast<unsigned char>(1 << abi);
  }
  // What a run does not use need not take memory.
  auto& maps = bpf.maps;
  auto shrink = [](bpf_map* map) { bpf_map__set_max_entries(map, 1); };
  if (!knobs.latency || knobs.per_process) shrink(maps.latencies);
  if (!knobs.latency) shrink(maps.starts);
  if (knobs.per_process) return shrink(maps.calls);
  for (bpf_map* map : {maps.processes_first, maps.processes_second}) shrink(map);
}

void merge(syscount_process& into, const syscount_process& from) {
  into.calls.count += from.calls.count;
  into.calls.errors += from.calls.errors;
  into.calls.total += from.calls.total;
  if (!into.comm[0]) std::copy(std::begin(from.comm), std::end(from.comm), into.comm);
}

// The heaviest first.
std::vector<Row> sorted(const Knobs& knobs, const std::map<std::uint32_t, Row>& by_key) {
  std::vector<Row> rows;
  for (const auto& [key, row] : by_key) rows.push_back(row);
  auto weight = [&](const Row& row) { return knobs.latency ? row.made.calls.total : row.made.calls.count; };
  std::stable_sort(rows.begin(), rows.end(), [&](const Row& a, const Row& b) { return weight(a) > weight(b); });
  if (knobs.top && rows.size() > knobs.top) rows.resize(knobs.top);
  return rows;
}

std::vector<Row> read_rows(const Knobs& knobs, kit::Report& report) {
  std::map<std::uint32_t, Row> rows;
  if (knobs.per_process) {
    for (const auto& [pid, made] : report.entries<std::uint32_t, syscount_process>("processes", merge))
      rows[pid] = {pid, made, {}};
  } else {
    for (const auto& [index, calls] : report.added<syscount_calls, std::uint64_t>("calls"))
      rows[index] = {index, {calls, {}}, {}};
  }
  if (!knobs.latency) return sorted(knobs, rows);
  auto keep = [](syscount_latency& into, const syscount_latency& from) { into = from; };
  auto latencies = knobs.per_process ? report.entries<std::uint32_t, syscount_latency>("process_latencies", keep)
                                     : report.added<syscount_latency, std::uint32_t>("latencies");
  for (const auto& [key, latency] : latencies)
    if (auto row = rows.find(key); row != rows.end()) row->second.latency.add_all(latency.slots);
  return sorted(knobs, rows);
}

}  // namespace

int tool(int argc, char** argv) {
  Knobs knobs;
  const kit::Session* running = nullptr;
  auto table = make_table(knobs, running);
  kit::Options options(kit::Shape::interval, "syscount", "Count system calls.");
  declare(options, knobs);
  kit::Session session(options.shows(table), argc, argv);
  running = &session;

  kit::Skeleton<syscount_bpf> bpf;
  set_knobs(knobs, *bpf.operator->());
  auto& p = bpf->progs;
  kit::AttachPlan plan;
  plan.event("exit").way("btf", {p.exit_btf}).way("raw", {p.exit_raw});
  if (knobs.latency) plan.event("enter").way("btf", {p.enter_btf}).way("raw", {p.enter_raw});
  session.settle(bpf, plan);
  session.load(bpf);
  return session.reports(bpf, [&](kit::Report& report) {
    auto rows = read_rows(knobs, report);
    report.table(table);
    for (const Row& row : rows) report.row(table, row);
  });
}
