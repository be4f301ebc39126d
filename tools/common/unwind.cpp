// SPDX-License-Identifier: BSD-2-Clause
#include "kit/unwind.hpp"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <malloc.h>
#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "files.hpp"
#include "kit/text.hpp"
#include "processes.hpp"
#include "threads.hpp"
#include "unwind_modules.hpp"

namespace kit {
namespace {

// What tells a process's program from the one that it ran before exec().
struct Program {
  std::uint64_t start_code = 0, start_stack = 0;
  bool operator==(const Program&) const = default;
  explicit operator bool() const { return start_stack != 0; }
  // It is mapped before the kernel notes where it begins (load_elf_binary()).
  bool in_exec() const { return start_stack != 0 && start_code == 0; }
};

Program program_of(const std::string& folder) {
  std::string text = blazesym::read_text(folder + "/stat");
  std::size_t name_end = text.rfind(')');
  if (name_end == text.npos) return {};
  // Behind the name comes field 3.
  auto fields = split(std::string_view(text).substr(std::min(name_end + 2, text.size())), ' ');
  auto field = [&](std::size_t number) {
    return number < fields.size() + 3 ? parse_number(fields[number - 3]).value_or(0) : 0;
  };
  return {.start_code = field(26), .start_stack = field(28)};
}

// The file that is mapped there, by the mapping itself, or else, which asks no privilege, by its path.
Fd open_mapped(const std::string& folder, const blazesym::MappedFile& at) {
  char name[64];
  std::snprintf(name, sizeof name, "/map_files/%llx-%llx", static_cast<unsigned long long>(at.start),
                static_cast<unsigned long long>(at.end));
  constexpr int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  Fd file(open((folder + name).c_str(), flags));
  return file ? std::move(file) : Fd(open((folder + "/root" + at.path).c_str(), flags));
}

std::string read_memory(const std::string& folder, const blazesym::MappedFile& at) {
  Fd memory(open((folder + "/mem").c_str(), O_RDONLY | O_CLOEXEC));
  std::string image(std::min<std::uint64_t>(at.end - at.start, 1 << 20), '\0');
  ssize_t size = memory ? pread(memory.get(), image.data(), image.size(), static_cast<off_t>(at.start)) : -1;
  image.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return image;
}

// The first of the paths, and how many more there are.
std::string some_of(const std::set<std::string>& paths) {
  std::string text;
  append_visible(text, *paths.begin());
  return paths.size() == 1 ? text : cat(text, " and ", paths.size() - 1, " others");
}

}  // namespace

class Unwinder::Worker {
 public:
  Worker(bpf_object* object, std::size_t memory)
      : processes_(fcntl(bpf_object__find_map_fd_by_name(object, "unwind_processes"), F_DUPFD_CLOEXEC, 0)),
        room_(bpf_map__max_entries(bpf_object__find_map_by_name(object, "unwind_processes"))),
        pools_(object, memory),
        modules_(pools_, [this] { forget_ended(); }) {
    // Making a table takes tens of MiB for a moment, after which glibc would keep as much for the next. Once this is
    // said it does not.
    mallopt(M_TRIM_THRESHOLD, 128 << 10);
    NoSignals none;
    thread_ = std::thread([this] { run(); });
  }
  ~Worker() { stop(); }

  void stop() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    if (thread_.joinable()) thread_.join();
  }

  void see(std::uint32_t pid, std::uint32_t tgid) {
    std::lock_guard lock(mutex_);
    for (const Asked& one : asked_)
      if (one.tgid == tgid) return;
    asked_.push_back({pid, tgid});
    wake_.notify_one();
  }
  // Lets go of what has ended, soon.
  void sweep() {
    std::lock_guard lock(mutex_);
    sweeping_ = true;
    wake_.notify_one();
  }

  // After stop().
  const UnwindModules& modules() const { return modules_; }
  std::size_t bytes() const { return pools_.bytes(); }
  std::size_t most_processes() const { return most_known_; }
  bool cut() const { return cut_; }

 private:
  struct Asked {
    std::uint32_t pid, tgid;
  };
  struct Known {
    std::uint32_t pid;
    std::size_t content = 0;               // a hash of what the kernel was given
    std::vector<HeldModule> modules = {};  // that lead to tables from there
  };

