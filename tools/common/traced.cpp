// SPDX-License-Identifier: BSD-2-Clause
#include "kit/traced.hpp"

#include <elf.h>
#include <sys/resource.h>

#include <algorithm>
#include <map>
#include <set>

#include "command.hpp"
#include "fgraph.h"
#include "kit/ifunc.hpp"
#include "kit/names.hpp"
#include "kit/probes.hpp"
#include "kit/text.hpp"
#include "kit/uprobe.hpp"
#include "loader.hpp"
#include "places.hpp"
#include "returns.hpp"
#include "traced_kernel.hpp"
#include "traced_values.hpp"

namespace kit {
namespace {

// Where the kernel attaches one by one each takes a descriptor or two.
constexpr std::size_t most_one_by_one = 4000;
constexpr std::size_t most_copies = 64;

// What runs before main and after it, not as calls of the program's.
const std::set<std::string_view> unasked = {"_start",
                                            "_init",
                                            "_fini",
                                            "frame_dummy",
                                            "register_tm_clones",
                                            "deregister_tm_clones",
                                            "__do_global_dtors_aux",
                                            "_dl_relocate_static_pie",
                                            "__libc_start_main",
                                            "__cxa_finalize"};

bool matches_any(const std::vector<std::string>& globs, std::string_view text, std::string_view other = {}) {
  return std::any_of(globs.begin(), globs.end(), [&](const std::string& glob) {
    return glob_matches(glob, text) || (!other.empty() && glob_matches(glob, other));
  });
}

std::string file_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// Why no return address on a stack of this process may be changed; empty: there is no sign of it.
std::string harm_in(const std::vector<Elf>& files) {
  for (const Elf& elf : files)
    if (std::string harm = harm_of_returns(elf); !harm.empty()) return harm;
  constexpr std::string_view signs[] = {"_Unwind_RaiseException", "_Unwind_Resume", "pthread_exit", "pthread_cancel"};
  std::string found;
  files.at(0).each_symbol([&](const ElfSymbol& symbol) {
    if (!symbol.defined && std::find(std::begin(signs), std::end(signs), symbol.name) != std::end(signs))
      found = "it may unwind stacks";
  });
  return found;
}

// The program and its libraries, in the order in which the loader looks for a name.
std::vector<Elf> files_of(const Settings& settings, std::string& notice) {
  std::vector<ElfPlace> places;
  if (!settings.command.empty()) {
    places = with_libraries(find_command(settings.command[0]), notice);
  } else {
    places = {find_elf("exe", settings.pids[0])};
    for (ElfPlace& place : mapped_files(settings.pids[0])) places.push_back(std::move(place));
  }
  std::vector<Elf> files;
  std::set<FileIdentity> known;
  for (const ElfPlace& place : places) {
    if (!known.insert(identity_of(place.path)).second) continue;
    try {
      files.emplace_back(place.path, place.shown);
    } catch (const Failure&) {
      if (files.empty()) throw;  // a process may have mapped any file
    }
  }
  if (files[0].bits() != 64)
    throw Failure(Exit::usage,
                  cat(files[0].shown(), " is a 32-bit program; only calls of 64-bit programs are followed"));
  return files;
}

}  // namespace

struct TracedFunctions::State {
  State(Session& of, const TracedWanted& what) : session(of), wanted(what) {}
  void find();
  void find_own();
  void find_called();
  void find_libraries();
  void add(const Elf& elf, const ElfSymbol& symbol, std::uint64_t flags);
  void probe(const Elf& elf, std::uint64_t offset, std::uint64_t cookie, bool at_return);
  void find_kernel();
  void check_count() const;
  void let_sleep(bpf_object* object) const;
  [[noreturn]] void refuse() const;

