// SPDX-License-Identifier: BSD-2-Clause
#include "kit/session.hpp"

#include <malloc.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdarg>
#include <cstdio>
#include <map>

#include "command.hpp"
#include "filter.hpp"
#include "kernel_types.hpp"
#include "kit/capture.hpp"
#include "kit/loop.hpp"
#include "kit/names.hpp"
#include "kit/stream.hpp"
#include "kit/text.hpp"
#include "loader.hpp"
#include "places.hpp"

namespace kit {
namespace {

constexpr std::uint64_t ms = 1'000'000;
// The reader is woken by the first record after a pause and lets more gather for this long: a machine that opens a
// million files a second fills a third of the ring.
constexpr std::uint64_t gather_ns = 10 * ms;
// In a storm, when a drain found an eighth of the ring full, it comes back sooner.
constexpr std::uint64_t storm_gather_ns = 1 * ms;
// How often, at least, the ring and the counters of losses are looked at.
constexpr std::uint64_t look_every_ns = 1000 * ms;
constexpr std::size_t default_buffer = 4 << 20;
constexpr std::uint64_t name_lasts_ns = 1000 * ms;
// What a capture of a run that --count ended calls the number of its rows: a record may give several, not all shown.
constexpr const char* rows_shown = "rows shown";

bool verbose = false;

// Its debugging lines, thousands of them, are left out: they speak of relocations, not of what went wrong.
int print_libbpf(libbpf_print_level level, const char* format, va_list arguments) {
  return verbose && level != LIBBPF_DEBUG ? std::vfprintf(stderr, format, arguments) : 0;
}

std::size_t round_buffer(std::size_t bytes) {
  auto size = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  while (size < bytes && size < std::size_t{1} << 30) size *= 2;
  return size;
}

std::uint64_t total(const Losses& lost) {
  std::uint64_t sum = 0;
  for (const auto& [name, count] : lost) sum += count.value_or(0);
  return sum;
}

std::string losses_text(const Losses& lost) {
  std::string out;
  for (const auto& [name, count] : lost)
    if (count.value_or(0)) out += cat(out.empty() ? "" : ", ", *count, ' ', name);
  return out;
}

// What makes room for more, of what has an option for it.
std::string remedy(const Losses& lost) {
  auto some = [&](const char* name) {
    auto found = lost.find(name);
    return found != lost.end() && found->second.value_or(0);
  };
  return cat(some("ring_full") ? "; --buffer sets a larger buffer" : "",
             some("map_full.stacks") ? "; --stacks makes room for more" : "");
}

struct Tree {
  const char* typed;
  const char* raw;
};
constexpr Tree tree_programs[] = {
    {"filter_fork", "filter_fork_raw"}, {"filter_exec", "filter_exec_raw"}, {"filter_exit", "filter_exit_raw"}};

// The programs that follow forks, execs and exits, as an event of the plan.
void add_tree(bpf_object* object, AttachPlan& plan) {
  std::vector<Part> typed, raw;
  for (const Tree& tree : tree_programs) {
    typed.emplace_back(bpf_object__find_program_by_name(object, tree.typed));
    raw.emplace_back(bpf_object__find_program_by_name(object, tree.raw));
  }
  plan.event("tree").way("btf", typed).way("raw", raw);
}

bool in_programs(const std::vector<Settled>& plan) {
  return std::any_of(plan.begin(), plan.end(), [](const Settled& event) {
    return std::any_of(event.parts.begin(), event.parts.end(),
                       [](const Part& part) { return is_of_program(part.hook); });
  });
}

}  // namespace

struct Session::State {
  Options& options;
  Settings settings;
  OutputBuffer out;
  std::unique_ptr<Sink> sink;
  std::unique_ptr<CaptureReader> replay;
  std::unique_ptr<CaptureWriter> capture;
  CaptureHeader header;
  std::vector<Settled> plan;
  std::vector<Link> links;
  std::unique_ptr<Command> command;
  Loop loop;
  std::unique_ptr<Signals> signals;
  std::uint64_t rows = 0, late = 0, reported_lost = 0;
  RowMark mark;
  std::vector<std::function<void()>> at_end;
  std::vector<std::function<Count()>> skips;
  std::map<std::string, std::function<std::uint64_t()>> more_losses;
  std::uint64_t missed = 0;  // by links that are no longer there
  bool full = false;         // --count rows were shown
  bool listing = false;      // rows are kept as their cells
  std::vector<Cell> cells;
  std::map<std::string, SwappedMap> swapped;
  std::map<std::string, GrowingArray> growing;
  std::map<std::string, std::vector<RawEntry>> snapshots;  // replayed
  struct Name {
    std::string text;
    std::uint64_t asked = 0;  // ns since boot; 0: never
  };
  std::map<std::pair<std::string, std::uint64_t>, Name> names;
  Losses replayed_lost;
  std::optional<CommandEnd> replayed_command;
  std::vector<std::function<void()>> looks;
  std::optional<Timer> second;

