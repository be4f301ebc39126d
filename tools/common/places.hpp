// SPDX-License-Identifier: BSD-2-Clause
// Finds the places of probes, kind by kind, and says how each is attached to. Inside the library alone.
#pragma once

#include <linux/perf_event.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "dwarf_functions.hpp"
#include "instructions.hpp"
#include "kit/elf.hpp"
#include "kit/handle.hpp"
#include "kit/options.hpp"
#include "kit/probing.hpp"
#include "kit/uprobe.hpp"

namespace kit {

// One call to the kernel: a program put to a place, or to many of one kind at once.
struct Attachment {
  std::string program;  // of bpf/lib/hit.bpf.h: "hit_probe"
  std::string shown;    // for --explain and messages
  std::uint64_t cookie = 0;
  const Probe* probe = nullptr;  // whose place it is, to mark it

  perf_event_attr event{};  // of hit_probe, hit_tracepoint and hit_perf_event; on `cpus`, or of `pid`, or anywhere
  std::string path;         // what event.config1 leads to: a file, a function
  std::vector<int> cpus;
  std::optional<std::uint32_t> pid;
  bool offset = false;       // it is within a function: the kernel may refuse the place itself
  bool one_of_many = false;  // of a glob: left out where the kernel refuses it
  bool threads = false;      // of `pid`: all of its threads
  bool counted = false;      // the event's own count tells how many hits there should be

  std::string target;         // of hit_raw: a tracepoint's name; empty: it runs once, by itself
  std::uint32_t type_id = 0;  // of hit_fentry and hit_fexit

  // Of hit_kprobe_multi and hit_kprobe_session: functions; of hit_uprobe_multi: places in the file `path`, of `pid`.
  std::vector<std::string> functions;
  std::vector<std::uint64_t> offsets, semaphores, cookies;
  bool at_return = false;
};

// What of many cannot be probed, and why.
using LeftOut = std::vector<std::pair<std::string, std::string>>;
// As a line for people.
std::string left_out_text(const LeftOut& left_out);

// Attached programs; what is attached ends with it.
class Attached {
 public:
  void add(bpf_program* program, const Attachment& attachment);
  // Of many places (one_of_many) those that the kernel refuses are left out.
  void add_most(bpf_program* program, const Attachment& attachment, LeftOut& left_out);
  bool any() const { return any_; }  // is attached
  // Whether the kernel takes it, by trial; of what is costly to try, only whether anything of its kind is taken.
  static Verdict can_add(const Attachment& attachment);
  // Whether a program of the skeletons, by its name, is attached through a perf event.
  static bool is_by_event(std::string_view program);
  // Runs a program that is attached to nothing.
  void run(std::uint64_t cookie) const;
  void detach();
  // Runs of copies of programs that the kernel skipped, and hits that were missed.
  Count skipped() const;
  // Hits that counted events should have had, by their own counts.
  std::uint64_t due() const;
  // How many of them may be on their way, or be counted a little apart from when they were told.
  std::uint64_t unsure() const { return attached() ? counted_.size() : inexact_; }

 private:
  static Fd open_event(const Attachment& attachment, int cpu, int thread);
  void add_event(int program, const Attachment& attachment, int cpu, int thread);
  void add_threads(int program, const Attachment& attachment);
  void add_raw(int program, const Attachment& attachment);
  void add_multi(int program, const Attachment& attachment);
  [[noreturn]] static void refuse(const Attachment& attachment, int error);
  std::vector<Fd> programs_, links_;
  struct Counted {
    int event;
    std::uint64_t period;
  };
  bool attached() const { return !links_.empty(); }
  std::vector<Counted> counted_;
  std::uint64_t due_ = 0;      // of events that are no longer there
  std::uint64_t inexact_ = 0;  // counters of the machine's
  std::uint64_t missed_ = 0;   // by links that are no longer there
  std::set<const bpf_program*> used_;
  bool any_ = false;
  std::vector<std::pair<std::uint64_t, int>> once_;
};

// Whether each of its places has a program of its own.
bool needs_copies(std::string_view program);

// Those that the kernel takes together made one (uprobe.multi).
std::vector<Attachment> joined(std::vector<Attachment> alone);
// uprobe's event, as format/retprobe and format/ref_ctr_offset say: config's bit 0, and from bit 32 on.
perf_event_attr uprobe_event(const UserPlace& place);
// "NAMESPACE::NAME" of a mangled name of C++, or of Rust's that look like those ("::h0123456789abcdef" behind); empty
// if it is none.
std::string plain_name(std::string_view mangled);

bool has_kprobe_multi();
bool has_kprobe_session();
// Whether it takes this function of the kernel.
bool takes_kprobe_session(const std::string& function);
bool has_uprobe_multi();
// The first uprobe of a while waits for RCU, 10 ms and more, as any change of what all processes' mappings are looked
// through for does (dup_mmap_sem, register_for_each_vma()). Begun here, in a thread, that is over, or nearly, when the
// programs are loaded and the tool's own come. Not before uprobe.multi (6.6): others would wait for each other.
void begin_uprobes();
// Whether that may be of one process: of all of its threads.
bool has_uprobe_multi_of_process();
// Whether programs at places of user code may sleep (BPF_F_SLEEPABLE), with the maps that ours have.
bool has_sleeping_uprobes();

// A place of a program, and what is known of how its function returns.
struct UserSpot {
  UserPlace place;
  std::string function;
  std::optional<std::uint32_t> pid;
  bool inside = false;                 // within the function
  bool narrow = false;                 // of a 32-bit program on a 64-bit kernel
  bool one_of_many = false;            // a glob found it
  std::vector<std::uint64_t> returns;  // in the file, where they are probed one by one; empty: by the kernel's own way
  Beginning beginning;                 // of its function
  bool cheap_with_stacks = false;      // where that costs less, the kernel's walk of the stack does not miss the caller
  std::string no_result, no_latency;   // why they cannot be known there; empty: they are
  // What the debug information says of it; nullptr where it is not asked.
  std::function<const DwarfFunction*()> described;
};

// What the finders of each kind fill.
class PlaceFinder {
 public:
  PlaceFinder(const Settings& settings, const ProbeDemand& demand, bool force)
      : settings_(settings), demand_(demand), force_(force) {}

