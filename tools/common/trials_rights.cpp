// SPDX-License-Identifier: BSD-2-Clause
// Trials of what the kernel tells and what the user is permitted.
#include <bpf/bpf.h>
#include <linux/capability.h>

#include <iterator>

#include "files.hpp"
#include "kernel_types.hpp"
#include "kit/kernel.hpp"
#include "kit/text.hpp"
#include "tracefs.hpp"
#include "trials.hpp"

namespace kit {
namespace {

struct Capability {
  int number;
  const char* name;
  const char* gives;
};
constexpr Capability capabilities[] = {
    {39, "CAP_BPF", "loading programs"},
    {38, "CAP_PERFMON", "programs that trace"},
    {CAP_SYS_ADMIN, "CAP_SYS_ADMIN", "both, and reading a tracefs that is mounted nowhere"},
    {CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH", "reading tracefs"},
    {CAP_SYS_PTRACE, "CAP_SYS_PTRACE", "looking at the files of other users' processes"},
    {CAP_SYS_RESOURCE, "CAP_SYS_RESOURCE", "memory for maps, on kernels before 5.11"},
    {CAP_SYSLOG, "CAP_SYSLOG", "the addresses of the kernel's functions"},
};

Trial try_capability(const Capability& one) {
  if (has_capability(one.number)) return works(one.name, one.gives);
  return fails(one.name, cat("is lacking: ", one.gives), cat("run as root, or give it to the file by setcap(8)"));
}

// A setting forbids something if it has one of these values and, where a capability lifts that, this is lacking.
struct Setting {
  const char* name;
  const char* forbidding;  // the values' first characters
  int lifted_by;           // -1: by none
  const char* forbids;
  const char* remedy;
};
constexpr Setting settings[] = {
    {"kernel.unprivileged_bpf_disabled", "12", 39, "forbids all programs", "CAP_BPF"},
    {"kernel.perf_event_paranoid", "234", 38, "forbids perf events of the kernel", "CAP_PERFMON"},
    {"kernel.kptr_restrict", "2", -1, "hides the kernel's addresses", "sysctl kernel.kptr_restrict=1"},
    {"kernel.ftrace_enabled", "0", -1, "forbids fentry, fexit and kprobe.multi", "sysctl kernel.ftrace_enabled=1"},
    {"net.core.bpf_jit_enable", "0", -1, "forbids fentry and fexit", "sysctl net.core.bpf_jit_enable=1"},
};

Trial try_setting(const Setting& one) {
  std::string path = cat("/proc/sys/", one.name);
  for (char& byte : path)
    if (byte == '.') byte = '/';
  std::string value = read_line(path);
  if (value.empty()) return works(one.name, "this kernel has no such setting, or does not tell it");
  bool forbids = std::string_view(one.forbidding).find(value[0]) != std::string_view::npos;
  bool lifted = one.lifted_by >= 0 && (has_capability(one.lifted_by) || has_capability(CAP_SYS_ADMIN));
  if (!forbids || lifted) return works(one.name, value);
  return fails(one.name, cat(value, ' ', one.forbids), one.remedy);
}

Trial try_types() {
  if (!KernelTypes::get().empty()) return works("BTF", "the kernel tells its types");
  return fails("BTF", "the kernel does not tell its types",
               "a kernel with CONFIG_DEBUG_INFO_BTF, or --btf with a file of its types");
}

Trial try_tracefs() {
  int error = 0;
  std::size_t count = tracepoints(error).size();
  if (!error && count > 0) return works("tracefs", cat(count, " tracepoints"));
  if (error == EACCES || error == EPERM)
    return fails("tracefs", "cannot be read", "root, or CAP_DAC_READ_SEARCH and CAP_SYS_ADMIN");
  return fails("tracefs", error_text(error), "a kernel with CONFIG_EVENT_TRACING");
}

// A kernel that hides its addresses lists all of them as 0.
Trial try_symbols() {
  blazesym::Lines file("/proc/kallsyms");
  bool any = false;
  for (std::string line; file.next(line);) {
    any = true;
    if (!line.starts_with("0000000000000000")) return works("kallsyms", "functions with their addresses");
  }
  if (!any) return fails("kallsyms", "there is none", "a kernel with CONFIG_KALLSYMS");
  return fails("kallsyms", "functions without their addresses",
               has_capability(CAP_SYSLOG) ? "sysctl kernel.kptr_restrict=1" : "root, or CAP_SYSLOG");
}

Trial try_ring() {
  int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "trial", 0, 0, 1 << 16, nullptr);
  if (Fd ring(fd); fd >= 0) return works("ring buffer");
  if (std::string rights = missing_rights(); !rights.empty()) return fails("ring buffer", "is not permitted", rights);
  return fails("ring buffer", error_text(-fd), "Linux 5.8 or later");
}

// A kernel that is locked down takes away helpers: at "integrity" what writes to programs, at "confidentiality" what
// reads the kernel's memory, too.
Trial try_lockdown() {
  if (std::string rights = missing_rights(); !rights.empty())
    return fails("lockdown", "cannot be tried without programs", rights);
  if (!may_call(BPF_PROG_TYPE_KPROBE, BPF_FUNC_probe_read_kernel))
    return fails("lockdown", "confidentiality: programs may not read the kernel's memory",
                 "boot without lockdown=confidentiality");
  if (!may_call(BPF_PROG_TYPE_KPROBE, BPF_FUNC_probe_write_user))
    return works("lockdown", "integrity: programs may read all, and write nothing");
  return works("lockdown", "none");
}

struct HelperName {
  const char* name;
  std::int32_t helper;
  const char* since;
};
constexpr HelperName helpers[] = {
    {"bpf_probe_read_kernel", BPF_FUNC_probe_read_kernel, "5.5"},
    {"bpf_probe_read_user_str", BPF_FUNC_probe_read_user_str, "5.5"},
    {"bpf_get_ns_current_pid_tgid", BPF_FUNC_get_ns_current_pid_tgid, "5.7"},
    {"bpf_get_current_cgroup_id", BPF_FUNC_get_current_cgroup_id, "5.7 with CONFIG_CGROUPS"},
    {"bpf_ktime_get_boot_ns", BPF_FUNC_ktime_get_boot_ns, "5.8"},
    {"bpf_ringbuf_reserve", BPF_FUNC_ringbuf_reserve, "5.8"},
    {"bpf_get_stack", BPF_FUNC_get_stack, "4.18"},
    {"bpf_get_current_task_btf", BPF_FUNC_get_current_task_btf, "5.11"},
    {"bpf_get_attach_cookie", BPF_FUNC_get_attach_cookie, "5.15"},
    {"bpf_get_func_ip", BPF_FUNC_get_func_ip, "5.15"},
    {"bpf_task_pt_regs", BPF_FUNC_task_pt_regs, "5.15"},
    {"bpf_loop", BPF_FUNC_loop, "5.17"},
};

}  // namespace

std::string missing_rights() {
  std::string missing = missing_capabilities();
  return missing.empty() ? "" : cat("root, or ", missing);
}

bool may_call(bpf_prog_type type, std::int32_t helper) {
  const bpf_insn program[] = {{BPF_JMP | BPF_CALL, 0, 0, 0, helper},
                              {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0},
                              {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
  char log[4096] = {};
  LIBBPF_OPTS(bpf_prog_load_opts, options, .log_level = 1, .log_size = sizeof log, .log_buf = log);
  int fd = bpf_prog_load(type, "trial", "GPL", program, std::size(program), &options);
  if (Fd loaded(fd); fd >= 0) return true;
  std::string_view said = log;
  if (said.empty()) return false;
  for (std::string_view no : {"invalid func", "unknown func", "cannot use helper"})
    if (said.find(no) != said.npos) return false;
  return true;
}

std::vector<Trial> try_sources() { return {try_types(), try_symbols(), try_tracefs(), try_ring(), try_lockdown()}; }

std::vector<Trial> try_helpers() {
  std::vector<Trial> all;
  std::string rights = missing_rights();
  for (const HelperName& one : helpers) {
    if (!rights.empty())
      all.push_back(fails(one.name, "cannot be tried without programs", rights));
    else if (may_call(BPF_PROG_TYPE_KPROBE, one.helper))
      all.push_back(works(one.name));
    else
      all.push_back(
          fails(one.name, "this kernel does not have it, or forbids it", cat("Linux ", one.since, " or later")));
  }
  return all;
}

std::vector<Trial> try_rights() {
  std::vector<Trial> all;
  for (const Capability& one : capabilities) all.push_back(try_capability(one));
  for (const Setting& one : settings) all.push_back(try_setting(one));
  return all;
}

}  // namespace kit
