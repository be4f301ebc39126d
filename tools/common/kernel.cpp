// SPDX-License-Identifier: BSD-2-Clause
#include "kit/kernel.hpp"

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <optional>
#include <set>

#include "files.hpp"
#include "kallsyms.hpp"
#include "kernel_types.hpp"
#include "kit/sampler.hpp"
#include "kit/text.hpp"
#include "tracefs.hpp"
#include "trials.hpp"

namespace kit {
namespace {

struct KindName {
  HookKind kind;
  std::string_view prefix;
};
constexpr KindName kind_names[] = {
    {HookKind::tp_btf, "tp_btf/"},
    {HookKind::raw_tp, "raw_tp/"},
    {HookKind::tracepoint, "tp/"},
    {HookKind::fentry, "fentry/"},
    {HookKind::fexit, "fexit/"},
    {HookKind::kprobe, "kprobe/"},
    {HookKind::kretprobe, "kretprobe/"},
    {HookKind::uprobe, "uprobe"},
    {HookKind::sample, "sample/"},
    {HookKind::placed, "placed/"},
    {HookKind::fmod_ret, "fmod_ret/"},
    {HookKind::lsm, "lsm/"},
    {HookKind::override_return, "override/"},
};

Verdict yes(std::string target = {}) { return {true, false, {}, {}, std::move(target)}; }
Verdict no(std::string why) { return {false, false, {}, std::move(why), {}}; }
Verdict denied(std::string why, std::string lacks) { return {false, true, std::move(lacks), std::move(why), {}}; }
Verdict not_permitted(const std::string& lacks) { return denied(cat("not permitted without ", lacks), lacks); }

// The smallest program there is: returns 0.
constexpr std::array<bpf_insn, 2> nothing = {{
    {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0},
    {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
}};

Fd try_load(bpf_prog_type type, bpf_attach_type attach_type = bpf_attach_type{}, int btf_id = 0) {
  LIBBPF_OPTS(bpf_prog_load_opts, options);
  options.expected_attach_type = attach_type;
  options.attach_btf_id = static_cast<__u32>(btf_id);
  int fd = bpf_prog_load(type, "trial", "GPL", nothing.data(), nothing.size(), &options);
  if (fd < 0) errno = -fd;
  return Fd(fd);
}

Verdict refused(std::string_view what, int error) {
  if (error == EPERM || error == EACCES) {
    std::string missing = missing_capabilities();
    if (!missing.empty()) return not_permitted(missing);
    return no(cat(what, " is refused by this kernel (EPERM)"));
  }
  return no(cat(what, ": ", error_text(error)));
}

// Of a perf event. For probes of programs the kernel asks CAP_SYS_ADMIN since 6.16, and in stable kernels before
// (commit ba677dbe77af); for all events Debian's 5.10 and 6.1 do where kernel.perf_event_paranoid is 3.
Verdict refused_event(std::string_view what, int error) {
  bool forbidden = error == EPERM || error == EACCES;
  if (forbidden && missing_capabilities().empty() && !has_capability(CAP_SYS_ADMIN))
    return not_permitted("CAP_SYS_ADMIN");
  return refused(what, error);
}

int perf_event(perf_event_attr& attributes) {
  attributes.size = sizeof attributes;
  auto cpus = online_cpus();
  return static_cast<int>(
      syscall(SYS_perf_event_open, &attributes, -1, cpus.empty() ? 0 : cpus[0], -1, PERF_FLAG_FD_CLOEXEC));
}

int open_tracepoint(int id) {
  perf_event_attr attributes{};
  attributes.type = PERF_TYPE_TRACEPOINT;
  attributes.config = static_cast<__u64>(id);
  attributes.sample_period = 1;
  attributes.wakeup_events = 1;
  return perf_event(attributes);
}

}  // namespace

Fd open_kprobe(const std::string& function, bool at_return) {
  std::string type = read_line("/sys/bus/event_source/devices/kprobe/type");
  if (type.empty()) return errno = ENOTSUP, Fd();
  perf_event_attr attributes{};
  attributes.type = static_cast<__u32>(std::atoi(type.c_str()));
  attributes.config = at_return ? 1 : 0;  // .../format/retprobe: config:0
  attributes.kprobe_func = reinterpret_cast<__u64>(function.c_str());
  return Fd(perf_event(attributes));
}

namespace {

class RunningKernel : public Kernel {
 public:
  Verdict can_attach(const Hook& hook) override {
    Verdict verdict = ask(hook);
    if (verdict.yes && verdict.target.empty()) verdict.target = hook.target;
    return verdict;
  }

