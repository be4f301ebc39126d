// SPDX-License-Identifier: BSD-2-Clause
#include "kit/injection.hpp"

#include <bpf/bpf.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <map>

#include "filter.hpp"
#include "inject.h"
#include "kallsyms.hpp"
#include "kernel_types.hpp"
#include "kit/text.hpp"
#include "loader.hpp"

namespace kit {
namespace {

struct WayOf {
  const char* name;
  HookKind kind;
  const char* program;
  std::vector<std::string> Injectable::*targets;
};
constexpr WayOf ways[] = {
    {"override", HookKind::override_return, "hit_override", &Injectable::overridden},
    {"fmod_ret", HookKind::fmod_ret, "hit_fmod_ret", &Injectable::modified},
    {"lsm", HookKind::lsm, "hit_lsm", &Injectable::hooks},
};

// In the order in which they are tried. Where programs can be preempted, the kernel skips runs of fmod_ret meanwhile,
// never those of security modules (6.2): an operation's calls are broken exactly by these. They are asked last, though,
// and not all of them may answer with any error: a function that is named itself is answered for as such.
std::vector<const WayOf*> ways_of(const Injectable& one) {
  const auto& [override, fmod_ret, lsm] = ways;
  if (one.name.starts_with("kernel:")) return {&override, &fmod_ret, &lsm};
  return {&override, &lsm, &fmod_ret};
}

// What the kernel has answered, since a plan and the programs that follow it ask the same.
const Verdict& ask(const WayOf& way, const std::string& target) {
  static const auto kernel = running_kernel();
  static std::map<std::string, Verdict> answers;
  Hook hook{way.kind, target};
  auto [found, fresh] = answers.try_emplace(hook_text(hook));
  if (fresh) {
    found->second = kernel->can_attach(hook);
    found->second.target = hook_text(hook);
  }
  return found->second;
}

// Whether atomic operations tell what they have found (5.12, 5ca419f2864a).
bool has_fetching_atomics() {
  static const bool has = [] {
    constexpr bpf_insn program[] = {
        {BPF_ST | BPF_MEM | BPF_DW, BPF_REG_10, 0, -8, 0},
        {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0},
        {BPF_STX | BPF_ATOMIC | BPF_DW, BPF_REG_10, BPF_REG_0, -8, BPF_ADD | BPF_FETCH},
        {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
    };
    int loaded = bpf_prog_load(BPF_PROG_TYPE_KPROBE, "trial", "GPL", program, std::size(program), nullptr);
    return static_cast<bool>(Fd(loaded < 0 ? -1 : loaded));
  }();
  return has;
}

bpf_program* program_of(const WayOf& way, bpf_object* object) {
  return bpf_object__find_program_by_name(object, cat(way.program, has_fetching_atomics() ? "" : "_old").c_str());
}

// Of a program's target among the kernel's types; kprobes have none.
std::uint32_t type_of(std::string_view way, const std::string& target) {
  if (way == "override") return 0;
  return KernelTypes::get().find(way == "lsm" ? "bpf_lsm_" + target : target, BTF_KIND_FUNC);
}

[[noreturn]] void refuse(const std::string& place) {
  throw Failure(Exit::unsupported, cat("cannot attach to ", place, ": ", error_text(errno), "; --explain shows more"));
}

// A row of the list.
struct Listed {
  Cell name;
  std::string way;
  Cell by;
};

// What was taken, or why nothing was.
std::string by_what(const Settled& one) {
  std::string by;
  for (const Part& part : one.parts) by += cat(by.empty() ? "" : " ", part.hook.target);
  if (!one.way.empty()) return by;
  for (const Refusal& refusal : one.refused) by += cat(by.empty() ? "" : "; ", refusal.way, ": ", refusal.why);
  return by;
}

constexpr std::uint32_t most_ancestors = 1024;

// Who is never to be harmed, as far as this process's PID namespace shows them.
std::vector<std::uint32_t> ancestors() {
  std::vector<std::uint32_t> all;
  auto parents = process_parents();
  for (auto pid = static_cast<std::uint32_t>(getppid()); pid > 1 && all.size() < most_ancestors; pid = parents[pid])
    all.push_back(pid);
  return all;
}

}  // namespace

void plan_injection(AttachPlan& plan, const Injectable& one, bpf_object* object) {
  plan.event(one.name, "break");
  for (const WayOf* of : ways_of(one)) {
    const WayOf& way = *of;
    std::vector<Part> parts;
    for (const std::string& target : one.*way.targets) {
      Part part(Hook{HookKind::placed, hook_text({way.kind, target}), [&way, target] { return ask(way, target); }});
      if (object) part.program = program_of(way, object);
      parts.push_back(std::move(part));
    }
    if (parts.empty()) continue;
    std::vector<Part> others(parts.begin() + 1, parts.end());
    parts.resize(1, parts[0]);
    plan.way(way.name, parts, others);
  }
}

int list_injectables(Session& session) {
  Table<Listed> table;
  table.column("NAME", "name", 32, "an operation, or kernel:FUNCTION", &Listed::name)
      .column("WAY", "way", 8, "how it is made to fail; none if this kernel does not let it",
              [](const Listed& row) { return row.way.empty() ? Cell::none() : Cell::borrowed(row.way); })
      .column("BY", "by", 0, "what is attached to, or why nothing can be", &Listed::by);
  return session.list(table, [&] {
    AttachPlan plan;
    for (const Injectable& one : injectable_operations()) plan_injection(plan, one);
    for (const Injectable& one : injectable_functions()) plan_injection(plan, one);
    for (const Settled& one : plan.settle(*running_kernel()))
      session.row(table, Listed{Cell::borrowed(one.event), one.way, Cell::owned(by_what(one))});
  });
}

void check_chosen(const Settings& settings) {
  auto wrong = [](const std::string& why) { throw Failure(Exit::usage, why); };
  bool everybody = settings.tree == 1u || (!settings.cgroup.empty() && cgroup_id(settings.cgroup) == 1);
  if (!settings.comm.empty()) everybody |= settings.comm.find_first_not_of("*,") == settings.comm.npos;
  bool some = !settings.pids.empty() || !settings.tids.empty() || !settings.users.empty() || !settings.command.empty();
  some |= !settings.comm.empty() || !settings.cgroup.empty() || settings.tree;
  if (!some) wrong("choose whose calls are to fail: -p, -t, -u, --comm, --cgroup, --tree or -- COMMAND; never all");
  if (everybody) wrong("these are all processes: choose whose calls are to fail");
  std::vector<std::uint32_t> never = ancestors();
  never.push_back(1);
  for (const auto& list : {settings.pids, settings.tids})
    for (std::uint32_t pid : list)
      if (std::find(never.begin(), never.end(), pid) != never.end())
        wrong(cat(pid, " is ", pid == 1 ? "PID 1" : "an ancestor of this process", ", which is never harmed"));
}

CodeRanges find_code(const std::string& function) {
  auto symbols = blazesym::KernelSymbols::read();
  CodeRanges found = symbols.ranges(function);
  std::vector<std::string> names;
  if (found.empty()) blazesym::each_kernel_function([&](std::string_view name) { names.emplace_back(name); });
  if (std::find(names.begin(), names.end(), function) != names.end())
    throw Failure(Exit::denied, "--stack needs CAP_SYSLOG, or root: where the kernel's functions lie is hidden");
  if (found.empty())
    throw Failure(Exit::usage, cat("--stack: this kernel has no function ", function, suggestion(function, names)));
  if (found.size() > INJECT_RANGES)
    throw Failure(Exit::usage, cat("--stack: this kernel has ", found.size(), " functions ", function, ", too many"));
  return found;
}

Injection::Injection(Session& session, bpf_object* object, const Injectable& one)
    : session_(session), object_(object), operation_(one.name) {
  if (session.replaying()) return;
  way_ = session.way(one.name);
  const auto* way = std::find_if(std::begin(ways), std::end(ways), [&](const WayOf& w) { return w.name == way_; });
  program_ = program_of(*way, object);
  leave_out(has_fetching_atomics(), {bpf_object__find_map_by_name(object, "claims")});
  for (const std::string& target : one.*way->targets) {
    if (!ask(*way, target).yes) continue;
    functions_.push_back(target);
    places_.push_back(target);
  }
  set_first_copy(program_, {.cookie = 0, .type_id = type_of(way_, functions_[0])});
  set_knob(object, "only_access", way_ == "override" ? std::uint32_t{0} : one.access);
  bpf_map__set_max_entries(bpf_object__find_map_by_name(object, "spared"), most_ancestors);
}

void Injection::only_beneath(const CodeRanges& code) {
  std::array<inject_range, INJECT_RANGES> ranges{};
  leave_out(code.empty(), {bpf_object__find_map_by_name(object_, "stacks")});
  for (std::size_t i = 0; i < code.size(); i++) ranges.at(i) = {code[i].first, code[i].second};
  set_knob(object_, "ranges", ranges);
  set_knob(object_, "range_count", static_cast<std::uint32_t>(code.size()));
}

void Injection::attach() {
  std::string names = session_.kept("places", [this] {
    std::string text = operation_;
    for (const std::string& place : places_) text += cat('\n', place);
    return text;
  });
  places_.clear();
  for (std::string_view name : split(names, '\n')) places_.emplace_back(name);
  operation_ = places_[0];
  places_.erase(places_.begin());
  if (session_.replaying()) return;
  spare_ancestors();
  for (std::size_t place = 0; place < functions_.size(); place++) add(place);
  session_.count_skips([this] {
    Count sum = 0;
    for (const Fd& program : programs_) sum = sum + skipped_runs(program.get());
    return sum;
  });
  session_.at_end([this] { links_.clear(); });
}

void Injection::spare_ancestors() {
  bpf_map* map = bpf_object__find_map_by_name(object_, "spared");
  std::uint8_t yes = 1;
  for (std::uint32_t pid : ancestors())
    if (bpf_map_update_elem(bpf_map__fd(map), &pid, &yes, BPF_ANY) != 0)
      throw Failure(Exit::failed, cat("cannot fill the set of ancestors: ", error_text(errno)));
}

// Links are descriptors: however this process ends, they end with it.
void Injection::add(std::size_t place) {
  int program = bpf_program__fd(program_);
  const std::string& function = functions_[place];
  if (place > 0) {
    Fd copy(load_copy(program_, {.cookie = place, .type_id = type_of(way_, function)}));
    if (!copy) refuse(function);
    program = copy.get();
    programs_.push_back(std::move(copy));
  }
  Fd link;
  if (way_ == "override") {
    link = open_kprobe(function, false);
    if (!link || ioctl(link.get(), PERF_EVENT_IOC_SET_BPF, program) != 0) refuse(function);
  } else {
    link = Fd(bpf_raw_tracepoint_open(nullptr, program));
    if (!link) refuse(function);
  }
  links_.push_back(std::move(link));
}

const std::string& Injection::function(std::uint32_t place) const {
  static const std::string unknown;
  return place < places_.size() ? places_[place] : unknown;
}

}  // namespace kit
