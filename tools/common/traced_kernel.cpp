// SPDX-License-Identifier: BSD-2-Clause
#include "traced_kernel.hpp"

#include <algorithm>

#include "kit/kernel.hpp"
#include "kit/text.hpp"

namespace kit {
namespace {

// Where the kernel attaches one by one, each takes some milliseconds and detaching as many.
constexpr std::size_t most_one_by_one = 200;

// What the tracing calls itself, and what runs so often that nothing else could be seen.
bool is_everywhere(std::string_view name) {
  constexpr std::string_view parts[] = {
      "bpf",   "htab",    "lookup_nulls", "map_lookup", "map_update", "ringbuf",    "trace",      "probe",
      "rcu",   "lock",    "irq",          "preempt",    "perf_",      "nmi",        "sched_",     "ktime",
      "clock", "tick",    "timer",        "cpu",        "migrate",    "stack",      "__get_user", "__put_user",
      "entry", "exit_to", "syscall_",     "static_key", "cond_resch", "copy_from_", "memcg_",     "mem_alloc"};
  return std::any_of(std::begin(parts), std::end(parts),
                     [&](std::string_view part) { return name.find(part) != name.npos; });
}

// The system calls' own functions: the calls are seen as such.
bool is_call(std::string_view name) {
  for (const char* prefix : {"__x64_sys_", "__ia32_sys_", "__arm64_sys_", "__se_sys_", "__do_sys_", "x64_sys_call"})
    if (name.starts_with(prefix)) return true;
  return false;
}

std::string kprobe_type() { return read_line("/sys/bus/event_source/devices/kprobe/type"); }

Attachment attachment(const char* program, const KernelFunction& function, bool returns) {
  Attachment one{.program = program, .shown = cat("kernel:", function.name), .cookie = 0, .probe = nullptr};
  one.one_of_many = true;
  one.at_return = returns;
  return one;
}

// All by one link.
Attachment many(const char* program, const std::vector<KernelFunction>& functions, bool returns) {
  Attachment all = attachment(program, functions.at(0), returns);
  for (const KernelFunction& function : functions) {
    all.functions.push_back(function.name);
    all.cookies.push_back(returns ? function.leave : function.enter);
  }
  return all;
}

}  // namespace

std::vector<std::string> traced_kernel_functions(const std::vector<std::string>& globs) {
  std::vector<std::string> all;
  if (globs.empty()) {
    all = traceable_functions("*");
    std::erase_if(all, [](const std::string& name) { return is_everywhere(name) || is_call(name); });
    return all;
  }
  for (const std::string& glob : globs) {
    auto found = traceable_functions(glob);
    if (found.empty()) {
      auto near = traceable_functions(cat(glob.substr(0, 3), "*"));
      throw Failure(Exit::usage, cat("--kernel ", glob, ": this kernel has no such function that can be probed",
                                     suggestion(glob, near)));
    }
    all.insert(all.end(), found.begin(), found.end());
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

bool has_kprobes() { return !kprobe_type().empty(); }

std::vector<Attachment> kernel_attachments(const std::vector<KernelFunction>& functions, bool session) {
  bool multi = has_kprobe_multi();
  if (!multi && !has_kprobes())
    throw Failure(Exit::unsupported, "this kernel lets none of its functions be probed (no kprobes)");
  if (!multi && functions.size() > most_one_by_one)
    throw Failure(Exit::unsupported, cat(functions.size(),
                                         " functions of the kernel match, and this kernel attaches one "
                                         "by one (it has no kprobe.multi): ",
                                         most_one_by_one, " are the limit"));
  if (session && has_kprobe_session()) return {many("hit_kprobe_session", functions, false)};
  if (multi) return {many("hit_kprobe_multi", functions, true), many("hit_kprobe_multi", functions, false)};
  std::vector<Attachment> all;
  for (bool returns : {true, false}) {
    for (const KernelFunction& function : functions) {
      Attachment& one = all.emplace_back(attachment("hit_probe", function, returns));
      one.cookie = returns ? function.leave : function.enter;
      one.path = function.name;
      one.event.type = static_cast<std::uint32_t>(parse_number(kprobe_type()).value_or(0));
      one.event.config = returns;
    }
  }
  return all;
}

}  // namespace kit