  explicit State(Options& of) : options(of) {}

  void say(const std::string& message) {
    out.flush();
    std::fprintf(stderr, "%s: %s\n", options.name().c_str(), message.c_str());
  }

  Losses losses(bpf_object* object) {
    if (replay) return replayed_lost;
    Losses lost;
    if (!object) return lost;
    read_losses(object, lost);
    Count skipped = skipped_runs(object) + missed;
    for (const Link& link : links) skipped = skipped + missed_hits(bpf_link__fd(link.get()));
    for (const auto& each : skips) skipped = skipped + each();
    lost["skipped"] = skipped;
    for (const auto& [name, count] : more_losses) lost[name] = count();
    return lost;
  }

  // Says on stderr what was lost since the last time.
  void say_losses(bpf_object* object) {
    Losses lost = losses(object);
    if (total(lost) == reported_lost) return;
    reported_lost = total(lost);
    say(cat("lost so far: ", losses_text(lost)));
  }

  // A second time it does nothing.
  void detach() {
    for (const Link& link : links) missed += missed_hits(bpf_link__fd(link.get()));
    links.clear();
    for (const auto& each : std::exchange(at_end, {})) each();
  }

  // Until something ends it; then nothing is seen any more.
  void run() {
    loop.run();
    signals->release();
    detach();
  }