 private:
  Verdict ask(const Hook& hook) {
    switch (hook.kind) {
      case HookKind::tp_btf: return ask_typed(BPF_TRACE_RAW_TP, "btf_trace_" + hook.target, BTF_KIND_TYPEDEF, "tp_btf");
      case HookKind::fentry: return ask_function(BPF_TRACE_FENTRY, hook.target, "fentry");
      case HookKind::fexit: return ask_function(BPF_TRACE_FEXIT, hook.target, "fexit");
      case HookKind::fmod_ret: return ask_function(BPF_MODIFY_RETURN, hook.target, "fmod_ret");
      case HookKind::lsm: return ask_lsm(hook.target);
      case HookKind::override_return: return ask_override(hook.target);
      case HookKind::raw_tp: return ask_raw(hook.target);
      case HookKind::tracepoint: return ask_tracepoint(hook.target);
      case HookKind::kprobe: return ask_kprobe(hook.target, false);
      case HookKind::kretprobe: return ask_kprobe(hook.target, true);
      case HookKind::uprobe: return ask_uprobe();
      case HookKind::sample: return ask_sampling(hook.target);
      case HookKind::placed: return hook.trial ? hook.trial() : is_of_program(hook) ? ask_uprobe() : ask_events();
      case HookKind::other: return yes();
    }
    return no("unknown kind");
  }

  // Loads the smallest program for a BTF target. Tracepoints that have a type differ in nothing that the kernel could
  // refuse, and it takes half a millisecond to find one (8aeaed21befc, 6.12): the first that loads answers for all.
  Verdict ask_typed(bpf_attach_type type, const std::string& name, __u32 kind, std::string_view what,
                    Fd* loaded = nullptr) {
    const Types& types = KernelTypes::get();
    if (types.empty()) return no("the kernel offers no BTF (CONFIG_DEBUG_INFO_BTF), which this kind of program needs");
    int id = static_cast<int>(types.find(name, kind));
    if (id == 0) return no(cat("this kernel has no ", name));
    if (type == BPF_TRACE_RAW_TP && typed_tracepoints_) return yes();
    Fd program = try_load(type == BPF_LSM_MAC ? BPF_PROG_TYPE_LSM : BPF_PROG_TYPE_TRACING, type, id);
    if (!program && errno == EINVAL && type == BPF_MODIFY_RETURN)
      return no(cat(name, " is no function whose answer may be changed"));
    if (!program) return refused(what, errno);
    typed_tracepoints_ = typed_tracepoints_ || type == BPF_TRACE_RAW_TP;
    if (loaded) *loaded = std::move(program);
    return yes();
  }

  // A security module that is not switched on takes programs and never runs them.
  Verdict ask_lsm(const std::string& hook) {
    static const Trial trial = try_lsm();
    if (!trial.works) return no(cat("LSM ", trial.found));
    return ask_function(BPF_LSM_MAC, "bpf_lsm_" + hook, "lsm");
  }