  void run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      if (!asked_.empty()) {
        Asked one = asked_.front();
        asked_.pop_front();
        lock.unlock();
        try {
          read(one);
        } catch (const std::exception&) {
          cut_ = true;  // memory is short: its stacks are walked by frame pointers
        }
        lock.lock();
      } else if (std::exchange(sweeping_, false)) {
        lock.unlock();
        forget_ended();
        if (!modules_.roomless().empty()) modules_.let_go();
        lock.lock();
      } else {
        wake_.wait(lock);
      }
    }
  }

  void read(const Asked& asked) {
    std::string folder = cat("/proc/", asked.pid);
    Program program = program_of(folder);
    for (int tries = 0; program.in_exec() && tries < 20; tries++) {
      usleep(100);
      program = program_of(folder);
    }
    auto mapped = blazesym::parse_maps(blazesym::read_text(folder + "/maps"));
    // One that has become another program meanwhile tells again.
    if (!program || mapped.empty() || program_of(folder) != program) return;
    std::vector<kit_unwind_range> ranges;
    std::vector<HeldModule> modules;
    for (const blazesym::MappedFile& at : mapped) {
      if (at.path == "[vsyscall]") continue;
      MappedCode code{.start = at.start, .end = at.end, .offset = at.offset, .jit = at.inode == 0};
      if (at.path == "[vdso]") {
        code.jit = false;
        code.module = modules_.of_image(read_memory(folder, at), at.path);
      } else if (at.inode) {
        code.module = modules_.of_file(open_mapped(folder, at), at.path);
      }
      add_ranges(code, ranges);
      if (code.module) modules.push_back(code.module);
    }
    publish(asked, program, ranges, std::move(modules));
  }

  void publish(const Asked& asked, const Program& program, std::vector<kit_unwind_range>& ranges,
               std::vector<HeldModule> modules) {
    std::sort(ranges.begin(), ranges.end(),
              [](const kit_unwind_range& a, const kit_unwind_range& b) { return a.start < b.start; });
    if (ranges.size() > KIT_UNWIND_RANGES) {
      cut_ = true;
      ranges.resize(KIT_UNWIND_RANGES);
    }
    auto process = std::make_unique<kit_unwind_process>();
    process->start_stack = program.start_stack;
    process->start_code = program.start_code;
    for (kit_unwind_range& range : process->ranges) range.start = UINT64_MAX;
    std::copy(ranges.begin(), ranges.end(), process->ranges);
    std::size_t content =
        std::hash<std::string_view>()({reinterpret_cast<const char*>(process.get()), sizeof *process});
    if (known_.size() >= room_) forget_ended();
    // What is as it was stays: the kernel counts on, and asks the more seldom.
    auto [known, fresh] = known_.try_emplace(asked.tgid, Known{asked.pid});
    if (!fresh && known->second.content == content) return;
    process->version = ++versions_;
    if (bpf_map_update_elem(processes_.get(), &asked.tgid, process.get(), BPF_ANY) == 0) {
      // What it had before is held until here, where nothing leads there any more.
      known->second = {asked.pid, content, std::move(modules)};
      most_known_ = std::max(most_known_, known_.size());
      return;
    }
    bpf_map_delete_elem(processes_.get(), &asked.tgid);
    known_.erase(known);
    cut_ = true;
  }

  void forget_ended() {
    std::erase_if(known_, [this](const auto& one) {
      if (access(cat("/proc/", one.second.pid).c_str(), F_OK) == 0) return false;
      bpf_map_delete_elem(processes_.get(), &one.first);
      return true;
    });
  }

  Fd processes_;
  std::size_t room_;
  UnwindPools pools_;
  UnwindModules modules_;
  std::unordered_map<std::uint32_t, Known> known_;
  std::uint32_t versions_ = 0;
  std::size_t most_known_ = 0;
  bool cut_ = false;

  std::mutex mutex_;  // of what follows
  std::condition_variable wake_;
  std::deque<Asked> asked_;
  bool stopping_ = false, sweeping_ = false;
  std::thread thread_;
};

Unwinder::Unwinder(Options& options) {
  options
      .add(0, "unwind", "WAY",
           "how user stacks are walked: fp: by frame pointers; table: by what compilers write down for debuggers and "
           "exceptions; auto: by that, and by frame pointers where there is none (auto)",
           [this](std::string_view way) -> std::string {
             way_ = way;
             return way == "fp" || way == "table" || way == "auto" ? "" : "expects fp, table or auto";
           })
      .option(0, "unwind-memory", "SIZE", memory_, "memory in the kernel for the tables of --unwind (64M)")
      .flag(0, "unwind-report", report_, "tell at the end, of each module, how its stacks were walked")
      .details(
          "User stacks are whole without frame pointers, on x86_64 and arm64: they are walked by tables, made in the "
          "background "
          "of "
          "what compilers write down for exceptions and debuggers. Until a process's are there, and where a module has "
          "none, frame pointers are followed. A stack that ends before its thread's beginning is counted as broken; "
          "each "
          "report says why, and in which modules.");
}