  [[noreturn]] void print_plan();
  void describe();
  void begin(const Columns* columns);
  void end_when_due();
  void replay_name(std::string_view chunk, bool anew);
  void replay_first_names();
  void replay_records(const std::function<void(const kit_head&, bool late)>& each);
  void replay_reports(const std::function<void(std::uint64_t time, bool partial)>& report);
  void replay_list(const Columns& columns);
  void show_cells(const Columns& columns);
  int finish(bpf_object* object);
  int cut_off(bpf_object* object);
};

Session::Session(Options& options, int argc, char** argv) : state_(std::make_unique<State>(options)) {
  State& s = *state_;
  s.settings = options.parse(argc, argv);
  verbose = s.settings.verbose;
  use_types_of(s.settings.btf);
  // Not before a command is started: in a PID namespace a thread would have the number that is the command's.
  if (s.settings.replay.empty() && s.settings.command.empty()) KernelTypes::begin();
  libbpf_set_print(print_libbpf);
  check_filters(s.settings);
  bool reports = s.settings.interval || !s.settings.replay.empty();
  s.sink = make_sink(s.settings.output, s.settings.time, options.shape(), reports, s.out);
  signal(SIGPIPE, SIG_IGN);
}

Session::~Session() = default;

const std::string& Session::arch() const { return state_->header.start.arch; }
const Clock& Session::clock() const { return state_->header.start.clock; }
const Settings& Session::settings() const { return state_->settings; }
void Session::keep_quiet() { state_->sink = make_quiet_sink(); }

void Session::watch(int fd, std::function<void()> ready) { state_->loop.watch(fd, std::move(ready)); }

void Session::every_second(std::function<void()> look) {
  State& s = *state_;
  s.looks.push_back(std::move(look));
  if (s.second) return;
  s.second.emplace(s.loop, [&s] {
    for (const auto& each : s.looks) each();
  });
  s.second->every(look_every_ns);
}

std::string Session::way(std::string_view event) const {
  for (const Settled& one : state_->plan)
    if (one.event == event) return one.way;
  return {};
}

bool Session::takes(const std::string& event, const std::string& way) const {
  return state_->header.start.plan.find(cat("{\"event\":\"", event, "\",\"way\":\"", way, '"')) != std::string::npos;
}

std::string Session::name(const std::string& kind, std::uint64_t number,
                          const std::function<std::string()>& find) const {
  State& s = *state_;
  State::Name& known = s.names[{kind, number}];
  std::uint64_t now = boot_time();
  if (s.replay || (known.asked && now - known.asked < name_lasts_ns)) return known.text;
  known.asked = now;
  std::string text = find();
  if (text.empty() || text == known.text) return known.text;
  known.text = text;
  if (s.capture) s.capture->name(kind, number, text);
  return text;
}

namespace {

// A cell of a list as a capture keeps it.
struct KeptCell {
  std::uint32_t kind, unit;
  std::int64_t number;
  double decimal;
};

RawEntry keep_cell(const Cell& cell) {
  KeptCell kept{static_cast<std::uint32_t>(cell.kind), static_cast<std::uint32_t>(cell.unit), cell.number,
                cell.decimal};
  const auto* head = reinterpret_cast<const std::byte*>(&kept);
  const auto* text = reinterpret_cast<const std::byte*>(cell.text().data());
  return {{head, head + sizeof kept}, {text, text + cell.text().size()}};
}

Cell kept_cell(const RawEntry& entry) {
  KeptCell kept{};
  Cell cell;
  if (entry.key.size() == sizeof kept) std::memcpy(&kept, entry.key.data(), sizeof kept);
  if (entry.key.size() != sizeof kept || kept.kind > static_cast<std::uint32_t>(Cell::Kind::time) ||
      kept.unit > static_cast<std::uint32_t>(Unit::ms))
    throw Failure(Exit::failed, "the capture is damaged: it holds what is no cell");
  cell.kind = static_cast<Cell::Kind>(kept.kind);
  cell.unit = static_cast<Unit>(kept.unit);
  cell.number = kept.number;
  cell.decimal = kept.decimal;
  cell.own.assign(reinterpret_cast<const char*>(entry.values.data()), entry.values.size());
  return cell;
}

// Tells apart lists of other columns, or from when there were other kinds of cells: FNV-1a over the columns' keys.
std::uint64_t list_layout(const Columns& columns) {
  std::uint64_t hash = 0xcbf29ce484222325 + static_cast<std::uint64_t>(Cell::Kind::time);
  for (const Column& column : columns.columns())
    for (unsigned char byte : column.key + '\n') hash = (hash ^ byte) * 0x100000001b3;
  return hash;
}

// The layout prefix of a tool's own types: "opensnoop_".
std::string layout_prefix(const Options& options) { return options.name() + "_"; }

// The kernel may be told to keep its memory from root, too (kernel_lockdown(7)); "" where it is not.
std::string lockdown() {
  std::string modes = read_line("/sys/kernel/security/lockdown");
  return modes.find("[confidentiality]") == modes.npos ? "" : "the kernel is in lockdown (confidentiality): ";
}

[[noreturn]] void cannot_work(const std::vector<Settled>& plan) {
  bool denied = false;
  std::string message;
  for (const Settled& event : plan) {
    if (!event.way.empty()) continue;
    denied |= event.denied;
    message = cat(lockdown(), "cannot ", event.verb, " ", event.event, " on this kernel");
    for (const Refusal& refusal : event.refused) {
      message += cat(&refusal == event.refused.data() ? ": " : "; ", refusal.way, ": ", refusal.why);
    }
  }
  std::string missing = missing_capabilities();
  if (!missing.empty()) throw Failure(Exit::denied, cat("needs ", missing, ", or root"));
  throw Failure(denied ? Exit::denied : Exit::unsupported, message);
}

}  // namespace

void Session::settle(bpf_object* object, const AttachPlan& given) {
  State& s = *state_;
  if (!s.settings.replay.empty()) {
    s.replay = std::make_unique<CaptureReader>(s.settings.replay, s.options.name(),
                                               layout_hash(object, layout_prefix(s.options)));
    s.header = s.replay->header();
    s.replay_first_names();
    return;
  }
  require_types();
  AttachPlan plan = given;
  if (auto ways = plan.ways();
      !s.settings.attach.empty() && std::find(ways.begin(), ways.end(), s.settings.attach) == ways.end())
    throw Failure(Exit::usage,
                  cat("--attach ", s.settings.attach, ": there is no such way", suggestion(s.settings.attach, ways)));
  if (follows_tree(s.settings)) add_tree(object, plan);
  s.plan = plan.settle(*running_kernel(), s.settings.attach);
  Form form = form_of(s.plan);
  if (s.settings.explain) s.print_plan();
  if (form == Form::none) cannot_work(s.plan);
  // Not before a command is started, as above.
  if (in_programs(s.plan) && s.settings.command.empty()) begin_uprobes();
  for (const Settled& event : s.plan) {
    for (const Part& part : event.parts)
      if (part.program) bpf_program__set_autoload(part.program, true);
  }
  s.describe();
  s.header.layout = layout_hash(object, layout_prefix(s.options));
  s.header.options = s.options.given();
}

void Session::load(bpf_object* object, bpf_object_skeleton* skeleton) {
  State& s = *state_;
  if (s.replay) return;
  set_filters(object, s.settings);
  if (bpf_map* ring = bpf_object__find_map_by_name(object, "stream_ring")) {
    std::size_t asked = s.settings.buffer ? s.settings.buffer->bytes : default_buffer, size = round_buffer(asked);
    set_knob(object, "stream_part_bits", static_cast<std::uint32_t>(std::bit_width(size / 8) - 1));
    if (size != asked) s.say(cat("--buffer ", size_text(asked), " is rounded up to ", size_text(size)));
    bpf_map__set_max_entries(ring, static_cast<__u32>(size));
  }
  if (!s.settings.record.empty()) s.capture = std::make_unique<CaptureWriter>(s.settings.record, s.header);
  if (!s.settings.command.empty()) {
    s.command = std::make_unique<Command>(s.settings.command);
    if (in_programs(s.plan)) begin_uprobes();
  }
  if (int error = load_object(object, skeleton); error) {
    bool denied = error == -EPERM || error == -EACCES;
    std::string missing = missing_capabilities();
    if (denied && !missing.empty()) throw Failure(Exit::denied, cat("needs ", missing, ", or root"));
    if (denied && locks_memory())
      throw Failure(Exit::denied, "before Linux 5.11 this needs CAP_SYS_RESOURCE as well, or `ulimit -l unlimited`");
    throw Failure(Exit::unsupported,
                  cat(lockdown(), "this kernel does not load the BPF program: ", error_text(error), "; -v shows why"));
  }
  fill_stores(object);
  for (const Settled& event : s.plan)
    if (!event.misses.empty()) s.say(cat("lesser form: ", event.misses));
  // The tree's programs, last in the plan, are attached first: they decide who is in before the others ask.
  for (auto event = s.plan.rbegin(); event != s.plan.rend(); ++event) {
    for (const Part& part : event->parts)  // a tool attaches its own probes and samplers
      if (part.hook.kind != HookKind::uprobe && part.hook.kind != HookKind::sample &&
          part.hook.kind != HookKind::placed)
        s.links.push_back(attach(part.program, part.hook));
  }
  fill_filters(object, s.settings, s.command ? s.command->pid() : 0);
  malloc_trim(0);  // the kernel's types are no longer needed
}

// For --explain.
void Session::State::print_plan() {
  out.text() = settings.output == Output::json ? plan_json(plan) + "\n" : plan_text(plan);
  out.flush();
  throw Finished{form_of(plan) == Form::none ? Exit::unsupported : Exit::done};
}

// What the start line says of this machine and this run.
void Session::State::describe() {
  header.start = Start{.tool = options.name(),
                       .version = version(),
                       .kernel = kernel_release(),
                       .arch = machine(),
                       .clock = Clock::now(),
                       .filters = filters_json(settings),
                       .plan = plan_json(plan)};
}

void Session::say(const std::string& message) const { state_->say(message); }
void Session::keep(Link link) { state_->links.push_back(std::move(link)); }
void Session::count_skips(std::function<Count()> count) { state_->skips.push_back(std::move(count)); }
void Session::count_losses(const std::string& name, std::function<std::uint64_t()> count) {
  state_->more_losses[name] = std::move(count);
}
void Session::at_end(std::function<void()> what) { state_->at_end.push_back(std::move(what)); }
bool Session::replaying() const { return !state_->settings.replay.empty(); }

std::string Session::kept(const std::string& name, const std::function<std::string()>& find) {
  State& s = *state_;
  if (!s.replay) {
    std::string text = find();
    const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
    if (s.capture) s.capture->snapshot(name, {{.key = {}, .values = {bytes, bytes + text.size()}}});
    return text;
  }
  CaptureReader reader = *s.replay;
  CaptureReader::Chunk chunk;
  while (reader.next(chunk)) {
    if (chunk.kind != CaptureReader::Chunk::snapshot) continue;
    std::string map;
    std::vector<RawEntry> entries;
    CaptureReader::parse_snapshot(chunk.bytes, map, entries);
    if (map == name && !entries.empty())
      return {reinterpret_cast<const char*>(entries[0].values.data()), entries[0].values.size()};
  }
  throw Failure(Exit::failed, cat("the capture is damaged: it lacks ", name));
}

void Session::State::begin(const Columns* columns) {
  sink->start(header.start);
  if (columns) sink->table(*columns);
  out.flush();
}

// What ends a run: a signal, the time, the command's end, the end of the last process of --pid. Until now, signals have
// had their usual effect: there was nothing to be shown.
void Session::State::end_when_due() {
  signals = std::make_unique<Signals>(loop, [this](int signal) {
    if (command && signal != SIGINT) command->send(signal);
    loop.stop();
  });
  if (settings.duration) {
    auto timer = std::make_shared<std::optional<Timer>>();
    timer->emplace(loop, [this, timer] { loop.stop(); });
    (*timer)->once(settings.duration->ns);
  }
  if (command) {
    loop.watch(command->ended_fd(), [this] { loop.stop(); });
  }
  auto left = std::make_shared<std::vector<Fd>>();
  for (std::uint32_t pid : settings.pids) {
    Fd process = open_process(pid);
    if (!process) continue;
    loop.watch(process.get(), [this, left, fd = process.get()] {
      loop.forget(fd);
      std::erase_if(*left, [fd](const Fd& one) { return one.get() == fd; });
      if (left->empty()) loop.stop();
    });
    left->push_back(std::move(process));
  }
  if (settings.ready_fd >= 0 && write(settings.ready_fd, "\n", 1) != 1)
    throw Failure(Exit::failed, cat("cannot write to --ready-fd ", settings.ready_fd, ": ", error_text(errno)));
  if (command) command->go();
}

int Session::State::finish(bpf_object* object) {
  End end{.rows = rows, .late = late, .lost = losses(object), .command = command ? command->end() : replayed_command};
  if (capture) capture->end(end.lost, end.command);
  sink->end(end);
  out.flush();
  if (total(end.lost)) say(cat("lost: ", losses_text(end.lost), remedy(end.lost)));
  if (late) say(cat(late, " rows came after later ones were shown"));
  if (end.command && !replay) {
    if (end.command->signal)
      say(cat("the command was ended by ", signal_name(end.command->signal)));
    else if (end.command->exit)
      say(cat("the command exited with ", end.command->exit));
  }
  return static_cast<int>(settings.strict && total(end.lost) ? Exit::lost : Exit::done);
}

bool Session::show_row(const Columns& columns, const void* row) {
  State& s = *state_;
  if (s.full) return false;
  columns.cells(row, s.cells);
  if (s.listing && s.capture) {
    std::vector<RawEntry> kept;
    for (const Cell& cell : s.cells) kept.push_back(keep_cell(cell));
    s.capture->snapshot("row", kept);
  }
  s.show_cells(columns);
  constexpr std::size_t most = 65536;  // bytes of a long list
  if (s.listing && s.out.text().size() > most) s.out.flush();
  return true;
}

void Session::flush() { state_->out.flush(); }

void Session::State::show_cells(const Columns& columns) {
  sink->row(columns, cells, mark);
  rows++;
  late += mark.late;
  if (settings.count && rows == *settings.count) {
    full = true;
    if (capture) capture->name(rows_shown, rows, "all");
    loop.stop();
  }
}

namespace {

// Drains the ring by the loop's timers and gives the records on in order.
class RingReader {
 public:
  using Each = std::function<void(const kit_head&, bool late)>;