  // Put to a kprobe of the function, where the kernel looks whether errors may be injected into it. The program asks to
  // override on a CPU that there is not: it is never done.
  static Verdict ask_override(const std::string& name) {
    if (!may_call(BPF_PROG_TYPE_KPROBE, BPF_FUNC_override_return)) {
      if (std::string missing = missing_capabilities(); !missing.empty()) return not_permitted(missing);
      return no("overriding functions is compiled out of this kernel (CONFIG_BPF_KPROBE_OVERRIDE)");
    }
    const std::array<bpf_insn, 8> program = {{
        {BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_6, BPF_REG_1, 0, 0},
        {BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_get_smp_processor_id},
        {BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 3, INT32_MAX},
        {BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_6, 0, 0},
        {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_2, 0, 0, 0},
        {BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_override_return},
        {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0},
        {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
    }};
    int loaded = bpf_prog_load(BPF_PROG_TYPE_KPROBE, "trial", "GPL", program.data(), program.size(), nullptr);
    if (loaded < 0) return refused("override", -loaded);
    Fd kept(loaded), event = open_kprobe(name, false);
    if (!event) return errno == ENOENT ? no(cat("this kernel has no function ", name)) : refused_event("kprobe", errno);
    if (ioctl(event.get(), PERF_EVENT_IOC_SET_BPF, loaded) == 0) return yes();
    return errno == EINVAL ? no(cat(name, " is not on the kernel's list of functions that may fail on purpose"))
                           : refused("override", errno);
  }

  // There are kernels that load such a program and then refuse to attach it, so it is attached for a moment.
  Verdict ask_function(bpf_attach_type type, const std::string& name, std::string_view what) {
    Fd program;
    Verdict verdict = ask_typed(type, name, BTF_KIND_FUNC, what, &program);
    // A list asks for hundreds of them. What answers in a function's place is refused for that function when it is
    // loaded; whether it may be attached at all, one tells.
    bool listed = type == BPF_MODIFY_RETURN || type == BPF_LSM_MAC;
    if (!verdict.yes || (listed && attached_.contains(type))) return verdict;
    Fd link(bpf_raw_tracepoint_open(nullptr, program.get()));
    if (!link) return refused(what, errno);
    attached_.insert(type);
    return verdict;
  }

  Verdict ask_raw(const std::string& name) {
    Fd program = try_load(BPF_PROG_TYPE_RAW_TRACEPOINT);
    if (!program) return refused("raw_tp", errno);
    Fd link(bpf_raw_tracepoint_open(name.c_str(), program.get()));
    if (link) return yes();
    return errno == ENOENT ? no(cat("this kernel has no tracepoint ", name)) : refused("raw_tp", errno);
  }

  Verdict ask_tracepoint(const std::string& event) {
    int id = tracepoint_id(event);
    if (id == -EACCES || id == -EPERM)
      return denied("tracefs cannot be read: that asks CAP_DAC_READ_SEARCH, and CAP_SYS_ADMIN where it is not mounted",
                    "CAP_DAC_READ_SEARCH and CAP_SYS_ADMIN");
    if (id == -ENOENT) return no(cat("this kernel has no tracepoint ", event));
    if (id < 0) return no(cat("tracefs: ", error_text(-id)));
    // Not opened for trial: closing a perf event of a tracepoint waits for every CPU, some 50 ms each. What may forbid
    // it is asked once, with an event that costs nothing.
    return can_open_events_ ? *can_open_events_ : *(can_open_events_ = ask_events());
  }

  static Verdict ask_events() {
    perf_event_attr attributes{};
    attributes.type = PERF_TYPE_SOFTWARE;
    attributes.config = PERF_COUNT_SW_DUMMY;
    Fd trial(perf_event(attributes));
    return trial ? yes() : refused_event("tracepoint", errno);
  }

  static Verdict ask_sampling(const std::string& kind) {
    auto cpus = online_cpus();
    Fd trial(open_sampling(kind, 1, cpus.empty() ? 0 : cpus[0]));
    if (trial) return yes();
    if (errno == ENOENT || errno == EOPNOTSUPP)
      return no("this machine has no counter of cycles, as many virtual ones");
    return refused_event("perf event", errno);
  }

  Verdict ask_kprobe(const std::string& name, bool at_return) {
    if (std::string missing = missing_capabilities(); !missing.empty()) return not_permitted(missing);
    // The list of functions takes megabytes, and tens of milliseconds to read: it is for those under another name.
    if (Fd trial = open_kprobe(name, at_return)) return yes(name);
    if (errno == ENOTSUP) return no("kprobes are compiled out of this kernel (CONFIG_KPROBES)");
    std::string why = cat("this kernel has no function ", name);
    for (const std::string& alias : function_aliases(name, symbols())) {
      Fd trial = open_kprobe(alias, at_return);
      if (trial) return yes(alias);
      Verdict verdict = refused_event(cat("kprobe on ", alias), errno);
      if (verdict.denied) return verdict;
      why = verdict.why;
    }
    return no(why);
  }

  // Before it looks at anything else, the kernel asks for permission: since 6.16, and in stable kernels before, for
  // more than CAP_PERFMON (commit ba677dbe77af). So a probe without a file tells.
  static Verdict ask_uprobe() {
    std::string type = read_line("/sys/bus/event_source/devices/uprobe/type");
    if (type.empty()) return no("uprobes are compiled out of this kernel (CONFIG_UPROBE_EVENTS)");
    perf_event_attr attributes{};
    attributes.type = static_cast<__u32>(std::atoi(type.c_str()));
    attributes.uprobe_path = reinterpret_cast<__u64>("");
    Fd trial(perf_event(attributes));
    if (trial || (errno != EACCES && errno != EPERM)) return yes();
    return refused_event("uprobe", errno);
  }

  const std::vector<std::string>& symbols() {
    if (symbols_.empty()) blazesym::each_kernel_function([&](std::string_view name) { symbols_.emplace_back(name); });
    return symbols_;
  }

  std::optional<Verdict> can_open_events_;
  std::set<bpf_attach_type> attached_;
  bool typed_tracepoints_ = false;
  std::vector<std::string> symbols_;
};

bool is_suffix_of_compiler(std::string_view rest) {
  for (std::string_view suffix : {".isra.", ".constprop.", ".part.", ".llvm."})
    if (rest.starts_with(suffix)) return true;
  return rest.empty() || rest == "_noprof";
}

}  // namespace

Hook parse_hook(std::string_view section) {
  if (section.starts_with('?')) section.remove_prefix(1);
  for (const KindName& name : kind_names)
    if (section.starts_with(name.prefix)) return {name.kind, std::string(section.substr(name.prefix.size()))};
  return {HookKind::other, std::string(section)};
}

std::string hook_text(const Hook& hook) {
  if (hook.kind == HookKind::placed) return hook.target;
  for (const KindName& name : kind_names)
    if (hook.kind == name.kind) return cat(name.prefix, hook.target);
  return hook.target;
}

std::unique_ptr<Kernel> running_kernel() { return std::make_unique<RunningKernel>(); }

bool is_of_program(const Hook& hook) {
  if (hook.kind == HookKind::uprobe) return true;
  std::string_view place = hook.target;
  return hook.kind == HookKind::placed &&
         (place.starts_with("uprobe:") || place.starts_with("uretprobe:") || place.starts_with("usdt:"));
}

Link attach(bpf_program* program, const Hook& hook) {
  bpf_link* link = nullptr;
  if (hook.kind == HookKind::tracepoint) {
    int event = open_tracepoint(tracepoint_id(hook.target));
    link = event >= 0 ? bpf_program__attach_perf_event(program, event) : nullptr;
    if (!link && event >= 0) close(event);
  } else if (hook.kind == HookKind::kprobe || hook.kind == HookKind::kretprobe) {
    link = bpf_program__attach_kprobe(program, hook.kind == HookKind::kretprobe, hook.target.c_str());
  } else if (hook.kind == HookKind::tp_btf || hook.kind == HookKind::fentry || hook.kind == HookKind::fexit) {
    link = bpf_program__attach_trace(program);
  } else if (hook.kind == HookKind::raw_tp) {
    link = bpf_program__attach_raw_tracepoint(program, hook.target.c_str());
  } else {
    link = bpf_program__attach(program);
  }
  if (!link) {
    int error = errno;
    throw Failure(
        error == EPERM || error == EACCES ? Exit::denied : Exit::unsupported,
        cat("cannot attach to ", hook_text(hook), ": ", error_text(error), "; --explain shows what was tried"));
  }
  return Link(link);
}

bool has_capability(int capability) {
  blazesym::Lines status("/proc/self/status");
  for (std::string line; status.next(line);)
    if (line.starts_with("CapEff:")) return (std::strtoull(line.c_str() + 7, nullptr, 16) >> capability) & 1;
  return false;
}

std::string missing_capabilities() {
  // CAP_SYS_ADMIN contains both; before 5.8 it is the only way.
  if (has_capability(CAP_SYS_ADMIN)) return "";
  bool bpf = has_capability(39), perfmon = has_capability(38);  // CAP_BPF, CAP_PERFMON
  if (bpf && perfmon) return "";
  return !bpf && !perfmon ? "CAP_BPF and CAP_PERFMON" : bpf ? "CAP_PERFMON" : "CAP_BPF";
}

std::vector<std::string> function_aliases(std::string_view name, const std::vector<std::string>& symbols) {
  std::vector<std::string> exact, others;
  for (const std::string& symbol : symbols) {
    if (symbol == name) {
      exact.push_back(symbol);
    } else if (std::string_view view = symbol; view.starts_with(name)) {
      if (is_suffix_of_compiler(view.substr(name.size()))) others.push_back(symbol);
    } else if (view.starts_with("__") && view.substr(2).starts_with(name)) {
      if (is_suffix_of_compiler(view.substr(2 + name.size()))) others.push_back(symbol);
    }
  }
  std::sort(others.begin(), others.end());
  exact.insert(exact.end(), others.begin(), others.end());
  exact.erase(std::unique(exact.begin(), exact.end()), exact.end());
  return exact;
}

std::vector<int> online_cpus() {
  std::vector<int> cpus;
  std::string list = read_line("/sys/devices/system/cpu/online");
  for (std::string_view part : split(list, ',')) {
    auto ends = split(part, '-');
    auto first = parse_number(ends.front()), last = parse_number(ends.back());
    if (!first || !last) continue;
    for (auto cpu = *first; cpu <= *last; cpu++) cpus.push_back(static_cast<int>(cpu));
  }
  return cpus;
}

std::uint32_t tracepoint_arguments(std::string_view tracepoint) {
  return KernelTypes::get().tracepoint_arguments(tracepoint);
}

std::string read_line(const std::string& path) {
  std::string text = blazesym::read_text(path, 4096);
  text.erase(std::min(text.find('\n'), text.size()));
  return text;
}

std::string kernel_release() {
  utsname names{};
  return uname(&names) == 0 ? names.release : "unknown";
}

}  // namespace kit
