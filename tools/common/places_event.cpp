// SPDX-License-Identifier: BSD-2-Clause
// Places in time and in the machine's counters: interval, profile, software, hardware, watchpoint, begin and end.
#include <linux/hw_breakpoint.h>

#include <algorithm>

#include "files.hpp"
#include "kit/ifunc.hpp"
#include "kit/kernel.hpp"
#include "kit/text.hpp"
#include "places.hpp"

namespace kit {
namespace {

struct EventName {
  const char* name;
  std::uint64_t config;
  std::uint64_t count;  // after how many a hit is, where the probe does not say
  std::uint32_t type = PERF_TYPE_SOFTWARE;
};
constexpr std::uint32_t software = PERF_TYPE_SOFTWARE, hardware = PERF_TYPE_HARDWARE, cache = PERF_TYPE_HW_CACHE;
// As perf_event_open(2) has them, and as bpftrace shortens them.
constexpr EventName software_events[] = {
    {"cpu-clock", PERF_COUNT_SW_CPU_CLOCK, 1000000},
    {"cpu", PERF_COUNT_SW_CPU_CLOCK, 1000000},
    {"task-clock", PERF_COUNT_SW_TASK_CLOCK, 1000000},
    {"page-faults", PERF_COUNT_SW_PAGE_FAULTS, 100},
    {"faults", PERF_COUNT_SW_PAGE_FAULTS, 100},
    {"context-switches", PERF_COUNT_SW_CONTEXT_SWITCHES, 1000},
    {"cs", PERF_COUNT_SW_CONTEXT_SWITCHES, 1000},
    {"cpu-migrations", PERF_COUNT_SW_CPU_MIGRATIONS, 1},
    {"minor-faults", PERF_COUNT_SW_PAGE_FAULTS_MIN, 100},
    {"major-faults", PERF_COUNT_SW_PAGE_FAULTS_MAJ, 1},
    {"alignment-faults", PERF_COUNT_SW_ALIGNMENT_FAULTS, 1},
    {"emulation-faults", PERF_COUNT_SW_EMULATION_FAULTS, 1},
    {"dummy", PERF_COUNT_SW_DUMMY, 1},
    {"bpf-output", PERF_COUNT_SW_BPF_OUTPUT, 1},
    {"cgroup-switches", PERF_COUNT_SW_CGROUP_SWITCHES, 1000},
};
constexpr std::uint64_t last_level_misses =
    PERF_COUNT_HW_CACHE_LL | PERF_COUNT_HW_CACHE_OP_READ << 8 | PERF_COUNT_HW_CACHE_RESULT_MISS << 16;
constexpr std::uint64_t last_level_loads =
    PERF_COUNT_HW_CACHE_LL | PERF_COUNT_HW_CACHE_OP_READ << 8 | PERF_COUNT_HW_CACHE_RESULT_ACCESS << 16;
constexpr EventName hardware_events[] = {
    {"cpu-cycles", PERF_COUNT_HW_CPU_CYCLES, 1000000, hardware},
    {"cycles", PERF_COUNT_HW_CPU_CYCLES, 1000000, hardware},
    {"instructions", PERF_COUNT_HW_INSTRUCTIONS, 1000000, hardware},
    {"cache-references", PERF_COUNT_HW_CACHE_REFERENCES, 1000000, hardware},
    {"cache-misses", PERF_COUNT_HW_CACHE_MISSES, 1000000, hardware},
    {"branch-instructions", PERF_COUNT_HW_BRANCH_INSTRUCTIONS, 100000, hardware},
    {"branches", PERF_COUNT_HW_BRANCH_INSTRUCTIONS, 100000, hardware},
    {"branch-misses", PERF_COUNT_HW_BRANCH_MISSES, 100000, hardware},
    {"bus-cycles", PERF_COUNT_HW_BUS_CYCLES, 100000, hardware},
    {"frontend-stalls", PERF_COUNT_HW_STALLED_CYCLES_FRONTEND, 1000000, hardware},
    {"stalled-cycles-frontend", PERF_COUNT_HW_STALLED_CYCLES_FRONTEND, 1000000, hardware},
    {"backend-stalls", PERF_COUNT_HW_STALLED_CYCLES_BACKEND, 1000000, hardware},
    {"stalled-cycles-backend", PERF_COUNT_HW_STALLED_CYCLES_BACKEND, 1000000, hardware},
    {"ref-cycles", PERF_COUNT_HW_REF_CPU_CYCLES, 1000000, hardware},
    {"llc-misses", last_level_misses, 1000000, cache},
    {"llc-loads", last_level_loads, 1000000, cache},
};

const EventName* event_named(std::span<const EventName> all, std::string_view name) {
  for (const EventName& one : all)
    if (name == one.name) return &one;
  return nullptr;
}

std::vector<std::string> names_of(std::span<const EventName> all) {
  std::vector<std::string> names;
  for (const EventName& one : all) names.emplace_back(one.name);
  return names;
}

struct UnitName {
  const char* name;
  std::uint64_t ns;  // 0: it is how often in a second
};
constexpr UnitName units[] = {{"s", 1000000000}, {"ms", 1000000}, {"us", 1000}, {"hz", 0}};
constexpr std::uint64_t shortest_ns = 10000;  // more often, and the machine does little else

// Nothing but what every hit knows.
std::optional<Fetched> no_names(const Expression&) { return {}; }

// The address of a variable or function of the kernel.
std::optional<std::uint64_t> kernel_address(const std::string& name) {
  blazesym::Lines file("/proc/kallsyms");
  // "ADDRESS TYPE NAME", and behind a tab a module.
  for (std::string line; file.next(line);) {
    std::string_view symbol = line;
    symbol.remove_prefix(std::min(symbol.find(' ') + 3, symbol.size()));
    if (symbol.substr(0, symbol.find('\t')) == name) return std::strtoull(line.c_str(), nullptr, 16);
  }
  return {};
}

}  // namespace

void PlaceFinder::find_timer(const Probe& probe) {
  auto parts = split(probe.target, ':');
  std::vector<std::string> names;
  const UnitName* unit = nullptr;
  for (const UnitName& one : units) {
    names.emplace_back(one.name);
    if (parts[0] == one.name) unit = &one;
  }
  if (!unit)
    refuse_probe(probe, probe.target_at,
                 cat("expected UNIT:N, with a unit s, ms, us or hz", suggestion(parts[0], names)));
  std::size_t at = probe.target_at + parts[0].size() + 1;
  auto number = parts.size() == 2 ? parse_number(parts[1]) : std::nullopt;
  if (!number || *number == 0 || *number > 1000000000)
    refuse_probe(probe, at, "expected a number behind the unit, from 1 on");
  std::uint64_t ns = unit->ns ? unit->ns * *number : 1000000000 / *number;
  if (ns < shortest_ns) refuse_probe(probe, at, cat("every ", shortest_ns / 1000, " us is the most"));
  bool one_cpu = probe.kind == "interval";
  Spot spot{.probe = probe, .name = cat(probe.kind, ':', probe.target), .function = {}, .resolve = no_names};
  // An interval is about no process; a profile about those that run.
  if (one_cpu) spot.flags = FETCH_ANYONE;
  Attachment attachment{.program = "hit_perf_event", .shown = spot.name, .cookie = 0, .probe = &probe};
  attachment.cookie = add(spot);
  attachment.event.type = PERF_TYPE_SOFTWARE;
  attachment.event.config = PERF_COUNT_SW_CPU_CLOCK;
  attachment.event.sample_period = ns;
  if (unit->ns == 0) {
    attachment.event.freq = 1;
    attachment.event.sample_freq = *number;
  }
  attachment.cpus = online_cpus();
  if (one_cpu) attachment.cpus.resize(1);
  attachments.push_back(attachment);
}

void PlaceFinder::find_event(const Probe& probe) {
  auto parts = split(probe.target, ':');
  std::span<const EventName> all = software_events;
  if (probe.kind == "hardware") all = hardware_events;
  const EventName* event = event_named(all, parts[0]);
  if (!event)
    refuse_probe(probe, probe.target_at,
                 cat("there is no ", probe.kind, " event ", parts[0], suggestion(parts[0], names_of(all))));
  std::uint64_t count = event->count;
  if (parts.size() > 1) {
    auto number = parse_number(parts[1]);
    if (!number || *number == 0 || parts.size() > 2)
      refuse_probe(probe, probe.target_at + parts[0].size() + 1, "expected after how many there is a hit");
    count = *number;
  }
  Spot spot{.probe = probe, .name = cat(probe.kind, ':', probe.target), .function = {}, .resolve = no_names};
  bool clock = event->type == PERF_TYPE_SOFTWARE &&
               (event->config == PERF_COUNT_SW_CPU_CLOCK || event->config == PERF_COUNT_SW_TASK_CLOCK);
  if (!clock) spot.flags = FETCH_COUNTED;
  counts |= !clock;
  Attachment attachment{.program = "hit_perf_event", .shown = spot.name, .cookie = 0, .probe = &probe};
  attachment.cookie = add(spot);
  attachment.counted = !clock;
  attachment.event.type = event->type;
  attachment.event.config = event->config;
  attachment.event.disabled = 1;  // until its program is there
  attachment.event.sample_period = count;
  attachment.cpus = online_cpus();
  attachments.push_back(attachment);
}

void PlaceFinder::find_watchpoint(const Probe& probe) {
  auto parts = split(probe.target, ':');
  if (parts.size() != 3)
    refuse_probe(probe, probe.target_at, "a watchpoint is ADDRESS_OR_SYMBOL:LENGTH:MODE, like 0x5555...:8:w");
  auto length = parse_number(parts[1]);
  if (!length || (*length != 1 && *length != 2 && *length != 4 && *length != 8))
    refuse_probe(probe, probe.target_at + parts[0].size() + 1, "a watchpoint's length is 1, 2, 4 or 8 bytes");
  std::uint32_t mode = 0;
  constexpr std::string_view letters = "rwx";  // HW_BREAKPOINT_R, _W and _X are 1, 2 and 4
  for (char c : parts[2]) mode |= letters.find(c) == letters.npos ? 64u : 1u << letters.find(c);
  if (mode == 0 || mode > HW_BREAKPOINT_X || parts[2].size() > 2)
    refuse_probe(probe, probe.target_at + parts[0].size() + parts[1].size() + 2,
                 "a watchpoint's mode is r, w, rw or x");
  std::uint64_t address = 0;
  if (parts[0].starts_with("0x")) {
    address = parse_hex(parts[0]).value_or(0);
    if (address == 0) refuse_probe(probe, probe.target_at, "expected an address: 0x and hexadecimal digits");
  } else if (auto found = kernel_address(std::string(parts[0]))) {
    address = *found;
  }
  if (address == 0)
    refuse_probe(probe, probe.target_at, cat("this kernel has no symbol ", parts[0], "; give an address, 0x..."));
  bool user = address >> 63 == 0;
  if (user && settings_.pids.empty())
    refuse_probe(probe, probe.target_at, "an address of a process is watched with -p PID");
#ifdef __x86_64__
  if (mode == HW_BREAKPOINT_R)
    refuse_probe(probe, probe.target_at + parts[0].size() + parts[1].size() + 2,
                 "this machine watches no reads alone; rw is reads and writes");
#endif
  Spot spot{.probe = probe, .name = cat("watchpoint:", probe.target), .function = {}, .resolve = no_names};
  Attachment attachment{.program = "hit_perf_event", .shown = spot.name, .cookie = 0, .probe = &probe};
  attachment.cookie = add(spot);
  attachment.event.type = PERF_TYPE_BREAKPOINT;
  attachment.event.bp_type = mode;
  attachment.event.bp_addr = address;
  attachment.event.bp_len = mode == HW_BREAKPOINT_X ? sizeof(long) : *length;
  attachment.event.sample_period = 1;
  if (!user) {
    attachment.cpus = online_cpus();
    attachments.push_back(attachment);
  }
  for (std::uint32_t pid : settings_.pids) {
    if (!user) break;
    attachment.pid = pid;
    attachment.threads = true;
    attachment.event.inherit = 1;  // by threads that it makes later; children's hits the filter leaves out
    attachments.push_back(attachment);
  }
}

void PlaceFinder::find_once(const Probe& probe) {
  Spot spot{
      .probe = probe, .name = probe.kind, .function = {}, .resolve = no_names, .names = {}, .flags = FETCH_ANYONE};
  Attachment attachment{.program = "hit_raw", .shown = spot.name, .cookie = 0, .probe = &probe};
  attachment.cookie = add(spot);
  attachments.push_back(attachment);
  once.emplace_back(probe.kind, attachment.cookie);
}

}  // namespace kit
