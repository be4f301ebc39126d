// SPDX-License-Identifier: BSD-2-Clause
#include "kit/stacks.hpp"

#include <bpf/bpf.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstring>
#include <tuple>

#include "code_mappings.hpp"
#include "files.hpp"
#include "filter.hpp"
#include "kit/kernel.hpp"
#include "kit/text.hpp"
#include "loader.hpp"
#include "packing.hpp"

namespace kit {
namespace {

constexpr std::uint32_t default_room = 65536;  // as bpf/lib/stacks.bpf.h has it

// Where a thread begins: a user stack that ends in one of these was walked to its end.
constexpr std::string_view beginnings[] = {"_start",
                                           "__libc_start_main",
                                           "__libc_start_call_main",
                                           "start_thread",
                                           "clone",
                                           "clone3",
                                           "__clone",
                                           "__clone3",
                                           "_dl_start_user",
                                           "thread_start",
                                           "runtime.goexit",
                                           "runtime.mstart",
                                           "__clone_internal",
                                           "_start_c",
                                           "__restore_rt"};

bool is_beginning(std::string_view name) {
  name = name.substr(0, name.find('@'));
  name = name.substr(0, name.find(".abi0"));
  return std::find(std::begin(beginnings), std::end(beginnings), name) != std::end(beginnings) ||
         name.starts_with("__libc_start_main_");
}

// The first function of a program or a thread that is called by nothing: what the walk found beyond is no frame, but
// what a C library without frame pointers happened to have on its stack.
bool is_first(std::string_view name) {
  name = name.substr(0, name.find('@'));
  return name == "_start" || name == "start_thread" || name == "runtime.goexit" ||
         name.starts_with("__libc_start_call_main") || name.starts_with("__libc_start_main");
}

// What lies between an event in the kernel and our own program, which walks the stack: not part of the story.
bool is_tracing(const StackFrame& frame) {
  return frame.module == "[bpf]" || frame.name.starts_with("bpf_trace_run") || frame.name.starts_with("__bpf_trace_") ||
         frame.name.starts_with("__traceiter_") || frame.name.starts_with("bpf_get_stack") ||
         frame.name.starts_with("__bpf_prog_enter") || frame.name.starts_with("bpf_trampoline_") ||
         frame.name.starts_with("trace_call_bpf") || frame.name.starts_with("perf_trace_run_bpf") ||
         frame.name.starts_with("perf_trace_");
}

void drop_tracing(Stack& stack) {
  constexpr std::size_t most = 8;
  for (std::size_t i = std::min(most, stack.size()); i-- > 0;) {
    if (!is_tracing(stack[i])) continue;
    stack.erase(stack.begin(), stack.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    return;
  }
}

StackFrame::Kind kind_of(const blazesym::Symbol& symbol) {
  using blazesym::ModuleKind;
  if (!symbol.module) return StackFrame::Kind::user;
  switch (symbol.module->kind) {
    case ModuleKind::kernel:
    case ModuleKind::kernel_module:
    case ModuleKind::bpf: return StackFrame::Kind::kernel;
    case ModuleKind::jit: return StackFrame::Kind::jit;
    default: return StackFrame::Kind::user;
  }
}

// What a capture keeps of one address.
std::string pack(const blazesym::Symbol& symbol, StackFrame::Kind kind) {
  std::string out;
  put(out, static_cast<std::uint8_t>(kind));
  put(out, symbol.module_offset);
  put_text(out, symbol.module ? symbol.module->path : "");
  put_text(out, symbol.module ? symbol.module->build_id : "");
  put_text(out, blazesym::reason_text(symbol.reason));
  for (const blazesym::Frame& frame : symbol.frames) {
    put_text(out, frame.name);
    put(out, frame.offset);
    put_text(out, frame.file);
    put(out, frame.line);
    put(out, static_cast<std::uint8_t>(frame.inlined));
  }
  return out;
}

RawEntry entry_of(const void* key, std::size_t size, std::string_view value) {
  RawEntry entry{std::vector<std::byte>(size), std::vector<std::byte>(value.size())};
  std::memcpy(entry.key.data(), key, size);
  std::memcpy(entry.values.data(), value.data(), value.size());
  return entry;
}

// "/user.slice/session-1.scope": the line of version 2's tree, whose number is 0.
std::string cgroup_of(std::uint32_t pid) {
  blazesym::Lines lines(cat("/proc/", pid, "/cgroup"));
  for (std::string line; lines.next(line);)
    if (line.starts_with("0::")) return line.substr(3);
  return {};
}

}  // namespace

void Stacks::declare_letters(Options& options) {
  if (letters_ == Letters::none) return;
  bool only = letters_ == Letters::only;
  options
      .flag(
          'K', "kernel-stacks", only_kernel_,
          only ? "only the kernel's stacks (with -U: both, as without either)" : "the kernel's stack beneath each row")
      .flag('U', "user-stacks", only_user_, only ? "only user stacks" : "the user stack beneath each row");
}

Stacks::~Stacks() = default;

Stacks::Stacks(Options& options, Letters letters) : letters_(letters), unwinder_(options) {
  declare_letters(options);
  options
      .option(0, "stacks", "N", most_,
              "room for N different stacks, and N of over 31 frames, in a report (65536; before Linux 6.1 16384 of the "
              "latter)")
      .option(0, "symbol-memory", "SIZE", memory_, "memory for symbols, beyond which the longest unused go (256M)")
      .add(0, "symbols", "NAME", "where symbols come from: native",
           [this](std::string_view name) -> std::string {
             auto all = blazesym::backends();
             backend_ = name;
             return std::find(all.begin(), all.end(), name) != all.end()
                        ? ""
                        : cat("there is none of that name", suggestion(name, all));
           })
      .add(0, "no-lines", "", "neither inlined functions nor source lines, which are read from debugging data",
           [this](std::string_view) {
             lines_ = false;
             return std::string();
           });
}

// For stacks and for what is counted by them.
void Stacks::make_room(bpf_object* object) const {
  bpf_map* map;
  if (!most_) return;
  bpf_object__for_each_map(map, object) {
    std::string_view name = bpf_map__name(map);
    if ((!name.ends_with("_first") && !name.ends_with("_second")) || name.starts_with("unwind_")) continue;
    bool of_stacks = name.starts_with("stacks_");
    ask_for_room(map, of_stacks ? most_.value : std::max(most_.value, bpf_map__max_entries(map)));
  }
}

// The loader may have made it smaller.
void Stacks::say_room(const Session& session, bpf_object* object) const {
  auto room = [object](const char* map) { return bpf_map__max_entries(bpf_object__find_map_by_name(object, map)); };
  std::uint32_t deep = room("stacks_first"), shallow = room("stacks_short_first");
  if (most_ && (deep < most_.value || shallow < most_.value))
    session.say(cat("--stacks ", most_.value,
                    ": this kernel (before 6.1) makes the room beforehand: there is some for ", deep,
                    " stacks of over ", KIT_STACK_SHORT, " frames and ", shallow, " others in a report"));
}

void Stacks::ask(bool kernel, bool user) { asked_ = {kernel, user}; }

void Stacks::leave_all_out(bpf_object* object) const {
  bpf_map* map;
  bpf_object__for_each_map(map, object) {
    std::string_view name = bpf_map__name(map);
    leave_out(name.starts_with("stacks_") || name == "stacks" || name.starts_with("unwind_"), {map});
  }
}

void Stacks::prepare(bpf_object* object) {
  bool both = only_kernel_ == only_user_;
  auto [kernel, user] = asked_.value_or(std::pair(both || only_kernel_, both || only_user_));
  set_knob(object, "stacks_of_kernel", kernel);
  set_knob(object, "stacks_of_user", user);
  user_ = user;
  object_ = object;
  if (!kernel && !user) {
    set_knob(object, "unwind_tables", false);
    return leave_all_out(object);
  }
  make_room(object);
  unwinder_.prepare(object);
  // A place is taken by an entry, of which the kernel keeps one more for each CPU.
  bpf_map* claims = bpf_object__find_map_by_name(object, "stacks_claims");
  auto cpus = static_cast<std::uint32_t>(libbpf_num_possible_cpus());
  bpf_map__set_max_entries(claims, bpf_map__max_entries(claims) * cpus);
}

void Stacks::follow(Session& session, bpf_object* object, bool cgroups) {
  if (session.replaying() || asked_ == std::pair(false, false)) return;
  unwinder_.follow(session, object);
  symbolizer_ = blazesym::make_symbolizer({.memory = memory_.bytes, .lines = lines_, .backend = backend_});
  bpf_map* ring = bpf_object__find_map_by_name(object, "stacks_news");
  news_.emplace(bpf_map__fd(ring), bpf_map__max_entries(ring));
  say_room(session, object);
  // What is mapped anywhere is kept open.
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 && std::exchange(files.rlim_cur, files.rlim_max) != files.rlim_max)
    setrlimit(RLIMIT_NOFILE, &files);
  if (user_) follow_mappings(session, object);
  cgroups |= !session.settings().record.empty();
  session.watch(bpf_map__fd(ring), [this, cgroups, &session] {
    news_->drain([&](std::string_view record) {
      kit_stack_news news;
      if (record.size() < sizeof news) return;
      std::memcpy(&news, record.data(), sizeof news);
      unwinder_.see(news.pid, news.tgid);
      symbolizer_->see(news.pid);
      if (cgroups) session.name("cgroup", news.pid, [&] { return cgroup_of(news.pid); });
    });
  });
}

// A process is looked at as soon as it maps what it runs, not only where a sample finds it, since many live for one
// sample and are gone before that is told. Nobody asks for most of them where all are wanted: there only some are.
void Stacks::follow_mappings(Session& session, bpf_object* object) {
  const Settings& settings = session.settings();
  // By other filters it cannot be told who is wanted; and a namespace has other numbers than the kernel.
  bool others = !settings.pids.empty() || !settings.tids.empty() || !settings.users.empty() || !settings.cgroup.empty();
  if (others || pid_namespace()) return;
  bool all = settings.comm.empty() && !follows_tree(settings);
  mappings_ = std::make_unique<CodeMappings>();
  for (int event : mappings_->descriptors())
    session.watch(event, [this, object, all, &settings] {
      constexpr unsigned most = 100;  // in a second: some 40 ms of one processor
      mappings_->drain([&](std::uint32_t pid) {
        if (all && told_ >= most) return mappings_->pause();
        if (!may_be_wanted(object, settings, pid)) return;
        told_++;
        unwinder_.see(pid, pid);
        symbolizer_->see(pid);
      });
    });
  session.every_second([this] {
    mappings_->go_on();
    told_ = 0;
  });
}

void Stacks::read_stacks(Report& report) {
  auto keep = [this](const kit_stack_id& id, const auto& stack) {
    auto& [frames, end, used] = known_[id_of(id)];
    used = report_;
    if (frames.empty())
      frames.assign(stack.frames, stack.frames + std::min<std::size_t>(stack.depth, std::size(stack.frames)));
    if (stack.end) end = stack.end;
  };
  for (const auto& [id, stack] : report.entries<kit_stack_id, kit_stack>("stacks")) keep(id, stack);
  for (const auto& [id, stack] : report.entries<kit_stack_id, kit_stack_short>("stacks_short")) keep(id, stack);
}

// All but the innermost are return addresses: the call is before them.
void Stacks::collect(std::uint32_t pid, const kit_stack_id& id, std::map<Address, Stack>& into) {
  auto found = known_.find(id_of(id));
  if (found == known_.end()) return;
  auto& [frames, end, used] = found->second;
  used = report_;
  for (std::size_t i = 0; i < frames.size(); i++) into[{frames[i] - (i > 0), pid}];
}

// A count of this report may be told of in the next, too, since counts are read before stacks.
void Stacks::forget() {
  if (symbolizer_) symbolizer_->forget();
  std::size_t most = 2 * std::size_t{most_ ? most_.value : default_room};
  if (known_.size() <= most) return;
  std::vector<std::uint64_t> used;
  for (const auto& [id, known] : known_) used.push_back(known.used);
  auto first_kept = used.end() - static_cast<std::ptrdiff_t>(most);
  std::nth_element(used.begin(), first_kept, used.end());
  std::uint64_t oldest = std::min(*first_kept, report_ - 1);
  forgot_ |= std::erase_if(known_, [oldest](const auto& one) { return one.second.used < oldest; }) > 0;
}

std::vector<RawEntry> Stacks::find_names(const std::map<Address, Stack>& wanted) {
  std::map<std::uint32_t, std::vector<std::uint64_t>> by_pid;
  std::vector<RawEntry> entries;
  for (const auto& [address, stack] : wanted) by_pid[address.pid].push_back(address.address);
  for (const auto& [pid, addresses] : by_pid) {
    bool kernel = pid == KIT_NO_PID;
    if (!kernel) symbolizer_->see(pid);
    for (const auto& symbol : kernel ? symbolizer_->kernel(addresses) : symbolizer_->process(pid, addresses)) {
      Address key{symbol.address, pid};
      entries.push_back(entry_of(&key, sizeof key, pack(symbol, kernel ? StackFrame::Kind::kernel : kind_of(symbol))));
    }
  }
  return entries;
}

std::string_view Stacks::text(std::string_view text) {
  if (auto found = known_texts_.find(text); found != known_texts_.end()) return *found;
  return *known_texts_.insert(texts_.emplace_back(text)).first;
}

void Stacks::keep_names(const std::vector<RawEntry>& entries) {
  for (const RawEntry& entry : entries) {
    Address address{};
    if (entry.key.size() != sizeof address) continue;
    std::memcpy(&address, entry.key.data(), sizeof address);
    Cursor cursor({reinterpret_cast<const char*>(entry.values.data()), entry.values.size()});
    StackFrame common{.address = address.address};
    common.kind = static_cast<StackFrame::Kind>(std::min<std::uint8_t>(cursor.number<std::uint8_t>(), 2));
    common.module_offset = cursor.number<std::uint64_t>();
    common.module = text(cursor.text());
    common.build_id = text(cursor.text());
    common.reason = text(cursor.text());
    Stack& frames = names_[address];
    frames.clear();
    constexpr std::size_t least = 4 + 8 + 4 + 4 + 1;  // bytes of a frame whose texts are empty
    while (cursor.left() >= least) {
      StackFrame& frame = frames.emplace_back(common);
      frame.name = text(cursor.text());
      frame.offset = cursor.number<std::uint64_t>();
      frame.file = text(cursor.text());
      frame.line = cursor.number<std::uint32_t>();
      frame.inlined = cursor.number<std::uint8_t>();
      if (!frame.name.empty()) frame.reason = {};
    }
  }
}

void Stacks::resolve(Report& report, const std::vector<Wanted>& wanted) {
  report_++;
  read_stacks(report);
  looks_.clear();
  whole_.clear();
  names_.clear();
  known_texts_.clear();
  texts_.clear();
  complete_ = cut_ = broken_ = failed_ = 0;
  blamed_.clear();
  std::map<Address, Stack> addresses;
  for (const Wanted& one : wanted) {
    collect(KIT_NO_PID, one.stacks.kernel, addresses);
    collect(user(one.pid), one.stacks.user, addresses);
  }
  keep_names(report.found_out("symbols", [&] { return find_names(addresses); }));
  for (const Wanted& one : wanted) count(one);
  forget();
}

bool Stacks::reaches_beginning(std::uint32_t pid, const std::vector<std::uint64_t>& frames) const {
  for (std::size_t i = 0; i < frames.size(); i++) {
    auto found = names_.find({frames[i] - (i > 0), pid});
    if (found == names_.end() || found->second.empty()) continue;
    std::string_view name = found->second.back().name;
    if (is_first(name) || (i + 1 == frames.size() && is_beginning(name))) return true;
  }
  return false;
}

void Stacks::count_walked(std::uint32_t pid, const std::vector<std::uint64_t>& frames, std::uint32_t end) {
  if (end == KIT_UNWIND_COMPLETE) {
    complete_++;
    return;
  }
  if (end == KIT_UNWIND_CUT) {
    cut_++;
    return;
  }
  broken_++;
  auto last = names_.find({frames.back() - (frames.size() > 1), pid});
  bool named = last != names_.end() && !last->second.empty();
  blamed_[{named ? last->second.back().module : std::string_view(), end}]++;
}

// A user stack that was not cut and yet does not reach a thread's beginning was lost by the walk on its way: code
// without frame pointers.
void Stacks::count(const Wanted& one) {
  for (const kit_stack_id* id : {&one.stacks.kernel, &one.stacks.user}) {
    if (id->low == 0) {
      failed_ += id->high == KIT_STACK_FAILED;
      continue;
    }
    auto found = known_.find(id_of(*id));
    if (found == known_.end() || found->second.frames.empty()) {
      failed_++;
    } else if (found->second.frames.size() == KIT_STACK_DEPTH) {
      cut_++;
    } else if (id == &one.stacks.kernel) {
      complete_++;
    } else {
      const auto& [frames, end, used] = found->second;
      bool whole = end == KIT_UNWIND_NOT_TOLD && reaches_beginning(user(one.pid), frames);
      count_walked(user(one.pid), frames, whole ? std::uint32_t{KIT_UNWIND_COMPLETE} : end);
    }
  }
}

void Stacks::append(Stack& stack, std::uint32_t pid, const kit_stack_id& id) const {
  if (id.low == 0 && id.high != KIT_STACK_FAILED) return;
  auto found = known_.find(id_of(id));
  if (id.low == 0 || found == known_.end()) {
    const char* why = forgot_ ? "its stack is no longer kept" : "its stack was not read";
    stack.push_back({.reason = id.low == 0 ? "could not be walked" : why});
    return;
  }
  bool first = false;
  const auto& [addresses, end, used] = found->second;
  for (std::size_t i = 0; i < addresses.size(); i++) {
    std::uint64_t address = addresses[i] - (i > 0);
    auto frames = names_.find({address, pid});
    bool named = frames != names_.end() && !frames->second.empty();
    // A walk that knew its end went no further: what comes then is a first function without a name.
    bool beyond = first && end != KIT_UNWIND_COMPLETE;
    if (beyond && !(named && is_beginning(frames->second.back().name))) return;
    first = first || (named && is_first(frames->second.back().name));
    if (named)
      stack.insert(stack.end(), frames->second.begin(), frames->second.end());
    else
      stack.push_back({.address = address, .reason = "not looked up"});
  }
}

const Stack& Stacks::of(std::uint32_t pid, const kit_stacks& stacks) {
  auto [found, fresh] = whole_.try_emplace({pid, {id_of(stacks.kernel), id_of(stacks.user)}});
  if (fresh) {
    append(found->second, KIT_NO_PID, stacks.kernel);
    drop_tracing(found->second);
    append(found->second, user(pid), stacks.user);
  }
  return found->second;
}

kit_stacks Stacks::alike(std::uint32_t pid, const kit_stacks& stacks) {
  const Stack& stack = of(pid, stacks);
  auto seen = [](const StackFrame& frame) {
    return std::tie(frame.address, frame.name, frame.file, frame.line, frame.reason);
  };
  auto same = [&](const StackFrame& one, const StackFrame& other) { return seen(one) == seen(other); };
  std::uint64_t hash = pid;
  for (const StackFrame& frame : stack) hash = (hash ^ frame.address) * 0x9e3779b97f4a7c15 + frame.line;
  for (auto [at, end] = looks_.equal_range(hash); at != end; ++at) {
    const auto& [whose, other] = *at->second;
    if (whose.first == pid && std::equal(stack.begin(), stack.end(), other.begin(), other.end(), same)) {
      const auto& [kernel, user] = whose.second;
      return {.kernel = {kernel.low, kernel.high}, .user = {user.low, user.high}};
    }
  }
  looks_.emplace(hash, &*whole_.find({pid, {id_of(stacks.kernel), id_of(stacks.user)}}));
  return stacks;
}

// What a stream asks for is kept for a second, since processes become other programs.
void Stacks::find(Session& session, const Wanted& wanted) {
  constexpr std::uint64_t lasts_ns = 1'000'000'000;
  looks_.clear();
  whole_.clear();
  if (std::uint64_t now = boot_time(); now - found_since_ > lasts_ns) {
    found_since_ = now;
    names_.clear();
    known_texts_.clear();
    texts_.clear();
    forget();
  }
  report_++;
  std::map<Address, Stack> missing;
  for (const kit_stack_id* id : {&wanted.stacks.kernel, &wanted.stacks.user}) {
    find_one(session, *id);
    collect(id == &wanted.stacks.kernel ? KIT_NO_PID : user(wanted.pid), *id, missing);
  }
  std::erase_if(missing, [this](const auto& one) { return names_.contains(one.first); });
  if (!missing.empty()) find_missing_names(session, std::move(missing));
}

// The id and what the map holds of it, as it is; empty where it holds nothing.
std::string Stacks::read_one(const kit_stack_id& id) const {
  kit_stack stack{};
  for (const char* name : {"stacks_short_first", "stacks_first"}) {
    const bpf_map* map = bpf_object__find_map_by_name(object_, name);
    if (bpf_map_lookup_elem(bpf_map__fd(map), &id, &stack) != 0) continue;
    std::size_t depth = std::min<std::size_t>(stack.depth, std::size(stack.frames));
    return std::string(reinterpret_cast<const char*>(&id), sizeof id) +
           std::string(reinterpret_cast<const char*>(&stack), offsetof(kit_stack, frames) + 8 * depth);
  }
  return {};
}

// A capture keeps it under half of its number, and the whole with it.
void Stacks::find_one(Session& session, const kit_stack_id& id) {
  if (id.low == 0 || known_.contains(id_of(id))) return;
  std::string text = session.kept_name("stack", id.low, [&] { return read_one(id); });
  kit_stack_id found{};
  kit_stack stack{};
  constexpr std::size_t fixed = sizeof found + offsetof(kit_stack, frames);
  if (text.size() < fixed || text.size() > sizeof found + sizeof stack) return;
  std::memcpy(&found, text.data(), sizeof found);
  std::memcpy(&stack, text.data() + sizeof found, text.size() - sizeof found);
  if (id_of(found) != id_of(id)) return;
  known_[id_of(id)] = {
      .frames = {stack.frames, stack.frames + (text.size() - fixed) / 8}, .end = stack.end, .used = report_};
}

void Stacks::find_missing_names(Session& session, std::map<Address, Stack> missing) {
  std::map<Address, RawEntry> found;
  if (!session.replaying())
    for (RawEntry& entry : find_names(missing)) {
      Address address{};
      std::memcpy(&address, entry.key.data(), sizeof address);
      found[address] = std::move(entry);
    }
  std::vector<RawEntry> entries;
  for (const auto& [address, none] : missing) {
    std::string kind = address.pid == KIT_NO_PID ? "frame" : cat("frame of ", address.pid);
    std::string text = session.kept_name(kind, address.address, [&] {
      const auto& bytes = found[address].values;
      return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    });
    if (!text.empty()) entries.push_back(entry_of(&address, sizeof address, text));
  }
  keep_names(entries);
}

void Stacks::tally(Report& report) const {
  report.tally(
      {"stacks", "stacks", {{"complete", complete_}, {"cut", cut_}, {"broken", broken_}, {"failed", failed_}}});
  constexpr std::size_t most = 10;
  std::vector<std::pair<std::uint64_t, std::pair<std::string_view, std::uint32_t>>> all;
  for (const auto& [blame, count] : blamed_) all.push_back({count, blame});
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  all.resize(std::min(all.size(), most));
  for (const auto& [count, blame] : all) {
    auto [module, end] = blame;
    report.tally({"broken_stacks",
                  "broken",
                  {{"stacks", count}},
                  {{"module", std::string(module)}, {"reason", unwind_end_text(end)}}});
  }
}

}  // namespace kit
