// SPDX-License-Identifier: BSD-2-Clause
// Attaches programs by bpf(2) itself: what is newer than libbpf 1.1 stands here, and what needs a copy of its program.
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "kit/kernel.hpp"
#include "kit/text.hpp"
#include "loader.hpp"
#include "places.hpp"
#include "probed_file.hpp"
#include "threads.hpp"

namespace kit {
namespace {

// The part of union bpf_attr that BPF_LINK_CREATE reads, up to what 6.6 (89ae89f53d20) added for many uprobes.
struct LinkCreate {
  std::uint32_t program, target, attach_type, flags;
  union {
    struct {
      std::uint64_t cookie;
    } perf_event;
    struct {
      std::uint32_t flags, count;
      std::uint64_t names, addresses, cookies;
    } kprobes;
    struct {
      std::uint64_t path, offsets, semaphores, cookies;
      std::uint32_t count, flags, pid;
    } uprobes;
  };
};
constexpr std::uint32_t attach_perf_event = 41, attach_kprobe_multi = 42, attach_uprobe_multi = 48;
constexpr std::uint32_t attach_kprobe_session = 56;  // 6.10
constexpr std::uint32_t multi_returns = 1;
constexpr int not_supported = 524;  // ENOTSUPP, which the kernel lets out and no header names

// Those of many uprobes from `begin` to `end`.
Attachment part_of(const Attachment& many, std::size_t begin, std::size_t end) {
  Attachment part = many;
  auto cut = [&](auto& all) {
    auto first = all.begin();
    if (all.empty()) return;
    all = std::remove_reference_t<decltype(all)>(first + static_cast<std::ptrdiff_t>(begin),
                                                 first + static_cast<std::ptrdiff_t>(end));
  };
  cut(part.functions);
  cut(part.offsets);
  cut(part.semaphores);
  cut(part.cookies);
  part.shown = part.functions[0];
  return part;
}

// Whether a program is attached to many places by one link.
bool is_many(std::string_view program) { return program.ends_with("_multi") || program == "hit_kprobe_session"; }

Fd make_link(const LinkCreate& link) {
  return Fd(static_cast<int>(syscall(SYS_bpf, BPF_LINK_CREATE, &link, sizeof link)));
}

template <typename Number>
std::uint64_t address_of(const std::vector<Number>& numbers) {
  return numbers.empty() ? 0 : reinterpret_cast<std::uint64_t>(numbers.data());
}

// A program that does nothing, for links of this type; none where the kernel does not know the type.
Fd load_nothing(std::uint32_t attach_type) {
  constexpr bpf_insn nothing[] = {{BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0}, {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
  LIBBPF_OPTS(bpf_prog_load_opts, options);
  options.expected_attach_type = static_cast<bpf_attach_type>(attach_type);
  return Fd(std::max(bpf_prog_load(BPF_PROG_TYPE_KPROBE, "trial", "GPL", nothing, 2, &options), -1));
}

// Of such a program to the beginning of a file, by uprobe.multi.
Fd link_uprobe(const Fd& program, const std::string& path, std::uint32_t pid = 0) {
  std::uint64_t offset = 0;
  LinkCreate link{};
  link.program = static_cast<std::uint32_t>(program.get());
  link.attach_type = attach_uprobe_multi;
  link.uprobes.path = reinterpret_cast<std::uint64_t>(path.c_str());
  link.uprobes.offsets = reinterpret_cast<std::uint64_t>(&offset);
  link.uprobes.count = 1;
  link.uprobes.pid = pid;
  return make_link(link);
}

// Whether such a program may be attached to nothing: EINVAL of a kernel that does not know the type comes when it is
// loaded, of one without the feature with the link.
bool has_multi(std::uint32_t attach_type, const char* name = "vfs_read", std::uint32_t pid = 0, int refused = EBADF) {
  Fd program = load_nothing(attach_type);
  if (!program) return false;
  if (attach_type != attach_uprobe_multi) {
    std::uint64_t names[] = {reinterpret_cast<std::uint64_t>(name)};
    LinkCreate link{};
    link.program = static_cast<std::uint32_t>(program.get());
    link.attach_type = attach_type;
    link.kprobes = {
        .flags = 0, .count = 1, .names = reinterpret_cast<std::uint64_t>(names), .addresses = 0, .cookies = 0};
    return static_cast<bool>(make_link(link));
  }
  // Refused for its path, which is no file, or before for its process, where the feature is there.
  return !link_uprobe(program, "/", pid) && errno == refused;
}

}  // namespace

void begin_uprobes() {
  static std::future<void> begun;
  if (begun.valid()) return;
  NoSignals none;
  begun = std::async(thread_if_any, [] {
    // What no process has mapped is changed in none.
    Fd program = load_nothing(attach_uprobe_multi), file(memfd_create("uprobe", MFD_CLOEXEC));
    if (program && file && ftruncate(file.get(), 4096) == 0) link_uprobe(program, cat("/proc/self/fd/", file.get()));
  });
}

bool has_kprobe_multi() {
  static const bool has = has_multi(attach_kprobe_multi);
  return has;
}

bool has_kprobe_session() {
  static const bool has = has_multi(attach_kprobe_session);
  return has;
}

bool takes_kprobe_session(const std::string& function) { return has_multi(attach_kprobe_session, function.c_str()); }

// Before 46ba0e49b642 (6.10) a process meant its first thread alone, and -1 was looked for among processes, if the file
// was one; since then it is refused as no number of one.
bool has_uprobe_multi_of_process() {
  static const bool has = has_multi(attach_uprobe_multi, nullptr, UINT32_MAX, EINVAL);
  return has;
}

bool has_uprobe_multi() {
  static const bool has = has_multi(attach_uprobe_multi);
  return has;
}

// Before 6.1 such programs take no maps that grow as they are filled (96da3f7d489d), before 6.0 none are at uprobes.
bool has_sleeping_uprobes() {
  static const bool has = [] {
    LIBBPF_OPTS(bpf_map_create_opts, growing);
    growing.map_flags = BPF_F_NO_PREALLOC;
    Fd map(bpf_map_create(BPF_MAP_TYPE_HASH, "trial", 4, 4, 1, &growing));
    const bpf_insn nothing[] = {
        {BPF_LD | BPF_DW | BPF_IMM, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, map.get()},
        {0, 0, 0, 0, 0},
        {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0},
        {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
    };
    LIBBPF_OPTS(bpf_prog_load_opts, options);
    options.prog_flags = BPF_F_SLEEPABLE;
    int program = bpf_prog_load(BPF_PROG_TYPE_KPROBE, "trial", "GPL", nothing, std::size(nothing), &options);
    return static_cast<bool>(Fd(program >= 0 ? program : -1));
  }();
  return has;
}

void Attached::refuse(const Attachment& attachment, int error) {
  std::string why = cat("cannot probe ", attachment.shown, ": ", error_text(error));
  bool inside = error == EILSEQ || error == EINVAL;
  if (attachment.offset && inside && attachment.probe)
    refuse_probe(
        *attachment.probe, attachment.probe->target_at,
        cat("the kernel refuses this offset (", error_text(error), "): it is not where an instruction begins"));
  std::string missing = missing_capabilities();
  if ((error == EPERM || error == EACCES) && !missing.empty())
    throw Failure(Exit::denied, cat("needs ", missing, ", or root"));
  if (error == ENOENT && attachment.event.type == PERF_TYPE_HARDWARE) why += "; this machine lacks that event";
  if (error == EOPNOTSUPP && attachment.event.type == PERF_TYPE_HARDWARE) why += "; this machine lacks that event";
  if (error == not_supported)
    why = cat("cannot probe ", attachment.shown, ": it begins with an instruction that the kernel cannot probe");
  throw Failure(Exit::unsupported, why);
}

Verdict Attached::can_add(const Attachment& attachment) {
  Verdict yes{.yes = true, .denied = false, .lacks = {}, .why = {}, .target = {}};
  std::string_view name = attachment.program;
  // hit_fentry, "fentry:vfs_read".
  std::string function = attachment.shown.substr(attachment.shown.find(':') + 1);
  if (name == "hit_fentry") return running_kernel()->can_attach({HookKind::fentry, function});
  if (name == "hit_fexit") return running_kernel()->can_attach({HookKind::fexit, function});
  if (name == "hit_raw" && !attachment.target.empty())
    return running_kernel()->can_attach({HookKind::raw_tp, attachment.target});
  // These are chosen only where a link of that kind could be made.
  if (is_many(name)) return yes;
  // Closing a tracepoint's event waits for every CPU.
  if (name != "hit_perf_event") return running_kernel()->can_attach({HookKind::placed, attachment.shown});
  try {
    open_event(attachment, attachment.cpus.empty() ? -1 : attachment.cpus[0], -1);
  } catch (const Failure& failure) {
    yes = {.yes = false, .denied = failure.code() == Exit::denied, .lacks = {}, .why = failure.what(), .target = {}};
    if (yes.denied) yes.lacks = missing_capabilities();
  }
  return yes;
}

bool Attached::is_by_event(std::string_view program) {
  return program != "hit_raw" && program != "hit_fentry" && program != "hit_fexit" && !is_many(program);
}

bool needs_copies(std::string_view program) {
  return program == "hit_raw" || program == "hit_fentry" || program == "hit_fexit" || !has_cookies();
}

void Attached::add(bpf_program* program, const Attachment& attachment) {
  std::string_view name = attachment.program;
  std::optional<ProbedFile> mapped;
  if (attachment.path.find('/') != attachment.path.npos) mapped.emplace(attachment.path);  // else a function's name
  int fd = bpf_program__fd(program);
  // The first copy is what libbpf has loaded. Of events that threads inherit the kernel forgets the cookie.
  if (bool first = used_.insert(program).second; attachment.threads || (!first && needs_copies(name))) {
    Fd copy(load_copy(program, {.cookie = attachment.cookie, .type_id = attachment.type_id}));
    if (!copy) refuse(attachment, errno);
    fd = copy.get();
    programs_.push_back(std::move(copy));
  }
  if (name == "hit_raw" || name == "hit_fentry" || name == "hit_fexit") return add_raw(fd, attachment);
  if (is_many(name)) return add_multi(fd, attachment);
  if (attachment.threads) return add_threads(fd, attachment);
  if (attachment.cpus.empty()) add_event(fd, attachment, -1, -1);
  for (int cpu : attachment.cpus) add_event(fd, attachment, cpu, -1);
}

// If all are attached at once those that are refused are searched for by halves.
void Attached::add_most(bpf_program* program, const Attachment& attachment, LeftOut& left_out) {
  try {
    add(program, attachment);
    any_ = true;
  } catch (const Failure& failure) {
    if (!attachment.one_of_many || failure.code() != Exit::unsupported) throw;
    if (std::size_t count = attachment.functions.size(); count > 1) {
      add_most(program, part_of(attachment, 0, count / 2), left_out);
      add_most(program, part_of(attachment, count / 2, count), left_out);
      return;
    }
    std::string name = attachment.shown.substr(attachment.shown.find(':') + 1), why = failure.what();
    if (std::size_t at = why.find(attachment.shown); at != why.npos) why.erase(0, at + attachment.shown.size() + 2);
    if (left_out.empty() || left_out.back().first != name) left_out.emplace_back(name, why);
  }
}

std::string left_out_text(const LeftOut& left_out) {
  constexpr std::size_t most_named = 8;
  std::map<std::string, std::string> by_reason;
  for (std::size_t i = 0; i < std::min(left_out.size(), most_named); i++) {
    std::string& names = by_reason[left_out[i].second];
    names += cat(names.empty() ? "" : " ", left_out[i].first);
  }
  std::string text;
  for (const auto& [why, names] : by_reason) text += cat(text.empty() ? "" : "; ", names, ": ", why);
  if (left_out.size() > most_named) text += cat("; and ", left_out.size() - most_named, " others");
  return text;
}

std::uint64_t Attached::due() const {
  std::uint64_t sum = due_;
  for (const Counted& one : counted_) {
    std::uint64_t count = 0;
    if (read(one.event, &count, sizeof count) == sizeof count) sum += count / one.period;
  }
  return sum;
}

void Attached::detach() {
  for (const Counted& one : counted_) ioctl(one.event, PERF_EVENT_IOC_DISABLE, 0);
  due_ = due();
  counted_.clear();
  for (const Fd& link : links_) missed_ += missed_hits(link.get());
  links_.clear();
}

Count Attached::skipped() const {
  Count sum = missed_;
  for (const Fd& link : links_) sum = sum + missed_hits(link.get());
  for (const Fd& program : programs_) sum = sum + skipped_runs(program.get());
  return sum;
}

// Each once: those that are made later inherit it.
void Attached::add_threads(int program, const Attachment& attachment) {
  std::error_code none;
  std::size_t before = links_.size();
  for (const auto& entry : std::filesystem::directory_iterator(cat("/proc/", *attachment.pid, "/task"), none)) {
    auto thread = parse_number(entry.path().filename().native());
    if (!thread) continue;
    try {
      add_event(program, attachment, -1, static_cast<int>(*thread));
    } catch (const Failure&) {
      if (std::filesystem::exists(entry.path(), none)) throw;  // else it has ended
    }
  }
  if (links_.size() == before) throw Failure(Exit::usage, cat("process ", *attachment.pid, " has ended"));
}

Fd Attached::open_event(const Attachment& attachment, int cpu, int thread) {
  perf_event_attr event = attachment.event;
  event.size = sizeof event;
  if (!attachment.path.empty()) event.config1 = reinterpret_cast<std::uint64_t>(attachment.path.c_str());
  int pid = thread >= 0 ? thread : attachment.pid ? static_cast<int>(*attachment.pid) : -1;
  if (cpu < 0 && pid < 0) cpu = online_cpus().at(0);
  Fd fd(static_cast<int>(syscall(SYS_perf_event_open, &event, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC)));
  if (!fd) refuse(attachment, errno);
  return fd;
}

void Attached::add_event(int program, const Attachment& attachment, int cpu, int thread) {
  Fd fd = open_event(attachment, cpu, thread);
  if (has_cookies()) {
    LinkCreate link{};
    link.program = static_cast<std::uint32_t>(program);
    link.target = static_cast<std::uint32_t>(fd.get());
    link.attach_type = attach_perf_event;
    link.perf_event.cookie = attachment.cookie;
    Fd made = make_link(link);
    if (!made) refuse(attachment, errno);
    links_.push_back(std::move(made));
  } else if (ioctl(fd.get(), PERF_EVENT_IOC_SET_BPF, program) != 0) {
    refuse(attachment, errno);
  }
  if (ioctl(fd.get(), PERF_EVENT_IOC_ENABLE, 0) != 0) refuse(attachment, errno);
  if (attachment.counted) {
    counted_.push_back({fd.get(), attachment.event.sample_period});
    inexact_ += attachment.event.type != PERF_TYPE_SOFTWARE;
  }
  links_.push_back(std::move(fd));
}

void Attached::add_raw(int program, const Attachment& attachment) {
  if (attachment.target.empty() && attachment.program == "hit_raw") {  // run by itself
    once_.emplace_back(attachment.cookie, program);
    return;
  }
  Fd link(bpf_raw_tracepoint_open(attachment.target.empty() ? nullptr : attachment.target.c_str(), program));
  if (!link) refuse(attachment, errno);
  links_.push_back(std::move(link));
}

void Attached::run(std::uint64_t cookie) const {
  LIBBPF_OPTS(bpf_test_run_opts, options);
  for (auto [known, program] : once_)
    if (known == cookie && bpf_prog_test_run_opts(program, &options) != 0)
      throw Failure(Exit::unsupported, cat("cannot run the program of begin or end: ", error_text(errno)));
}

void Attached::add_multi(int program, const Attachment& attachment) {
  LinkCreate link{};
  link.program = static_cast<std::uint32_t>(program);
  std::vector<const char*> names;
  for (const std::string& name : attachment.functions) names.push_back(name.c_str());
  if (attachment.program != "hit_uprobe_multi") {
    link.attach_type = attachment.program == "hit_kprobe_session" ? attach_kprobe_session : attach_kprobe_multi;
    link.kprobes = {.flags = attachment.at_return ? multi_returns : 0,
                    .count = static_cast<std::uint32_t>(names.size()),
                    .names = address_of(names),
                    .addresses = 0,
                    .cookies = address_of(attachment.cookies)};
  } else {
    link.attach_type = attach_uprobe_multi;
    link.uprobes = {.path = reinterpret_cast<std::uint64_t>(attachment.path.c_str()),
                    .offsets = address_of(attachment.offsets),
                    .semaphores = address_of(attachment.semaphores),
                    .cookies = address_of(attachment.cookies),
                    .count = static_cast<std::uint32_t>(attachment.offsets.size()),
                    .flags = attachment.at_return ? multi_returns : 0,
                    .pid = attachment.pid.value_or(0)};
  }
  Fd made = make_link(link);
  if (!made) refuse(attachment, errno);
  links_.push_back(std::move(made));
}

}  // namespace kit
