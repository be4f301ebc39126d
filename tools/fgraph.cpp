// SPDX-License-Identifier: BSD-2-Clause
// fgraph: which function calls which, nested, and how long each takes.
#include "fgraph.h"

#include "fgraph.skel.h"
#include "kit/calls.hpp"
#include "kit/text.hpp"
#include "kit/traced.hpp"

namespace {

using Record = fgraph_record;
using kit::Cell;

struct Knobs {
  kit::TracedWanted wanted;
  kit::Number depth{.value = 0, .most = FGRAPH_MOST_DEPTH};
  kit::Duration min;
};

// Where a call begins, where it ends, or all of it if no other is shown within it.
struct Row {
  const kit::CallThread& thread;
  const kit::Call& call;
  const kit::TracedFunction& function;
  std::size_t depth;
  const char* event;

  bool enters() const { return event[0] == 'e'; }
  std::string text() const {
    std::string indent(2 * depth, ' ');
    if (enters()) return kit::cat(indent, function.name, "() {");
    std::string_view end = kit::call_end_name(call.how);
    std::string mark = end.empty() ? "" : kit::cat(" /* ", end, " */");
    if (event == std::string_view("call")) return kit::cat(indent, function.name, "();", mark);
    return kit::cat(indent, "} /* ", function.name, " */", mark);
  }
};

kit::Table<Row> make_table() {
  kit::Table<Row> table;
  table
      .column("TIME", "time", 12, "when that was",
              [](const Row& r) { return Cell::time(r.enters() ? r.call.begin : r.call.end); })
      .not_in_text()
      .column("DURATION(us)", "duration_ns", -12, "from the call to its return; not known of calls that were cut",
              [](const Row& r) {
                if (r.enters()) return Cell::none();
                return is_timed(r.call.how) ? Cell::duration(r.call.end - r.call.begin, kit::Unit::us)
                                            : Cell::unknown();
              })
      .column("PID", "pid", -7, "the process", [](const Row& r) { return kit::to_cell(r.thread.pid); })
      .not_in_text()
      .column("TID", "tid", -7, "its thread", [](const Row& r) { return kit::to_cell(r.thread.tid); })
      .column("COMM", "comm", 16, "the thread's name", [](const Row& r) { return Cell::borrowed(r.thread.comm); })
      .column("EVENT", "event", 5, "enter, leave, or call: both, where nothing is shown within",
              [](const Row& r) { return Cell::borrowed(r.event); })
      .column("DEPTH", "depth", -5, "how many calls it is in", [](const Row& r) { return Cell::count(r.depth); })
      .column("FUNCTION", "function", 24, "the function", [](const Row& r) { return Cell::borrowed(r.function.name); })
      .column("MODULE", "module", 16, "its file", [](const Row& r) { return Cell::borrowed(r.function.module); })
      .column("END", "end", 7, "how it ended if it did not return: jumped, exec, exit, cut, lost, running",
              [](const Row& r) {
                std::string_view end = r.enters() ? "" : kit::call_end_name(r.call.how);
                return end.empty() ? Cell::none() : Cell::borrowed(end);
              })
      .not_in_text(6)
      .column("CALL", "call", 0, "the same for people", [](const Row& r) { return Cell::owned(r.text()); });
  return table;
}

void declare(kit::Options& options, Knobs& knobs) {
  auto globs = [](std::vector<std::string>& to) {
    return [&to](std::string_view text) -> std::string {
      for (std::string_view glob : kit::split(text, ',')) to.emplace_back(glob);
      return text.empty() ? "expects a name or glob" : "";
    };
  };
  options.add(0, "func", "GLOB,...", "only functions whose names match", globs(knobs.wanted.functions))
      .add(0, "lib", "GLOB,...", "all functions of these libraries, too, whoever calls them",
           globs(knobs.wanted.libraries))
      .option(0, "depth", "N", knobs.depth, "only calls that lie in fewer than N others, 64 at most")
      .option(0, "min", "DURATION", knobs.min, "only calls that took at least so long, like 10us")
      .flag(0, "force-uretprobe", knobs.wanted.force,
            "probe returns that may harm the program: of C++ that throws, and of Go")
      .details(
          "Shows the functions of a program, as its symbols tell of them, and the functions of libraries that it "
          "calls. "
          "A line is a call with its duration; where others lie within it is two, one where it begins and one, with "
          "the "
          "duration, where it ends. Threads and children are followed; what they execute, as far as it is the same "
          "program.")
      .details(
          "Where a function returns is known by its instructions; the program runs as without the trace. Functions "
          "where that cannot be told are probed by uretprobes, or left out and named where these may harm: of programs "
          "that throw exceptions, for one. Calls that began before the trace are not shown.")
      .details(
          "A call that ends otherwise is marked: jumped, to a function that returned in its stead; cut, by longjmp or "
          "an "
          "exception; exit and exec, with its thread or program; running, when the trace ended; lost, where records "
          "were. Of cut, lost and running nobody knows the duration.")
      .example("fgraph -- ./hello", "a program from its first call to its last")
      .example("fgraph --func 'parse_*' --min 1ms -p 1234", "slow calls of some functions of a process")
      .example("fgraph --lib 'libz*' --depth 3 -- ./pack", "with all that a library does");
}

kit::CallEvent event_of(const Record& record) {
  using Kind = kit::CallEvent::Kind;
  constexpr Kind kinds[] = {Kind::enter, Kind::leave, Kind::jump, Kind::exec, Kind::exit};
  if (record.head.kind >= std::size(kinds)) throw kit::Failure(kit::Exit::failed, "the capture is damaged");
  return {kinds[record.head.kind], record.head.time, record.pid,    record.tid,     record.number,
          record.function,         record.frame,     record.caller, record.address, kit::comm_text(record.comm)};
}

}  // namespace

int tool(int argc, char** argv) {
  Knobs knobs;
  auto table = make_table();
  kit::Options options(kit::Shape::stream, "fgraph", "Show which function calls which, and how long each takes.");
  declare(options, knobs);
  kit::Session session(options.shows(table), argc, argv);
  kit::TracedFunctions functions(session, knobs.wanted);

  kit::Skeleton<fgraph_bpf> bpf;
  bpf->rodata->calls_of_program = knobs.wanted.libraries.empty();
  bpf->rodata->most_depth = knobs.depth.value;
  kit::AttachPlan plan;
  functions.plan(plan, bpf.object());
  plan.event("ends of threads").way("raw", {bpf->progs.exit_raw, bpf->progs.exec_raw});
  session.settle(bpf, plan);
  session.load(bpf);
  functions.attach(bpf.object());

  auto show = [&](const kit::CallThread& thread, const kit::Call& call, std::size_t depth, const char* event) {
    if (const auto* function = functions.function(call.function))
      session.row(table, Row{thread, call, *function, depth, event});
  };
  kit::Calls calls([&](std::uint32_t number) { return functions.size(number); },
                   [&](kit::CallThread& thread, const kit::Call& call) {
                     if (!call.shown && call.end - call.begin < knobs.min.ns) return;
                     for (std::size_t i = 0; i < thread.open.size(); i++)
                       if (!std::exchange(thread.open[i].shown, true)) show(thread, thread.open[i], i, "enter");
                     show(thread, call, thread.open.size(), call.shown ? "leave" : "call");
                   });
  return session.stream(
      bpf, table, [&](const kit_head& head) { calls.take(event_of(kit::record_as<Record>(head))); },
      [&] { calls.end(); });
}