  RingReader(Loop& loop, bpf_object* object, int fd, std::size_t size, Each each, std::function<void()> drained,
             std::function<void()> looked)
      : ring_(fd, size),
        each_(std::move(each)),
        drained_(std::move(drained)),
        timer_(loop, [this] { tick(); }),
        fallback_(loop, [this, looked = std::move(looked)] {
          if (!std::exchange(came_, false)) ring_.rest();
          tick();
          looked();
        }) {
    armed_ = static_cast<volatile std::uint32_t*>(find_global(object, "stream_armed", 4));
    loop.watch(
        fd, [this] { woken(); }, true);
    // On processors that order memory weakly a wake-up can be missed; then the next look is a second away.
    fallback_.every(look_every_ns);
    tick();
  }

  // All that there is, in order.
  void finish() {
    while (drain()) {
    }
    reorder_.release(UINT64_MAX, each_);
    drained_();
  }

 private:
  static constexpr std::size_t shown_at_once = 2048, most_kept = 4;  // records; rings full of them

  std::size_t drain() {
    return ring_.drain([this](std::string_view record) { reorder_.add(record); });
  }

  // By the first record after a pause, or in a storm, which leaves no time to gather.
  void woken() {
    if (ring_.used() > ring_.size() / 8) return tick();
    if (!std::exchange(gathering_, true)) timer_.once(gather_ns);
  }