  Session& session;
  const TracedWanted& wanted;
  std::vector<Elf> files;
  std::map<const Elf*, FunctionCodes> codes;
  std::string harm;
  std::set<std::pair<const Elf*, std::uint64_t>> known;  // by their places
  std::vector<TracedFunction> functions;
  std::vector<Attachment> attachments;
  std::vector<TracedFunction> kernel;          // functions of its own
  std::vector<Attachment> kernel_attachments;  // with kprobe.multi, all at once
  std::string lacks;                           // why the kernel's own are not seen beneath system calls
  std::string notice;                          // of libraries that are not found
  LeftOut left_out;
  TracedValues values;
  Attached attached;
};

void TracedFunctions::State::find() {
  files = files_of(session.settings(), notice);
  harm = wanted.force ? "" : harm_in(files);
  find_own();
  find_called();
  find_libraries();
  // What the kernel does for it can be followed all the same.
  bool all = wanted.functions.empty() && wanted.calls && left_out.empty();
  if (functions.empty() && !all) refuse();
}

// Beneath system calls they are seen where the kernel lets them be probed, all at once.
void TracedFunctions::State::find_kernel() {
  if (!wanted.calls && wanted.kernel.empty()) return;
  if (wanted.calls && wanted.kernel.empty() && !has_kprobe_multi()) {
    lacks = has_kprobes()
                ? "this kernel lets its functions be probed only one by one (no kprobe.multi): only system "
                  "calls are shown, and what --kernel names"
                : "this kernel lets none of its functions be probed (no kprobes): only system calls are shown";
    return;
  }
  try {
    std::vector<KernelFunction> probed;
    for (std::string& name : traced_kernel_functions(wanted.kernel)) {
      TracedFunction& function = kernel.emplace_back(TracedFunction{std::move(name), "kernel"});
      // Of all functions there are too many, and nobody asked for theirs.
      ValuePlans plans = wanted.values && !wanted.kernel.empty() ? values.of_kernel(function) : ValuePlans{};
      std::uint64_t number = (FGRAPH_FIRST_KERNEL + kernel.size() - 1) | FGRAPH_KERNEL;
      probed.push_back({function.name, number | plans.enter, number | FGRAPH_AT_RETURN | FGRAPH_POPPED | plans.leave});
    }
    kernel_attachments = kit::kernel_attachments(probed, !values.plans.count());
  } catch (const Failure& failure) {
    if (!wanted.calls || failure.code() != Exit::unsupported) throw;
    kernel.clear();
    lacks = cat(failure.what(), ": only system calls are shown");
  }
}

void TracedFunctions::State::find_own() {
  for (const ElfSymbol& symbol : files[0].functions("*"))
    if (symbol.size && !unasked.contains(symbol.name) && symbol.name.find(".cold") == symbol.name.npos)
      add(files[0], symbol, 0);
}

// What the program needs of others, there where the loader finds it first.
void TracedFunctions::State::find_called() {
  std::set<std::string> names;
  files[0].each_symbol([&](const ElfSymbol& symbol) {
    if (symbol.function && !symbol.defined && !unasked.contains(symbol.name)) names.emplace(symbol.name);
  });
  for (std::size_t i = 1; i < files.size() && !names.empty(); i++) {
    std::set<std::string> found;
    files[i].each_symbol([&](const ElfSymbol& symbol) {
      if (!symbol.function || !symbol.defined || !symbol.global) return;
      auto name = names.find(std::string(symbol.name));
      if (name == names.end()) return;
      found.insert(*name);
      add(files[i], symbol, FGRAPH_LIBRARY);
    });
    for (const std::string& name : found) names.erase(name);
  }
}

void TracedFunctions::State::find_libraries() {
  bool any = wanted.libraries.empty();
  for (std::size_t i = 1; i < files.size(); i++) {
    bool asked = std::any_of(wanted.libraries.begin(), wanted.libraries.end(), [&](const std::string& glob) {
      return glob_matches(glob, file_name(files[i].shown())) || is_library(files[i].shown(), glob);
    });
    if (!asked) continue;
    any = true;
    for (const ElfSymbol& symbol : files[i].functions("*"))
      if (!unasked.contains(symbol.name)) add(files[i], symbol, 0);
  }
  if (any) return;
  std::vector<std::string> names;
  for (const Elf& elf : files) {
    std::string name = file_name(elf.shown());
    names.push_back(name.substr(0, name.find(".so")));
  }
  throw Failure(Exit::usage, cat("--lib ", wanted.libraries[0], ": ", file_name(files[0].shown()),
                                 " has no such library", suggestion(wanted.libraries[0], names)));
}

void TracedFunctions::State::add(const Elf& elf, const ElfSymbol& symbol, std::uint64_t flags) {
  std::string name(symbol.name), plain = plain_name(symbol.name);
  if (!wanted.functions.empty() && !matches_any(wanted.functions, name, plain)) return;
  if (!plain.empty()) name = plain;
  UserPlace place;
  try {
    place = function_place(elf, symbol,
                           session.settings().pids.empty() ? std::nullopt : std::optional(session.settings().pids[0]));
  } catch (const Failure&) {
    left_out.emplace_back(name, "nobody tells which function it is (IFUNC)");
    return;
  }
  if (!known.insert({&elf, place.offset}).second) return;
  auto address = elf.address_of(place.offset);
  const FunctionCodes& code = codes.try_emplace(&elf, elf).first->second;
  Beginning beginning = code.beginning(address.value_or(0));
  // What the kernel refuses it says itself, but takes long to undo what it has attached of the others.
  if (beginning.first == 0 && begins_with_vector(elf, address.value_or(0))) {
    left_out.emplace_back(name, "it begins with an instruction that the kernel cannot probe");
    return;
  }
  FunctionReturns returns = code.returns(address.value_or(0));
  // With a jump at the end, too: where the function that it leads to returns is known by the kernel's own way alone.
  bool harmless = harm.empty() && !returns_oddly(symbol.name);
  bool popped = harmless && !returns.never && (!returns.unknown.empty() || !returns.jumps.empty());
  // Where nothing is called nothing unwinds, and that way costs less.
  popped = popped || (returns.leaf && !returns_oddly(symbol.name) && !moves_stacks(elf));
  if (!popped && !returns.never && !returns.unknown.empty()) {
    left_out.emplace_back(name, returns.unknown);
    return;
  }
  std::uint64_t cookie = functions.size() | flags;
  auto* own = address ? code.at(*address) : nullptr;
  functions.push_back({name, file_name(elf.shown()), own && own->address == *address ? own->size : 0});
  ValuePlans plans =
      wanted.values ? values.of_program(elf, address.value_or(0), symbol.name, functions.back()) : ValuePlans{};
  auto is_jump = [&](std::uint64_t at) {
    return std::find(returns.jumps.begin(), returns.jumps.end(), at) != returns.jumps.end();
  };
  auto& places = returns.places;
  // Its first instruction is its last.
  bool at_once = !popped && std::erase(places, place.offset);
  std::uint64_t ends = FGRAPH_AT_ONCE | (is_jump(place.offset) ? FGRAPH_AT_JUMP : 0);
  probe(elf, place.offset + (at_once ? 0 : beginning.cheap), cookie | (at_once ? ends : 0) | plans.enter, false);
  cookie |= FGRAPH_AT_RETURN;
  if (popped) return probe(elf, place.offset + beginning.first, cookie | FGRAPH_POPPED | plans.leave, true);
  for (std::uint64_t at : places) probe(elf, at, cookie | (is_jump(at) ? FGRAPH_AT_JUMP : plans.leave), false);
}

void TracedFunctions::State::probe(const Elf& elf, std::uint64_t offset, std::uint64_t cookie, bool at_return) {
  Attachment one{.program = "hit_probe",
                 .shown = cat(file_name(elf.shown()), ':', functions.back().name),
                 .cookie = cookie,
                 .probe = nullptr};
  one.event = uprobe_event({.path = elf.path(), .shown = elf.shown(), .offset = offset, .at_return = at_return});
  one.path = elf.path();
  one.one_of_many = true;
  one.at_return = at_return;
  attachments.push_back(std::move(one));
}

void TracedFunctions::State::check_count() const {
  std::size_t count = attachments.size() + kernel_attachments.size();
  if (!has_cookies() && count > most_copies)
    throw Failure(Exit::unsupported,
                  cat("this kernel (before 5.15) does not tell a program which of the ", count,
                      " places was hit, and has programs for ", most_copies, "; name fewer functions by --func"));
  if (attachments.size() > most_one_by_one)
    throw Failure(Exit::unsupported, cat("this kernel attaches to ", attachments.size(), " places one by one, and ",
                                         most_one_by_one, " are the limit; name fewer functions by --func"));
}

void TracedFunctions::State::refuse() const {
  std::string program = file_name(files[0].shown());
  if (!left_out.empty())
    throw Failure(Exit::unsupported, cat("none of the functions can be followed: ", left_out_text(left_out)));
  if (wanted.functions.empty())
    throw Failure(Exit::usage,
                  cat(program, " is stripped and calls no functions of libraries; there is nothing to follow"));
  std::vector<std::string> names;
  for (const Elf& elf : files)
    elf.each_symbol([&](const ElfSymbol& symbol) {
      if (symbol.function && (&elf == files.data() || !wanted.libraries.empty())) names.emplace_back(symbol.name);
    });
  throw Failure(Exit::usage, cat("--func ", wanted.functions[0], ": ", program,
                                 " neither has such a function nor calls one", suggestion(wanted.functions[0], names)));
}

TracedFunctions::TracedFunctions(Session& session, const TracedWanted& wanted)
    : session_(session), state_(new State(session, wanted)) {
  const Settings& settings = session.settings();
  if (session.replaying()) return;
  bool named = !settings.command.empty() || settings.pids.size() == 1;
  state_->find_kernel();
  // Of the kernel's functions alone, nothing else is shown.
  if (named && (wanted.kernel.empty() || wanted.calls || !wanted.functions.empty())) state_->find();
  if (named || settings.explain || wanted.calls || !wanted.kernel.empty()) return;
  throw Failure(Exit::usage, settings.pids.empty() ? "name a program: -- COMMAND, or a process: -p PID"
                                                   : "-p: only one process at a time can be followed");
}

TracedFunctions::~TracedFunctions() = default;

// Strings may lie in pages that the program has not touched yet, as its constants do at first.
void TracedFunctions::State::let_sleep(bpf_object* object) const {
  bool one_by_one = !kernel_attachments.empty() && kernel_attachments[0].program == "hit_probe";
  if (!values.plans.strings() || one_by_one || !has_sleeping_uprobes()) return;
  set_knob(object, "fetch_sleeps", true);
  for (const char* name : {"hit_probe", "hit_uprobe_multi"})
    bpf_program__set_flags(bpf_object__find_program_by_name(object, name), BPF_F_SLEEPABLE);
}

void TracedFunctions::plan(AttachPlan& plan, bpf_object* object) {
  auto part = [&](const char* name) {
    bpf_program* program = bpf_object__find_program_by_name(object, name);
    Part made(program, cat("placed/", state_->functions.size(), " functions"));
    if (name == std::string_view("hit_uprobe_multi"))
      made.hook.trial = [] {
        bool has = has_uprobe_multi();
        return Verdict{.yes = has,
                       .denied = false,
                       .lacks = {},
                       .why = has ? "" : "this kernel has no uprobe.multi",
                       .target = {}};
      };
    return made;
  };
  if (!has_uprobe_multi()) state_->check_count();
  bool alone = state_->kernel_attachments.empty() && !state_->wanted.calls;
  if (!state_->attachments.empty() || alone)
    plan.event("calls").way("uprobe_multi", {part("hit_uprobe_multi")}).way("uprobe", {part("hit_probe")});
  if (!state_->kernel_attachments.empty()) {
    const std::string& name = state_->kernel_attachments[0].program;
    Part made(bpf_object__find_program_by_name(object, name.c_str()),
              cat("placed/", state_->kernel.size(), " functions of the kernel"));
    made.hook.trial = [] { return Verdict{.yes = true, .denied = false, .lacks = {}, .why = {}, .target = {}}; };
    plan.event("the kernel's calls").way(name.substr(4), {made});
  }
  state_->values.plans.size(object, state_->wanted.string_size);
  set_knob(object, "with_values", state_->values.plans.count() > 0);
  state_->let_sleep(object);
  // What is attached first is what libbpf loads.
  const auto& first = state_->attachments.empty() ? state_->kernel_attachments : state_->attachments;
  if (!has_cookies() && !first.empty())
    set_first_copy(bpf_object__find_program_by_name(object, "hit_probe"), {.cookie = first[0].cookie});
}

namespace {

// Each value a line behind the function's: "", what it is, how it is shown.
std::string values_text(const TracedFunction& function) {
  std::string all;
  for (const ShownValue& one : function.parameters) all += cat("\tparameter\t", shown_value_text(one), '\n');
  for (const ShownValue& one : function.result) all += cat("\tresult\t", shown_value_text(one), '\n');
  return all;
}

void read_value(const std::vector<std::string_view>& words, TracedFunction& function) {
  if (auto value = parse_shown_value(words[2]))
    (words[1] == "result" ? function.result : function.parameters).push_back(*value);
}

}  // namespace

void TracedFunctions::attach(bpf_object* object) {
  State& s = *state_;
  if (!session_.replaying()) {
    if (session_.way("calls") == "uprobe_multi") s.attachments = joined(std::move(s.attachments));
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    s.values.plans.fill(object);
    for (const std::string& what : {s.lacks, s.notice})
      if (!what.empty()) session_.say(what);
    for (Attachment& one : s.kernel_attachments) s.attachments.push_back(std::move(one));
    for (const Attachment& one : s.attachments)
      s.attached.add_most(bpf_object__find_program_by_name(object, one.program.c_str()), one, s.left_out);
    if (!s.left_out.empty())
      session_.say(cat("left out, ", s.left_out.size(), " functions: ", left_out_text(s.left_out)));
    session_.count_skips([this] { return state_->attached.skipped(); });
    session_.at_end([this] { state_->attached.detach(); });
  }
  read_kept(session_.kept("functions", [&] {
    std::string all;
    for (const TracedFunction& one : s.functions)
      all += cat(one.name, '\t', one.module, '\t', one.size, '\n', values_text(one));
    for (const TracedFunction& one : s.kernel) all += cat(one.name, '\n', values_text(one));
    return all;
  }));
}

const TracedFunction* TracedFunctions::function(std::uint32_t number) const {
  if (number < FGRAPH_FIRST_KERNEL) return number < functions_.size() ? &functions_[number] : nullptr;
  if (number < FGRAPH_FIRST_SYSCALL) {
    number -= FGRAPH_FIRST_KERNEL;
    return number < kernel_.size() ? &kernel_[number] : nullptr;
  }
  auto [found, fresh] = calls_.try_emplace(number);
  int call = static_cast<int>(number & ~(FGRAPH_FIRST_SYSCALL | FGRAPH_COMPAT));
  if (fresh) found->second = {syscall_name(session_.arch(), call, number & FGRAPH_COMPAT), "kernel", 0};
  return &found->second;
}

void TracedFunctions::read_kept(const std::string& text) {
  TracedFunction* last = nullptr;
  for (std::string_view line : split(text, '\n')) {
    auto words = split(line, '\t');
    if (words.size() == 3 && words[0].empty() && last) read_value(words, *last);
    if (words[0].empty()) continue;
    if (words.size() == 1) last = &kernel_.emplace_back(TracedFunction{std::string(line), "kernel"});
    if (words.size() == 3)
      last = &functions_.emplace_back(
          TracedFunction{std::string(words[0]), std::string(words[1]), parse_number(words[2]).value_or(0)});
  }
}

}  // namespace kit
