// SPDX-License-Identifier: BSD-2-Clause
// fgraph: which function calls which, nested, and how long each takes.
#include "fgraph.h"

#include "fgraph.skel.h"
#include "kit/call_view.hpp"
#include "kit/text.hpp"
#include "kit/traced.hpp"

namespace {

struct Knobs {
  kit::TracedWanted wanted;
  kit::Number kernel_depth{.value = 0, .most = FGRAPH_MOST_DEPTH};
  kit::Number depth{.value = 0, .most = FGRAPH_MOST_DEPTH};
  kit::Size string_size{.bytes = 0, .most = FETCH_STRING_MAX};
};

constexpr std::uint32_t usual_string = 64;

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
      .option('K', "kernel-depth", "N", knobs.kernel_depth,
              "system calls, too, and beneath them the kernel's functions down to depth N")
      .add(0, "kernel", "GLOB,...",
           "these functions of the kernel, of all processes unless -p or -- COMMAND says whose",
           globs(knobs.wanted.kernel))
      .option(0, "depth", "N", knobs.depth, "only calls that lie in fewer than N others, 64 at most")
      .flag(0, "argument", knobs.wanted.values,
            "what functions are given and return, too, where debug information or the C library's own headers tell")
      .option(0, "string", "SIZE", knobs.string_size,
              "of --argument: bytes of a string that are read, its end included, as a power of two (64)")
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
          "With --argument the parameters' names and values stand in a call's parentheses, and behind them, or behind "
          "the "
          "brace that ends it, what it returned. Text is read when the call begins, or ends. Left out is what is not "
          "known: floating-point numbers, structures that are handed over by value, all of functions that neither "
          "debug "
          "information tells of nor are among the C library's best known, and what stands behind the first 12.")
      .details(
          "A call that ends otherwise is marked: jumped, to a function that returned in its stead; cut, by longjmp or "
          "an "
          "exception; exit and exec, with its thread or program; running, when the trace ended; lost, where records "
          "were. Of cut, lost and running nobody knows the duration.")
      .example("fgraph -- ./hello", "a program from its first call to its last")
      .example("fgraph -K 5 -- ./hello", "with its system calls, and what the kernel does in them")
      .example("fgraph --argument -- ./hello", "with what each function is given and returns")
      .example("fgraph --kernel 'vfs_*' --comm dd", "some functions of the kernel, of one kind of program")
      .example("fgraph --func 'parse_*' --min 1ms -p 1234", "slow calls of some functions of a process")
      .example("fgraph --report -- ./hello", "how often each function is called, and what it takes")
      .example("fgraph --chrome trace.json --flame calls.svg -p 1234 -d 10", "files for viewers, of ten seconds")
      .example("fgraph --lib 'libz*' --depth 3 -- ./pack", "with all that a library does");
}

kit::CallEvent event_of(const kit_head& head) {
  using Kind = kit::CallEvent::Kind;
  constexpr Kind kinds[] = {Kind::enter, Kind::leave, Kind::jump, Kind::exec, Kind::exit};
  if (head.kind >= std::size(kinds)) throw kit::Failure(kit::Exit::failed, "the capture is damaged");
  bool valued = head.fixed == sizeof(fgraph_valued);
  const auto& record = valued ? kit::record_as<fgraph_valued>(head).call : kit::record_as<fgraph_record>(head);
  kit::CallEvent event{kinds[head.kind], head.time,    record.pid,    record.tid,     record.number,
                       record.function,  record.frame, record.caller, record.address, kit::comm_text(record.comm)};
  if (valued) {
    const auto& fetched = kit::record_as<fgraph_valued>(head).fetched;
    event.values = {reinterpret_cast<const char*>(&fetched), sizeof fetched + head.tail_size};
  }
  return event;
}

// What goes with --argument.
void settle_values(Knobs& knobs, const kit::CallView& view) {
  bool asked = knobs.wanted.values, sized = knobs.string_size.bytes > 0;
  if (sized && !asked) throw kit::Failure(kit::Exit::usage, "--string goes with --argument");
  if (asked && !view.shows_calls())
    throw kit::Failure(kit::Exit::usage, "--argument tells of single calls, and --report and --graph show none");
  knobs.wanted.string_size = sized ? static_cast<std::uint32_t>(knobs.string_size.bytes) : usual_string;
}

}  // namespace

int tool(int argc, char** argv) {
  Knobs knobs;
  kit::Options options(kit::Shape::stream, "fgraph", "Show which function calls which, and how long each takes.");
  declare(options, knobs);
  kit::CallView view(options);
  kit::Session session(options.shows(view.table()), argc, argv);
  view.begin(session);
  settle_values(knobs, view);
  knobs.wanted.calls = knobs.kernel_depth.value;
  kit::TracedFunctions functions(session, knobs.wanted);

  kit::Skeleton<fgraph_bpf> bpf;
  bpf->rodata->calls_of_program = knobs.wanted.libraries.empty();
  bpf->rodata->most_depth = knobs.depth.value;
  bpf->rodata->kernel_depth = knobs.kernel_depth.value;
  kit::AttachPlan plan;
  functions.plan(plan, bpf.object());
  plan.event("ends of threads").way("raw", {bpf->progs.exit_raw, bpf->progs.exec_raw});
  if (knobs.kernel_depth) plan.event("system calls").way("raw", {bpf->progs.enter_syscall, bpf->progs.exit_syscall});
  session.settle(bpf, plan);
  session.load(bpf);
  functions.attach(bpf.object());
  return view.run(session, bpf, functions, event_of);
}
