// SPDX-License-Identifier: BSD-2-Clause
// Trials of every way to attach a program.
//
// For tracepoints and the kernel's functions its answer is enough. Elsewhere it is not - a security module that is not
// switched on takes programs and never runs them, a counter may never count - and a program that leaves a mark is
// attached, what it waits for is done, and the mark is looked at.
#include <bpf/bpf.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <array>
#include <cstring>
#include <ctime>
#include <optional>

#include "kernel_types.hpp"
#include "kit/elf.hpp"
#include "kit/kernel.hpp"
#include "kit/text.hpp"
#include "trials.hpp"

// Both are in this program's own file, where the kernel finds them by their place: a function to be probed, and the
// semaphore of a USDT probe.
extern "C" {
__attribute__((noinline, noclone, used)) int kit_probed_function(int number) {
  asm volatile("" : "+r"(number));
  return number + 1;
}
__attribute__((section(".probes"), used)) volatile unsigned short kit_probed_semaphore = 0;
}

namespace kit {
namespace {

// A function of every kernel that is seldom called, so that a trial disturbs nobody.
constexpr const char* quiet_function = "vfs_fallocate";

// A program that leaves a mark when it runs, and returns 0.
class Marker {
 public:
  Marker(bpf_prog_type type, bpf_attach_type attach_type = bpf_attach_type{}, std::uint32_t btf_id = 0) {
    LIBBPF_OPTS(bpf_map_create_opts, no_options);
    map_ = taken(bpf_map_create(BPF_MAP_TYPE_ARRAY, "trial", 4, 4, 1, &no_options));
    const std::array<bpf_insn, 5> program = {{
        {BPF_LD | BPF_DW | BPF_IMM, BPF_REG_1, BPF_PSEUDO_MAP_VALUE, 0, map_.get()},
        {0, 0, 0, 0, 0},
        {BPF_ST | BPF_MEM | BPF_W, BPF_REG_1, 0, 0, 1},
        {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0},
        {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
    }};
    LIBBPF_OPTS(bpf_prog_load_opts, options);
    options.expected_attach_type = attach_type;
    options.attach_btf_id = btf_id;
    program_ = taken(bpf_prog_load(type, "trial", "GPL", program.data(), program.size(), &options));
  }
  int program() const { return program_.get(); }
  // 0, or the errno by which it could not be loaded.
  int error() const { return program_ ? 0 : error_; }
  bool ran() const {
    std::uint32_t key = 0, mark = 0;
    return bpf_map_lookup_elem(map_.get(), &key, &mark) == 0 && mark == 1;
  }

 private:
  Fd taken(int fd) {
    if (fd < 0 && !error_) error_ = -fd;
    return Fd(fd < 0 ? -1 : fd);
  }
  int error_ = 0;
  Fd map_, program_;
};

// A "no" by its errno; `remedy` for what is no want of rights.
Trial refused(const std::string& what, int error, const std::string& remedy) {
  if (error == EPERM || error == EACCES) {
    if (std::string rights = missing_rights(); !rights.empty()) return fails(what, "is not permitted", rights);
    return fails(what, "is refused by this kernel (EPERM)", "a kernel whose security policy permits it");
  }
  const char* name = strerrorname_np(error);
  return fails(what, cat("this kernel has none (", name ? name : error_text(error), ")"), remedy);
}

Trial marked(const std::string& what, const Marker& marker, const std::string& remedy) {
  if (marker.ran()) return works(what);
  return fails(what, "is accepted, but never runs", remedy);
}

// As attach plans ask.
Trial try_hook(const std::string& what, HookKind kind, const std::string& target, const std::string& remedy) {
  static const auto kernel = running_kernel();
  Verdict verdict = kernel->can_attach({kind, target});
  if (verdict.yes) return works(what);
  if (verdict.denied) return fails(what, verdict.why, cat("root, or ", verdict.lacks));
  if (verdict.why.ends_with("(EPERM)")) return refused(what, EPERM, remedy);
  return fails(what, verdict.why, remedy);
}

std::uint32_t function_id(const std::string& name) { return KernelTypes::get().find(name, BTF_KIND_FUNC); }

Trial try_kprobe_multi() {
  const std::string what = "kprobe.multi", remedy = "Linux 5.18 or later with CONFIG_FPROBE";
  Marker marker(BPF_PROG_TYPE_KPROBE, BPF_TRACE_KPROBE_MULTI);
  if (marker.error()) return refused(what, marker.error(), remedy);
  const char* names[] = {quiet_function};
  LIBBPF_OPTS(bpf_link_create_opts, options);
  options.kprobe_multi.cnt = 1;
  options.kprobe_multi.syms = names;
  Fd link(bpf_link_create(marker.program(), 0, BPF_TRACE_KPROBE_MULTI, &options));
  return link ? works(what) : refused(what, errno, remedy);
}

// The kernel keeps a function of its own for this.
Trial try_fmod_ret() {
  const std::string what = "fmod_ret", remedy = "a kernel with CONFIG_BPF_JIT and CONFIG_FUNCTION_ERROR_INJECTION";
  std::uint32_t id = function_id("bpf_modify_return_test");
  if (!id) return fails(what, "this kernel has no function to try it on", "Linux 5.7 or later with BTF");
  Marker marker(BPF_PROG_TYPE_TRACING, BPF_MODIFY_RETURN, id);
  if (marker.error()) return refused(what, marker.error(), remedy);
  Fd link(bpf_raw_tracepoint_open(nullptr, marker.program()));
  return link ? works(what) : refused(what, errno, remedy);
}

}  // namespace

Trial try_lsm() {
  const std::string what = "LSM", remedy = "a kernel with CONFIG_BPF_LSM, and bpf among lsm= at boot";
  std::uint32_t id = function_id("bpf_lsm_task_getpgid");
  if (!id) return fails(what, "security modules of BPF are compiled out of this kernel (CONFIG_BPF_LSM)", remedy);
  Marker marker(BPF_PROG_TYPE_LSM, BPF_LSM_MAC, id);
  if (marker.error()) return refused(what, marker.error(), remedy);
  Fd link(bpf_raw_tracepoint_open(nullptr, marker.program()));
  if (!link) return refused(what, errno, remedy);
  if (getpgid(getpid()) < 0) return fails(what, "forbids what it should let pass", remedy);
  return marked(what, marker, remedy);
}

namespace {

Trial try_iterator() {
  const std::string what = "iterator", remedy = "Linux 5.8 or later with BTF";
  std::uint32_t id = function_id("bpf_iter_bpf_map");
  if (!id) return fails(what, "this kernel has none", remedy);
  Marker marker(BPF_PROG_TYPE_TRACING, BPF_TRACE_ITER, id);
  if (marker.error()) return refused(what, marker.error(), remedy);
  Fd link(bpf_link_create(marker.program(), 0, BPF_TRACE_ITER, nullptr));
  if (!link) return refused(what, errno, remedy);
  Fd iterator(bpf_iter_create(link.get()));
  char byte;
  if (!iterator || read(iterator.get(), &byte, 1) < 0) return refused(what, errno, remedy);
  return marked(what, marker, remedy);
}

// A perf event of this thread, with the program behind it.
Fd open_event(perf_event_attr attributes, const Marker& marker) {
  attributes.size = sizeof attributes;
  Fd event(static_cast<int>(syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC)));
  if (!event || ioctl(event.get(), PERF_EVENT_IOC_SET_BPF, marker.program()) != 0 ||
      ioctl(event.get(), PERF_EVENT_IOC_ENABLE, 0) != 0)
    return Fd();
  return event;
}

// Keeps the CPU busy until the program has run, or until 300 ms of it are used.
void work_until(const Marker& marker) {
  auto used = [] {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec * 1'000'000'000 + now.tv_nsec;
  };
  auto begin = used();
  do {
    for (int i = 0; i < 10000; i++) kit_probed_function(i);
  } while (!marker.ran() && used() - begin < 300'000'000);
}

Trial try_sampling(const std::string& what, std::uint32_t type, std::uint64_t config, std::uint64_t period,
                   const std::string& remedy) {
  Marker marker(BPF_PROG_TYPE_PERF_EVENT);
  if (marker.error()) return refused(what, marker.error(), remedy);
  perf_event_attr attributes{};
  attributes.type = type;
  attributes.config = config;
  attributes.sample_period = period;
  Fd event = open_event(attributes, marker);
  if (!event) return refused(what, errno, remedy);
  work_until(marker);
  return marked(what, marker, remedy);
}

// Where in its file a part of this program is.
std::optional<std::uint64_t> offset_of(const volatile void* place) {
  auto address = reinterpret_cast<std::uint64_t>(place);
  for (const FileMapping& mapping : file_mappings(static_cast<std::uint32_t>(getpid())))
    if (address >= mapping.start && address < mapping.end) return address - mapping.start + mapping.offset;
  return {};
}

constexpr const char* own_file = "/proc/self/exe";

// A probe of our own function, at its entry or return, with or without a semaphore.
Trial try_uprobe(const std::string& what, bool at_return, bool semaphore) {
  const std::string remedy = "a kernel with CONFIG_UPROBE_EVENTS";
  if (Trial asked = try_hook(what, HookKind::uprobe, {}, remedy); !asked.works) return asked;
  Marker marker(BPF_PROG_TYPE_KPROBE);
  if (marker.error()) return refused(what, marker.error(), remedy);
  perf_event_attr attributes{};
  attributes.type =
      static_cast<std::uint32_t>(std::atoi(read_line("/sys/bus/event_source/devices/uprobe/type").c_str()));
  attributes.config = (at_return ? 1 : 0) | (semaphore ? *offset_of(&kit_probed_semaphore) << 32 : 0);
  attributes.config1 = reinterpret_cast<std::uint64_t>(own_file);
  attributes.config2 = *offset_of(reinterpret_cast<const void*>(kit_probed_function));
  Fd event = open_event(attributes, marker);
  if (!event) return refused(what, errno, remedy);
  if (semaphore && kit_probed_semaphore != 1)
    return fails(what, "the kernel does not raise semaphores", "Linux 4.20 or later");
  kit_probed_function(1);
  return marked(what, marker, remedy);
}

// How bpf(BPF_LINK_CREATE) is told of places in files, which libbpf's older headers do not know.
struct UprobeMulti {
  std::uint32_t program, target, attach_type, flags;
  std::uint64_t path, offsets, semaphores, cookies;
  std::uint32_t count, multi_flags, pid, unused;
};
constexpr auto trace_uprobe_multi = static_cast<bpf_attach_type>(48);  // BPF_TRACE_UPROBE_MULTI

Trial try_uprobe_multi() {
  const std::string what = "uprobe.multi", remedy = "Linux 6.6 or later with CONFIG_UPROBES";
  Marker marker(BPF_PROG_TYPE_KPROBE, trace_uprobe_multi);
  if (marker.error()) return refused(what, marker.error(), remedy);
  std::uint64_t offset = *offset_of(reinterpret_cast<const void*>(kit_probed_function));
  UprobeMulti multi{.program = static_cast<std::uint32_t>(marker.program()),
                    .target = 0,
                    .attach_type = trace_uprobe_multi,
                    .flags = 0,
                    .path = reinterpret_cast<std::uint64_t>(own_file),
                    .offsets = reinterpret_cast<std::uint64_t>(&offset),
                    .semaphores = 0,
                    .cookies = 0,
                    .count = 1,
                    .multi_flags = 0,
                    .pid = static_cast<std::uint32_t>(getpid()),
                    .unused = 0};
  Fd link(static_cast<int>(syscall(SYS_bpf, BPF_LINK_CREATE, &multi, sizeof multi)));
  if (!link) return refused(what, errno, remedy);
  kit_probed_function(1);
  return marked(what, marker, remedy);
}

}  // namespace

std::vector<Trial> try_attaching() {
  const std::string typed = "a kernel with CONFIG_DEBUG_INFO_BTF and CONFIG_BPF_JIT";
  const std::string kprobes = "a kernel with CONFIG_KPROBES and CONFIG_KPROBE_EVENTS";
  const std::string events = "a kernel with CONFIG_EVENT_TRACING";
  return {try_hook("tracepoint", HookKind::tracepoint, "sched/sched_switch", events),
          try_hook("raw_tp", HookKind::raw_tp, "sched_switch", events),
          try_hook("tp_btf", HookKind::tp_btf, "sched_switch", typed),
          try_hook("kprobe", HookKind::kprobe, quiet_function, kprobes),
          try_hook("kretprobe", HookKind::kretprobe, quiet_function, kprobes),
          try_kprobe_multi(),
          try_hook("fentry", HookKind::fentry, quiet_function, typed),
          try_hook("fexit", HookKind::fexit, quiet_function, typed),
          try_fmod_ret(),
          try_lsm(),
          try_uprobe("uprobe", false, false),
          try_uprobe("uretprobe", true, false),
          try_uprobe_multi(),
          try_uprobe("USDT", false, true),
          try_sampling("perf software", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK, 1'000'000,
                       "a kernel with CONFIG_PERF_EVENTS"),
          try_sampling("perf hardware", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES, 1'000'000,
                       "a CPU whose counters the kernel may use, which many virtual machines hide"),
          try_iterator()};
}

}  // namespace kit