  void tick() {
    std::uint64_t now = boot_time();
    std::size_t bytes = drain();
    // Showing takes longer than taking: in a storm the ring is emptied again in between.
    while (reorder_.release(now - Reorder::window_ns, each_, shown_at_once))
      if (reorder_.size() < most_kept * ring_.size()) bytes += drain();
    drained_();
    came_ |= bytes > 0;
    gathering_ = bytes > 0;
    if (gathering_) return timer_.once(bytes > ring_.size() / 8 ? storm_gather_ns : gather_ns);
    *armed_ = 1;
    gathering_ = ring_.used() > 0;
    if (gathering_)
      timer_.once(gather_ns);
    else if (!reorder_.empty())
      timer_.once(std::max(reorder_.first() + Reorder::window_ns - now, 1 * ms));
  }

  Ring ring_;
  Reorder reorder_;
  Each each_;
  std::function<void()> drained_;
  Timer timer_, fallback_;
  volatile std::uint32_t* armed_;
  bool came_ = false;       // anything since the last look
  bool gathering_ = false;  // the timer is for what gathers
};

}  // namespace

int Session::stream(bpf_object* object, const Columns& columns, std::function<void(const kit_head&)> each,
                    std::function<void()> last) {
  State& s = *state_;
  s.begin(&columns);
  auto one = [&](const kit_head& head, bool late) {
    if (s.capture && !s.full) s.capture->record(head);
    s.mark.late = late;
    each(head);
  };
  try {
    if (s.replay) {
      s.replay_records(one);
    } else {
      bpf_map* ring = bpf_object__find_map_by_name(object, "stream_ring");
      RingReader reader(
          s.loop, object, bpf_map__fd(ring), bpf_map__max_entries(ring), one,
          [&s] {
            s.out.flush();
            if (s.capture) s.capture->flush();
          },
          [&] { s.say_losses(object); });
      s.end_when_due();
      s.run();
      reader.finish();
    }
    s.mark.late = false;
    if (last) last();
    return s.finish(object);
  } catch (const Finished&) {
    return s.cut_off(object);
  }
}

bool Session::lists() const {
  const Settings& settings = state_->settings;
  if (settings.explain) state_->print_plan();
  if (!settings.attach.empty())
    throw Failure(Exit::usage, cat("--attach ", settings.attach, ": there is no such way, as nothing is attached to"));
  if (!settings.command.empty())
    throw Failure(Exit::usage, "unexpected -- COMMAND: this tool lists and traces nothing");
  return settings.replay.empty();
}

int Session::list(const Columns& columns, const std::function<void()>& each) {
  State& s = *state_;
  s.mark = {};
  if (!lists()) {
    s.replay = std::make_unique<CaptureReader>(s.settings.replay, s.options.name(), list_layout(columns));
    s.header = s.replay->header();
    s.begin(&columns);
    s.replay_list(columns);
    return s.finish(nullptr);
  }
  s.describe();
  s.header.layout = list_layout(columns);
  s.header.options = s.options.given();
  if (!s.settings.record.empty()) s.capture = std::make_unique<CaptureWriter>(s.settings.record, s.header);
  s.listing = true;
  s.begin(&columns);
  if (s.settings.ready_fd >= 0 && write(s.settings.ready_fd, "\n", 1) != 1)
    throw Failure(Exit::failed, cat("cannot write to --ready-fd ", s.settings.ready_fd, ": ", error_text(errno)));
  try {
    each();
    return s.finish(nullptr);
  } catch (const Finished&) {
    return s.cut_off(nullptr);
  }
}

// The rows of a list are kept as their cells.
void Session::State::replay_list(const Columns& columns) {
  CaptureReader::Chunk chunk;
  bool whole = false;
  while (replay->next(chunk)) {
    if (chunk.kind == CaptureReader::Chunk::end) {
      CaptureReader::parse_end(chunk.bytes, replayed_lost, replayed_command);
      whole = true;
    }
    if (chunk.kind != CaptureReader::Chunk::snapshot || full) continue;
    std::string map;
    std::vector<RawEntry> entries;
    CaptureReader::parse_snapshot(chunk.bytes, map, entries);
    if (entries.size() != columns.columns().size())
      throw Failure(Exit::failed, "the capture is damaged: a row has another number of cells");
    cells.clear();
    for (const RawEntry& entry : entries) cells.push_back(kept_cell(entry));
    show_cells(columns);
  }
  if (!whole) say("the capture has no end: its recording was cut short");
}

int Session::reports(bpf_object* object, std::function<void(Report&)> each) {
  State& s = *state_;
  s.begin(nullptr);
  std::uint64_t number = 0, last = boot_time();
  auto report = [&](std::uint64_t time, bool partial, bool ends = false) {
    s.mark = {.interval = ++number, .partial = partial, .late = false};
    s.sink->report(number, time, partial);
    Report one(s, object);
    bool full = s.settings.interval && s.settings.count && number == *s.settings.count;
    one.last_ = ends || (full && !s.replay);
    if (one.last_) s.detach();  // what it tells of no longer changes
    each(one);
    if (s.capture) s.capture->report(time, partial);
    s.out.flush();
    s.say_losses(object);
    last = time;
    if (full) s.loop.stop(), s.full = true;
  };
  try {
    if (s.replay) {
      s.replay_reports(report);
      return s.finish(object);
    }
    std::uint64_t interval = s.settings.interval ? s.settings.interval->ns : 0, begin = last;
    Timer timer(s.loop, [&] {
      std::uint64_t now = boot_time();
      // The end of --duration is about to make the report that is due now.
      if (s.settings.duration && begin + s.settings.duration->ns < now + interval / 20) return;
      report(now, false);
    });
    if (interval) timer.every(interval);
    s.end_when_due();
    s.run();
    std::uint64_t now = boot_time();
    if (!s.full) report(now, interval && now - last < interval - interval / 20, true);
    return s.finish(object);
  } catch (const Finished&) {
    return s.cut_off(object);
  }
}

void Session::State::replay_name(std::string_view chunk, bool anew) {
  std::string kind, text;
  std::uint64_t number = 0;
  CaptureReader::parse_name(chunk, kind, number, text);
  if (kind == rows_shown) settings.count = std::min(number, settings.count.value_or(number));
  Name& known = names[{kind, number}];
  if (anew || known.text.empty()) known.text = text;
}

// A name is found when a row asks for it, and so stands behind the record: the first of each number is read before all.
void Session::State::replay_first_names() {
  CaptureReader::Chunk chunk;
  while (replay->next(chunk))
    if (chunk.kind == CaptureReader::Chunk::name) replay_name(chunk.bytes, false);
  replay->rewind();
}

void Session::State::replay_records(const std::function<void(const kit_head&, bool late)>& each) {
  CaptureReader::Chunk chunk;
  std::string aligned;
  std::uint64_t previous = 0;
  bool whole = false;
  while (replay->next(chunk)) {
    if (chunk.kind == CaptureReader::Chunk::end) {
      CaptureReader::parse_end(chunk.bytes, replayed_lost, replayed_command);
      whole = true;
    }
    if (chunk.kind == CaptureReader::Chunk::name) replay_name(chunk.bytes, true);
    if (chunk.kind != CaptureReader::Chunk::record || full) continue;
    Reorder one;  // checks that the record is one
    if (!one.add(chunk.bytes)) throw Failure(Exit::failed, "the capture is damaged: a record is too short");
    one.release(UINT64_MAX, [&](const kit_head& head, bool) {
      each(head, head.time < previous);
      previous = std::max<std::uint64_t>(previous, head.time);
    });
  }
  if (!whole) say("the capture has no end: its recording was cut short");
}

void Session::State::replay_reports(const std::function<void(std::uint64_t time, bool partial)>& report) {
  CaptureReader::Chunk chunk;
  bool whole = false;
  while (replay->next(chunk)) {
    std::string map;
    std::vector<RawEntry> entries;
    std::uint64_t time = 0;
    bool partial = false;
    if (chunk.kind == CaptureReader::Chunk::snapshot) {
      CaptureReader::parse_snapshot(chunk.bytes, map, entries);
      snapshots[map] = std::move(entries);
    } else if (chunk.kind == CaptureReader::Chunk::report) {
      CaptureReader::parse_report(chunk.bytes, time, partial);
      if (!full) report(time, partial);
    } else if (chunk.kind == CaptureReader::Chunk::name) {
      replay_name(chunk.bytes, true);
    } else if (chunk.kind == CaptureReader::Chunk::end) {
      CaptureReader::parse_end(chunk.bytes, replayed_lost, replayed_command);
      whole = true;
    }
  }
  if (!whole) say("the capture has no end: its recording was cut short");
}

// The reader of our output has gone: no summary can be written, but a capture is closed and losses still count.
int Session::State::cut_off(bpf_object* object) {
  detach();
  Losses lost = losses(object);
  if (capture) capture->end(lost, command ? command->end() : std::nullopt);
  return static_cast<int>(settings.strict && total(lost) ? Exit::lost : Exit::done);
}

namespace {

// The map's entries, from what a run keeps of it, made at the first report; or those that were recorded.
template <typename State, typename Kept, typename... Made>
std::vector<RawEntry> take_entries(State& state, Kept& kept, const char* map, Made... made) {
  if (state.replay) return std::exchange(state.snapshots[map], {});
  auto found = kept.find(map);
  if (found == kept.end()) found = kept.try_emplace(map, made...).first;
  std::vector<RawEntry> entries = found->second.take();
  if (state.capture) state.capture->snapshot(map, entries);
  return entries;
}

}  // namespace

std::vector<RawEntry> Report::take_swapped(const char* map) {
  return take_entries(state_, state_.swapped, map, object_, map);
}

std::vector<RawEntry> Report::take_added(const char* map, std::size_t width) {
  return take_entries(state_, state_.growing, map, object_, map, width);
}

std::vector<RawEntry> Report::found_out(const char* name, const std::function<std::vector<RawEntry>()>& find) {
  if (state_.replay) return std::exchange(state_.snapshots[name], {});
  std::vector<RawEntry> entries = find();
  if (state_.capture) state_.capture->snapshot(name, entries);
  return entries;
}

void Report::tally(const Tally& tally) { state_.sink->tally(tally, state_.mark); }
bool Report::replaying() const { return state_.replay != nullptr; }

void Report::table(const Columns& columns) { state_.sink->table(columns); }

void Report::show_row(const Columns& columns, const void* row) {
  columns.cells(row, state_.cells);
  state_.sink->row(columns, state_.cells, state_.mark);
  state_.rows++;
}

namespace {

// What a program kept as the largest value: of equal buckets so that it has the order of numbers with a sign.
std::optional<std::uint64_t> largest(const kit_histogram& kept, const Slots& slots) {
  if (!slots.count()) return {};
  if (!slots.equal()) return std::max<std::uint64_t>(kept.max, slots.largest_first());
  return kept.max == UINT64_MAX ? std::nullopt : std::optional(kept.max ^ std::uint64_t{1} << 63);
}

}  // namespace

void Report::histogram(const std::string& name, const std::string& unit, Histogram::Key key, const kit_histogram& kept,
                       const std::optional<EqualBuckets>& equal) {
  Slots slots(equal);
  slots.add(kept);
  auto max = largest(kept, slots);
  bool known = !equal || max;
  histogram({.name = name,
             .unit = unit,
             .key = std::move(key),
             .slots = slots,
             .sum = known ? std::optional(kept.sum) : std::nullopt,
             .max = max});
}

void Report::histogram(const Histogram& histogram) {
  state_.sink->histogram(histogram, state_.mark);
  state_.rows++;
}

}  // namespace kit
