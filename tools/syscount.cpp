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
  bool latency = false, per_process = false, failed = false;
  kit::Number top;
  kit::ErrorNumber error;
  std::vector<kit::SyscallNumber> syscalls;
};

// Of a system call, or of a process.
struct Row {
  kit::Cell call = kit::Cell::none(), pid = kit::Cell::none(), comm = kit::Cell::none();
  syscount_calls calls{};
  kit::Slots latency;
};

std::string call_name(std::string_view arch, std::uint32_t index) {
  int number = static_cast<int>(index % SYSCOUNT_NUMBERS);
  std::uint32_t abi = index / SYSCOUNT_NUMBERS;
  if (number == SYSCOUNT_OTHER) return "(no such call)";
  if (number == SYSCOUNT_RETURN) return kit::syscall_name(arch, -1, false);
  return kit::syscall_name(arch, abi == SYSCOUNT_X32 ? number | kit::x32_bit : number, abi == SYSCOUNT_COMPAT);
}

kit::Cell p99(const kit::Slots& slots) { return kit::Cell::duration(slots.percentile(0.99), kit::Unit::us); }

kit::Table<Row> make_table(const Knobs& knobs) {
  auto timed = [&knobs](kit::Unit unit, auto ns) {
    return [&knobs, unit, ns](const Row& row) {
      return knobs.latency ? kit::Cell::duration(ns(row), unit) : kit::Cell::unknown();
    };
  };
  kit::Table<Row> table;
  table.column("SYSCALL", "syscall", 24, "the system call; none with -P", &Row::call)
      .only_without(knobs.per_process)
      .column("PID", "pid", -7, "with -P: the process", &Row::pid)
      .column("COMM", "comm", 16, "with -P: its name", &Row::comm)
      .only_with(knobs.per_process, 2)
      .column("COUNT", "count", -10, "how many returned", [](const Row& row) { return kit::to_cell(row.calls.count); })
      .column("ERRORS", "errors", -10, "how many failed", [](const Row& row) { return kit::to_cell(row.calls.errors); })
      .column("TOTAL(ms)", "total_ns", -12, "with -L: time in them, together",
              timed(kit::Unit::ms, [](const Row& row) { return row.calls.total; }))
      .column(
          "AVG(us)", "average_ns", -11, "with -L: time in one, on average",
          timed(kit::Unit::us, [](const Row& row) { return row.calls.total / std::max<__u64>(row.calls.count, 1); }))
      .column("P99(us)", "p99_ns", -11, "with -L: 99 of 100 took at most this long, to 12.5 %",
              [](const Row& row) { return row.latency.count() ? p99(row.latency) : kit::Cell::unknown(); })
      .only_with(knobs.latency, 3);
  return table;
}

void declare(kit::Options& options, Knobs& knobs) {
  options.flag('L', "latency", knobs.latency, "time in the calls, too: total, average, 99th percentile")
      .flag('P', "per-process", knobs.per_process, "count per process rather than per system call")
      .option(0, "syscall", "NAME,...", knobs.syscalls, "only these system calls")
      .flag('x', "failed", knobs.failed, "only calls that failed")
      .option(0, "errno", "NAME", knobs.error, "only calls that failed with this error, like EAGAIN")
      .option(0, "top", "N", knobs.top, "only the N most frequent (with -L: longest in all)")
      .details(
          "Counts calls when they return, so exit and exit_group are never shown; those of 32-bit programs on a 64-bit "
          "kernel are told apart. With -L a call that began before the trace is left out.")
      .example("syscount -d 10 --top 10", "the ten most frequent in ten seconds")
      .example("syscount -L -i 1 -p 1234", "where one process spends its time, each second")
      .example("syscount -P -x", "which processes' calls fail");
}

void merge(syscount_process& into, const syscount_process& from) {
  syscount_calls sum = {into.calls.count + from.calls.count, into.calls.errors + from.calls.errors,
                        into.calls.total + from.calls.total};
  if (from.named > into.named) into = from;
  into.calls = sum;
}

// By PID or by index. What was counted and its latencies are told apart by two maps; a call between the readings of
// both is in one report of the first and in the next of the second.
std::map<std::uint32_t, Row> read_rows(const Knobs& knobs, std::string_view arch, kit::Report& report) {
  std::map<std::uint32_t, Row> rows;
  if (knobs.per_process) {
    for (const auto& [pid, made] : report.entries<std::uint32_t, syscount_process>("processes", merge))
      rows[pid] = {.pid = kit::to_cell(pid), .comm = kit::Cell::owned(made.comm), .calls = made.calls};
  } else {
    for (const auto& [index, calls] : report.added<syscount_calls, std::uint64_t>("calls"))
      rows[index] = {.call = kit::Cell::owned(call_name(arch, index)), .calls = calls};
  }
  if (!knobs.latency) return rows;
  auto latencies = knobs.per_process ? report.entries<std::uint32_t, syscount_latency>("process_latencies")
                                     : report.added<syscount_latency, std::uint32_t>("latencies");
  for (const auto& [key, latency] : latencies)
    if (auto row = rows.find(key); row != rows.end()) row->second.latency.add_all(latency.slots);
  return rows;
}

std::vector<const Row*> heaviest_first(const Knobs& knobs, const std::map<std::uint32_t, Row>& by_key) {
  auto weight = knobs.latency ? &syscount_calls::total : &syscount_calls::count;
  std::vector<const Row*> rows;
  for (const auto& [key, row] : by_key) rows.push_back(&row);
  std::stable_sort(rows.begin(), rows.end(), [&](auto a, auto b) { return a->calls.*weight > b->calls.*weight; });
  if (knobs.top && rows.size() > knobs.top.value) rows.resize(knobs.top.value);
  return rows;
}

}  // namespace

int tool(int argc, char** argv) {
  Knobs knobs;
  auto table = make_table(knobs);
  kit::Options options(kit::Shape::interval, "syscount", "Count system calls.");
  declare(options, knobs);
  kit::Session session(options.shows(table), argc, argv);

  kit::Skeleton<syscount_bpf> bpf;
  bpf->rodata->with_latency = knobs.latency;
  bpf->rodata->per_process = knobs.per_process;
  bpf->rodata->only_failed = knobs.failed;
  bpf->rodata->only_error = knobs.error.number;
  bpf->rodata->only_some = !knobs.syscalls.empty();
  for (auto call : knobs.syscalls)
    const_cast<bool&>(bpf->rodata->wanted[syscount_index(call.number, call.compat)]) = true;
  auto& maps = bpf->maps;
  bool by_call = !knobs.per_process, timed = knobs.latency;
  kit::leave_out(by_call, {maps.processes, maps.processes_first, maps.processes_second});
  kit::leave_out(by_call || !timed,
                 {maps.process_latencies, maps.process_latencies_first, maps.process_latencies_second});
  kit::leave_out(!by_call, {maps.calls});
  kit::leave_out(!by_call || !timed, {maps.latencies});
  kit::leave_out(!timed, {maps.starts});
  kit::AttachPlan plan;
  plan.event("exit").way("btf", {bpf->progs.exit_btf}).way("raw", {bpf->progs.exit_raw});
  if (knobs.latency) plan.event("enter").way("btf", {bpf->progs.enter_btf}).way("raw", {bpf->progs.enter_raw});
  session.settle(bpf, plan);
  session.load(bpf);
  return session.reports(bpf, [&](kit::Report& report) {
    auto rows = read_rows(knobs, session.arch(), report);
    report.table(table);
    for (const Row* row : heaviest_first(knobs, rows)) report.row(table, *row);
  });
}