  void find(const Probe& probe);

  FetchPlans plans;
  std::vector<ProbePlace> places;
  std::vector<Attachment> attachments;
  std::vector<std::pair<std::string, std::uint64_t>> once;  // "begin" and "end", with their cookies
  LeftOut left_out;                                         // of globs
  bool spans = false;
  bool counts = false;  // there are counted events

 private:
  // What is to be known of a place before its plan is made.
  struct Spot {
    const Probe& probe;
    std::string name, function;
    Resolve resolve;
    std::vector<std::string> names;
    std::uint32_t flags = 0;
    bool at_return = false;
    std::string no_latency = {};            // why nobody knows how long the call took; empty: it is known
    std::function<bool()> in_session = {};  // whether the kernel tells beginning and return together; none: it does not
  };
  // Adds a place, or finds it again; its cookie. Whether its call's beginning is to be known is in `wants_entry`.
  std::uint64_t add(Spot spot);
  static std::uint64_t entry_cookie(std::uint64_t cookie, std::uint32_t plan) {
    return std::uint64_t{plan} << 32 | (cookie & 0xffffffff);
  }

  void find_user(const Probe& probe, bool at_return);
  DwarfFunctions& describe(const std::string& path);
  void add_user(const Probe& probe, const UserSpot& user);
  // Makes one attachment of those from `first` on that the kernel takes together (uprobe.multi).
  void join_user(std::size_t first);
  std::optional<UserPlace> place_of(const Elf& elf, const ElfSymbol& symbol, std::optional<std::uint32_t> pid,
                                    bool one_of_many);
  void find_usdt(const Probe& probe);
  void find_kprobe(const Probe& probe, bool at_return);
  static Spot kernel_spot(const Probe& probe, const std::string& function, std::uint64_t offset, bool at_return);
  static Attachment of_session(Attachment attachment, std::vector<std::string> functions);
  void add_kprobe(const Probe& probe, const std::string& function, std::uint64_t offset, bool at_return);
  void add_kprobes(const Probe& probe, const std::vector<std::string>& functions, bool at_return);
  void find_typed(const Probe& probe, bool at_return);
  void find_tracepoint(const Probe& probe);
  void find_raw(const Probe& probe);
  void find_timer(const Probe& probe);
  void find_event(const Probe& probe);
  void find_watchpoint(const Probe& probe);
  void find_once(const Probe& probe);

  const Settings& settings_;
  const ProbeDemand& demand_;
  bool force_;
  bool wants_entry_ = false;                                           // of the last place added
  bool is_session_ = false;                                            // and the kernel tells it with the return
  bool takes_user_stack_ = false;                                      // a hit at the last place added
  std::map<std::string, std::unique_ptr<DwarfFunctions>> described_;   // by file
  std::map<std::pair<const Probe*, std::string>, std::size_t> known_;  // the last place of a name
};

// Registers of this machine at the beginning of a call and at its end: bytes into pt_regs.
std::optional<std::vector<fetch_step>> argument_steps(unsigned number, bool kernel);
std::vector<fetch_step> result_steps();
// The same of a 32-bit program (i386): arguments are on the stack, behind the return address.
std::optional<std::vector<fetch_step>> narrow_argument_steps(unsigned number);
std::vector<fetch_step> narrow_result_steps();
// A value of a type whose 64 bits the steps have fetched; `kernel`: addresses in it are the kernel's.
Fetched typed_value(const btf* types, std::uint32_t type, std::vector<fetch_step> steps, bool kernel = true);
// The functions of the kernel that a kprobe takes and that a glob matches.
std::vector<std::string> traceable_functions(const std::string& glob);

}  // namespace kit
