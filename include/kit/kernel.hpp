// SPDX-License-Identifier: BSD-2-Clause
// Questions to the running kernel, answered by trial: whether a program of this kind can be put at that place.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kit/handle.hpp"

namespace kit {

enum class HookKind {
  tp_btf,
  raw_tp,
  tracepoint,
  fentry,
  fexit,
  kprobe,
  kretprobe,
  uprobe,
  sample,
  placed,
  fmod_ret,  // this and the next two answer in a function's place (kit/injection.hpp)
  lsm,
  override_return,
  other,
};

// Where a uprobe goes is known to its tool only, which attaches it after load (kit/uprobe.hpp); so it is with what
// kit/probing.hpp has placed.

struct Verdict;

// A place to attach to, as a program's section says it: "tp_btf/sched_switch", "tp/syscalls/sys_exit_openat".
struct Hook {
  HookKind kind = HookKind::other;
  std::string target;
  std::function<Verdict()> trial = {};  // of what is placed: asks the kernel; empty: by the target's kind
};
Hook parse_hook(std::string_view section);
std::string hook_text(const Hook& hook);

// Yes, under `target` (a kernel function may bear a suffix there), or no, with the reason.
struct Verdict {
  bool yes = false;
  bool denied = false;  // for want of a permission, not of a feature
  std::string lacks;    // then: the capabilities that would give it
  std::string why;
  std::string target;
};

// An interface, so that tests can answer otherwise than the kernel they run on.
class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual Verdict can_attach(const Hook& hook) = 0;
};

// The kernel that runs.
std::unique_ptr<Kernel> running_kernel();

// A perf event at a kernel function, or at its return: a descriptor, or none and errno.
Fd open_kprobe(const std::string& function, bool at_return);
// Whether it is a place in a program, not in the kernel.
bool is_of_program(const Hook& hook);
// Attaches a loaded program where the verdict said. Throws Failure where the kernel refuses after all.
Link attach(bpf_program* program, const Hook& hook);

// The capabilities (capabilities(7)) that tracing asks and this process lacks: "CAP_BPF and CAP_PERFMON", or nothing.
std::string missing_capabilities();
// Whether this process has a capability (CAP_...).
bool has_capability(int capability);
// The names of kernel functions that are `name` under another guise: `__name`, `name.isra.0`, `name_noprof`...
std::vector<std::string> function_aliases(std::string_view name, const std::vector<std::string>& symbols);
// CPUs that are on line, from the kernel's list format ("0-3,8").
std::vector<int> online_cpus();
// How many arguments the running kernel gives to programs at a tracepoint; 0 if it has none of that name, or no BTF.
std::uint32_t tracepoint_arguments(std::string_view tracepoint);
// The first line of a small file of /proc or /sys, without its newline; empty if it cannot be read.
std::string read_line(const std::string& path);
std::string kernel_release();

}  // namespace kit