Unwinder::~Unwinder() = default;

void Unwinder::prepare(bpf_object* object) {
#if !defined(__x86_64__) && !defined(__aarch64__)
  if (way_ == "table")
    throw Failure(Exit::unsupported, "--unwind table: there are no tables for this architecture yet");
  way_ = "fp";
#endif
  bool tables = way_ != "fp";
#ifdef __aarch64__
  // Stacks are at the end of what a program may have, which is as much as this kernel was built for.
  if (tables) set_knob(object, "unwind_address_bits", std::bit_ceil(reinterpret_cast<std::uintptr_t>(&tables)) - 1);
#endif
  set_knob(object, "unwind_tables", tables);
  set_knob(object, "unwind_frames", way_ != "table");
  for (const char* name : {"unwind_processes", "unwind_pools_first", "unwind_pools"})
    leave_out(!tables, {bpf_object__find_map_by_name(object, name)});
}

void Unwinder::follow(Session& session, bpf_object* object) {
  if (way_ == "fp" || session.replaying()) return;
  worker_ = std::make_unique<Worker>(object, memory_.bytes);
  // What is asked for is there already; elsewhere a first sample tells. In a PID namespace these are other numbers, of
  // which the kernel finds that they are not of the program that it runs.
  for (std::uint32_t pid : session.settings().pids) worker_->see(pid, pid);
  session.every_second([this, seconds = 0]() mutable {
    if (++seconds % 8 == 0) worker_->sweep();
  });
  session.at_end([this, &session] {
    worker_->stop();
    say_all(session);
  });
}

void Unwinder::see(std::uint32_t pid, std::uint32_t tgid) {
  if (worker_ && pid != KIT_NO_PID) worker_->see(pid, tgid);
}

void Unwinder::say_all(Session& session) {
  const UnwindModules& modules = worker_->modules();
  if (!modules.roomless().empty())
    session.say(cat("no room for the unwind tables of ", some_of(modules.roomless()),
                    ", whose stacks were walked by frame pointers: --unwind-memory gives more"));
  if (!modules.cut().empty())
    session.say(cat("not whole, since one has ", most_unwind_rows, " rows at most: the unwind tables of ",
                    some_of(modules.cut())));
  if (worker_->cut()) session.say("some stacks were walked by frame pointers: too many processes, or mappings of one");
  if (!report_) return;
  std::vector<HeldModule> all;
  for (const auto& [key, module] : modules.all()) all.push_back(module);
  std::stable_sort(all.begin(), all.end(), [](auto& a, auto& b) { return a->bytes > b->bytes; });
  for (const HeldModule& module : all) {
    std::string way = module->lacking ? "by frame pointers: there was no room for its table"
                      : module->pieces.empty()
                          ? "by frame pointers: it has no table"
                          : cat("by its table: ", module->rows, " rows, ", module->bytes / 1024, " KiB, made in ",
                                module->made_us / 1000, " ms, ", module->unsupported, " rows unsupported");
    std::string line = "unwind: ";
    append_visible(line, module->path);
    session.say(cat(line, ": ", way, module->whole ? "" : ", too large to be whole"));
  }
  if (modules.freed()) session.say(cat("unwind: ", modules.freed(), " tables of ended processes made room for others"));
  session.say(cat("unwind: ", all.size(), " modules, ", worker_->bytes() / 1024, " KiB of tables; ",
                  worker_->most_processes(), " processes at most, ",
                  worker_->most_processes() * sizeof(kit_unwind_process) / 1024, " KiB"));
}

const char* unwind_end_text(std::uint32_t end) {
  switch (end) {
    case KIT_UNWIND_END_NO_TABLE: return "it has neither a table nor frame pointers";
    case KIT_UNWIND_END_JIT: return "made at run time, without frame pointers";
    case KIT_UNWIND_END_NEW: return "it was mapped only just before";
    case KIT_UNWIND_END_GAP: return "its table has a gap there";
    case KIT_UNWIND_END_UNSUPPORTED: return "its table tells in a way that is not supported";
    case KIT_UNWIND_END_REGISTER: return "its frame hangs on a register that is not known";
    case KIT_UNWIND_END_UNREADABLE: return "the stack could not be read";
    case KIT_UNWIND_END_UNMAPPED: return "what should be its return address is none";
    default: return "frame pointers do not lead on";
  }
}

}  // namespace kit
