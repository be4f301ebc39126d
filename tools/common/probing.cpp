// SPDX-License-Identifier: BSD-2-Clause
#include "kit/probing.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <span>

#include "kit/text.hpp"
#include "loader.hpp"
#include "places.hpp"
#include "symbols.hpp"

namespace kit {
namespace {

constexpr std::size_t most_probes = 64;
constexpr std::size_t most_explained = 20;

// A histogram is one of numbers, at each place of the probe.
void check_first(const Probe& probe, std::span<const ProbePlace> places) {
  for (const ProbePlace& place : places)
    if (!place.values.empty() && std::string_view("dulx").find(place.values[0].how) == std::string_view::npos)
      refuse_probe(probe, probe.shown[0].expression.at,
                   cat("the value that is measured is to be a number", places.size() > 1 ? "; it is none at " : "",
                       places.size() > 1 ? place.name : ""));
}

}  // namespace

struct Probing::State {
  PlaceFinder finder;
  Attached attached;
  bool live = false;
  Stacks* stacks = nullptr;
  std::uint32_t string = 0;
  bool apart = false;                                // strings have places of their own
  std::unique_ptr<blazesym::Symbolizer> symbolizer;  // once an address is to be named
};

std::uint64_t PlaceFinder::add(Spot spot) {
  wants_entry_ = false;
  takes_user_stack_ = demand_.user_stacks;
  Resolve own = spot.resolve;
  Resolve resolve = [&](const Expression& expression) -> std::optional<Fetched> {
    Fetched value;
    if (expression.text == "probe" || (expression.text == "func" && !spot.function.empty())) {
      value.is_constant = true;
      value.constant = expression.text == "probe" ? spot.name : spot.function;
      return value;
    }
    if (demand_.stacks && (expression.text == "kstack" || expression.text == "ustack")) {
      value.stack = expression.text == "kstack" ? 'K' : 'U';
      takes_user_stack_ |= value.stack == 'U';
      return value;
    }
    if (expression.text != "latency" || !spot.at_return) return own(expression);
    wants_entry_ = true;
    fetch_step step{};
    step.op = FETCH_LATENCY;
    value.steps = {step};
    value.duration = true;
    value.refused = spot.no_latency;
    return value;
  };
  ProbePlace place{.name = spot.name, .function = spot.function, .values = {}};
  std::vector<std::string> names = spot.names;
  names.insert(names.end(), {"probe", "func"});
  if (demand_.stacks) {
    names.insert(names.end(), {"kstack", "ustack"});
    spot.flags |= (demand_.stacks->kernel_beneath() ? FETCH_KERNEL_STACK : 0) |
                  (demand_.stacks->user_beneath() ? FETCH_USER_STACK : 0);
    takes_user_stack_ |= demand_.stacks->user_beneath();
  }
  std::size_t before = plans.count();
  std::uint32_t plan = plans.share(spot.probe, resolve, names, &place.values, spot.flags);
  is_session_ = wants_entry_ && spot.in_session && spot.in_session();
  if (wants_entry_ && !is_session_) {
    // The same plan, with the call that was remembered; nobody else may have the one without.
    if (plans.count() > before) plans.drop_last();
    place.values.clear();
    plan = plans.share(spot.probe, resolve, names, &place.values, spot.flags | FETCH_RETURN);
    spans = true;
  }
  if (places.size() >= UINT32_MAX) throw Failure(Exit::usage, "there are too many places");
  // Found again, through another process or where a probe has several places: it is one, if it is shown alike.
  auto [known, fresh] = known_.try_emplace({&spot.probe, place.name}, places.size());
  if (!fresh && places[known->second].values != place.values) known->second = places.size();
  if (known->second == places.size()) places.push_back(std::move(place));
  return std::uint64_t{plan} << 32 | known->second;
}

void PlaceFinder::find(const Probe& probe) {
  const std::string& kind = probe.kind;
  if (kind == "uprobe" || kind == "uretprobe") return find_user(probe, kind == "uretprobe");
  if (kind == "usdt") return find_usdt(probe);
  if (kind == "kprobe" || kind == "kretprobe") return find_kprobe(probe, kind == "kretprobe");
  if (kind == "fentry" || kind == "fexit") return find_typed(probe, kind == "fexit");
  if (kind == "tracepoint") return find_tracepoint(probe);
  if (kind == "rawtracepoint") return find_raw(probe);
  if (kind == "interval" || kind == "profile") return find_timer(probe);
  if (kind == "software" || kind == "hardware") return find_event(probe);
  if (kind == "watchpoint") return find_watchpoint(probe);
  find_once(probe);
}

void Probing::declare(Options& options, std::vector<std::string>& words, bool& force) {
  options.words("PROBE...", words)
      .flag(0, "force-uretprobe", force, "probe returns that may harm the program: of C++ that throws, and of Go")
      .details(
          "A probe is KIND:TARGET [/FILTER/] [EXPR[:FORMAT]...]. Kinds: kprobe:FUNC[+OFFSET] kretprobe:FUNC "
          "fentry:FUNC "
          "fexit:FUNC uprobe:FILE:FUNC[+OFFSET] uprobe:FILE:0xADDRESS uretprobe:FILE:FUNC tracepoint:CATEGORY:EVENT "
          "rawtracepoint:EVENT usdt:FILE_OR_PID:PROVIDER:NAME interval:UNIT:N profile:UNIT:N (s, ms, us, hz) "
          "software:EVENT[:COUNT] hardware:EVENT[:COUNT] watchpoint:ADDRESS_OR_SYMBOL:LENGTH:MODE begin end. Functions "
          "and events may be globs; of what a glob finds, functions that cannot be probed are left out and named.")
      .details(
          "Expressions: arg0 to argN, retval, latency at a return, parameters of kernel functions, and of a program's "
          "where its debug information tells of them, and fields of tracepoints by name, members "
          "(file->f_path.dentry->d_name.name; . and -> alike), elements ([2]), casts "
          "((struct file *)arg0), and pid tid uid gid comm cpu nsecs elapsed cgroup func probe, and, where a tool "
          "shows them, kstack and ustack. Formats: :d :u :x numbers, :s :str a string, :buf(N) bytes, :ip an address, "
          ":sym what code is there, :flags names of bits (open(2)'s where no others are known).")
      .details(
          "An OFFSET or ADDRESS in a program is refused inside an instruction, as far as the function's size is known. "
          "A program's function is probed at its first instruction, or soon behind it where that tells the same and "
          "costs less (endbr64), or where the kernel would leave the first one out (AVX). Returns are probed "
          "where its instructions return, which harms no program; as a uretprobe where it calls nothing, and where "
          "they cannot be told, which is refused for programs that may unwind.")
      .details(
          "A filter compares expressions with numbers, times (5ms) and \"strings\", which may be globs, "
          "joined by && || ! and parentheses; the kernel decides it before anything is recorded. Limits: 64 probes, 12 "
          "values a probe, 32 steps of a filter and 48 of the values, 1023 bytes of a value.");
}

namespace {

// What --explain tells of where no probe is named: of one that every kernel has.
std::vector<std::string> usual_words(const ProbeDemand& demand) {
  if (demand.number_first) return {"rawtracepoint:sched_switch", "pid"};
  return {"rawtracepoint:sched_switch"};
}

}  // namespace

Probing::Probing(Session& session, const std::vector<std::string>& words, const ProbeDemand& demand, bool force)
    : session_(session), state_(new State{.finder = PlaceFinder(session.settings(), demand, force), .attached = {}}) {
  state_->live = !session.replaying();
  state_->stacks = demand.stacks;
  if (!state_->live) return;
  probes_ = parse_probes(words.empty() && session.settings().explain ? usual_words(demand) : words);
  if (probes_.empty())
    throw Failure(Exit::usage, "name a probe, like tracepoint:sched:sched_switch or uprobe:libc:strlen");
  if (probes_.size() > most_probes)
    throw Failure(Exit::usage, cat(probes_.size(), " probes are named, and ", most_probes, " are the limit"));
  for (const Probe& probe : probes_) {
    if (probe.shown.size() > demand.values)
      refuse_probe(probe, probe.shown[demand.values].expression.at, cat(demand.values, " values are the limit here"));
    if (demand.number_first && probe.shown.empty())
      refuse_probe(probe, probe.text.size(), "name the value that is measured, like latency or arg0");
    const auto& places = state_->finder.places;
    std::size_t before = places.size();
    state_->finder.find(probe);
    if (demand.number_first) check_first(probe, std::span(places).subspan(before));
  }
  state_->apart = demand.keys;
  state_->string = demand.keys ? FETCH_KEY_STRING : demand.string;
  const FetchPlans& plans = state_->finder.plans;
  // The stacks take the place of a string.
  std::uint32_t strings = FETCH_KEY_STRINGS - (plans.stacks() ? 1 : 0);
  if (demand.keys && (plans.strings() > strings || plans.longest() > FETCH_KEY_STRING))
    throw Failure(Exit::usage,
                  cat("keys hold ", strings, plans.stacks() ? " string at most beside stacks" : " strings at most",
                      ", of ", FETCH_KEY_STRING - 1, " bytes"));
}

Probing::~Probing() = default;

AttachPlan Probing::prepare(bpf_object* object) {
  AttachPlan plan;
  PlaceFinder& finder = state_->finder;
  finder.plans.size(object, state_->string);
  set_knob(object, "hit_spans", finder.spans);
  set_knob(object, "fetch_apart", state_->apart);
  set_knob(object, "hit_runs_count", finder.counts);
  if (Stacks* stacks = state_->stacks) {
    std::uint32_t taken = finder.plans.stacks();
    set_knob(object, "hit_stacks",
             (taken ? std::uint32_t{FETCH_STACKS_TAKEN} : 0) |
                 (stacks->kernel_beneath() ? FETCH_STACKS_KERNEL_BENEATH : 0) |
                 (stacks->user_beneath() ? FETCH_STACKS_USER_BENEATH : 0));
    stacks->ask(taken & FETCH_KERNEL_STACK, taken & FETCH_USER_STACK);
    stacks->prepare(object);
  }
  std::map<std::string, std::vector<Part>> parts;
  for (const Attachment& one : finder.attachments) {
    bpf_program* program = bpf_object__find_program_by_name(object, one.program.c_str());
    if (!program) throw Failure(Exit::failed, cat("the built-in BPF object has no program ", one.program));
    bool first = !parts.contains(one.program);
    if (first && needs_copies(one.program)) set_first_copy(program, {.cookie = one.cookie, .type_id = one.type_id});
    Part& part = parts[one.program].emplace_back(program, cat("placed/", one.shown));
    // A run that is to go on tries each when it attaches; what may forbid perf events is asked for those only.
    if (session_.settings().explain)
      part.hook.trial = [&one] { return Attached::can_add(one); };
    else if (!Attached::is_by_event(one.program))
      part.hook.trial = [] { return Verdict{.yes = true, .denied = false, .lacks = {}, .why = {}, .target = {}}; };
  }
  for (auto& [program, all] : parts) {
    // The ways' names are those of the programs: hit_kprobe_multi is "kprobe_multi".
    std::size_t count = all.size();
    if (count > most_explained) all.erase(all.begin() + most_explained, all.end());
    plan.event(cat(count, count == 1 ? " place" : " places", " by ", program.substr(4))).way(program.substr(4), all);
  }
  return plan;
}

void Probing::attach(bpf_object* object) {
  State& s = *state_;
  if (s.live) {
    if (s.stacks) s.stacks->follow(session_, object, false);
    s.finder.plans.fill(object);
    for (const Attachment& one : s.finder.attachments)
      s.attached.add_most(bpf_object__find_program_by_name(object, one.program.c_str()), one, s.finder.left_out);
    tell_left_out();
    session_.count_skips([this] { return state_->attached.skipped(); });
    if (s.finder.counts) {
      const auto* runs = static_cast<const volatile std::uint64_t*>(find_global(object, "hit_runs", 8));
      session_.count_losses("throttled", [&s, runs] {
        std::uint64_t due = s.attached.due(), seen = *runs + s.attached.unsure();
        return due > seen ? due - seen : 0;
      });
    }
    once("begin");
    session_.at_end([this] {
      state_->attached.detach();
      once("end");
    });
  }
  std::string text = session_.kept("places", [&] {
    std::string all;
    for (const ProbePlace& place : s.finder.places) {
      all += cat(place.name, '\t', place.function);
      for (const ShownValue& value : place.values) all += cat('\t', shown_value_text(value));
      all += '\n';
    }
    return all;
  });
  for (std::string_view line : split(text, '\n')) {
    if (line.empty()) continue;
    auto words = split(line, '\t');
    ProbePlace place{
        .name = std::string(words[0]), .function = std::string(words.size() > 1 ? words[1] : ""), .values = {}};
    for (std::size_t i = 2; i < words.size(); i++)
      if (auto value = parse_shown_value(words[i])) place.values.push_back(std::move(*value));
    for (const ShownValue& value : place.values) stacked_ |= value.how == 'K' || value.how == 'U';
    places_.push_back(std::move(place));
  }
}

void Probing::tell_left_out() const {
  const LeftOut& all = state_->finder.left_out;
  if (all.empty()) return;
  if (!state_->attached.any())
    throw Failure(Exit::unsupported, cat("cannot probe ", all.back().first, ": ", all.back().second));
  session_.say(cat("left out, ", all.size(), " of what matches: ", left_out_text(all)));
}

void Probing::once(const char* kind) {
  for (const auto& [known, cookie] : state_->finder.once)
    if (known == kind) state_->attached.run(cookie);
}

namespace {

fetch_result result_of(const fetch_key& key) {
  fetch_result result{.plan = key.place, .unread = key.unread, .cut = key.cut, .stacks = 0, .values = {}};
  std::copy(std::begin(key.values), std::end(key.values), result.values);
  return result;
}

fetch_stacks stacks_of(std::string_view text) {
  fetch_stacks stacks{};
  std::memcpy(&stacks, text.data(), std::min(text.size(), sizeof stacks));
  return stacks;
}
fetch_stacks stacks_of(const fetch_key& key) { return stacks_of({key.text, sizeof key.text}); }

bool is_lost(const kit_stack_id& id) { return id.low == 0 && id.high == KIT_STACK_LOST; }

}  // namespace

Cell Probing::name(const fetch_key& key) const { return name(result_of(key)); }

Cell Probing::stack_cell(const fetch_stacks& stacks, bool kernel, bool user) const {
  kit_stacks wanted = stacks.of;
  if (!kernel) wanted.kernel = {};
  if (!user) wanted.user = {};
  if (!state_->stacks || is_lost(wanted.kernel) || is_lost(wanted.user)) return Cell::unknown();
  return Cell::stack(state_->stacks->of(stacks.pid, wanted));
}

void Probing::look_up(const fetch_result& result, std::string_view tail) {
  if (!result.stacks || !state_->stacks) return;
  fetch_stacks stacks = stacks_of(tail);
  state_->stacks->find(session_, {stacks.pid, stacks.of});
}

void Probing::look_up(Report& report, const std::vector<const fetch_key*>& keys) {
  if (!stacked_ || !state_->stacks) return;
  std::vector<Stacks::Wanted> wanted;
  for (const fetch_key* key : keys) {
    fetch_stacks stacks = stacks_of(*key);
    wanted.push_back({stacks.pid, stacks.of});
  }
  state_->stacks->resolve(report, wanted);
}

void Probing::tally(Report& report) const {
  if (stacked_ && state_->stacks) state_->stacks->tally(report);
}

Cell Probing::stack(const fetch_result& result, std::string_view tail) const {
  bool kernel = result.stacks & FETCH_STACKS_KERNEL_BENEATH, user = result.stacks & FETCH_STACKS_USER_BENEATH;
  return kernel || user ? stack_cell(stacks_of(tail), kernel, user) : Cell::none();
}

Cell Probing::name(const fetch_result& result) const {
  const ProbePlace* known = place(result.plan);
  return known ? Cell::borrowed(known->name) : Cell::unknown();
}

Cell Probing::values(const fetch_result& result, std::string_view tail, std::uint32_t pid) const {
  const ProbePlace* known = place(result.plan);
  if (!known) return Cell::unknown();
  std::string_view strings = tail.substr(result.stacks ? std::min(tail.size(), sizeof(fetch_stacks)) : 0);
  return value_cells(
      known->values, result, strings, 0, [&](std::uint64_t address) { return code_name(pid, address); },
      [&](char which) { return stack_cell(stacks_of(tail), which == 'K', which == 'U'); });
}

Cell Probing::values(const fetch_key& key, std::size_t first) const {
  const ProbePlace* known = place(key.place);
  if (!known) return Cell::unknown();
  std::string_view strings(key.text, sizeof key.text);
  if (stacked_) strings.remove_prefix(FETCH_KEY_STRING);
  return value_cells(
      known->values, result_of(key), strings, first,
      [&](std::uint64_t address) { return code_name(KIT_NO_PID, address); },
      [&](char which) { return stack_cell(stacks_of(key), which == 'K', which == 'U'); });
}

std::string Probing::code_name(std::uint32_t pid, std::uint64_t address) const {
  bool kernel = address >> 63;
  if (!kernel && pid == KIT_NO_PID) return {};
  return session_.name(kernel ? "code" : cat("code of ", pid), address, [&] {
    if (!state_->symbolizer) state_->symbolizer = blazesym::make_symbolizer({.lines = false});
    // It may have loaded more since.
    if (!kernel) state_->symbolizer->see(pid);
    std::uint64_t one[] = {address};
    auto found = kernel ? state_->symbolizer->kernel(one) : state_->symbolizer->process(pid, one);
    const auto& frames = found.at(0).frames;
    if (frames.empty() || frames.back().name.empty()) return std::string();
    std::string text(frames.back().name);
    if (frames.back().offset) append_hex(text += '+', frames.back().offset);
    return text;
  });
}

}  // namespace kit
