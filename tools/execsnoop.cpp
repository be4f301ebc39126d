// SPDX-License-Identifier: BSD-2-Clause
// execsnoop: which programs are started, by whom, with which arguments, and how they end.
#include "execsnoop.h"

#include "execsnoop.skel.h"
#include "kit/names.hpp"
#include "kit/session.hpp"
#include "kit/stream.hpp"
#include "kit/text.hpp"
#include "kit/timeline.hpp"

namespace {

using Record = execsnoop_record;
constexpr kit::Unit ms = kit::Unit::ms;
constexpr std::uint32_t not_whole = EXECSNOOP_CUT_ARGS | EXECSNOOP_UNREADABLE;

struct Knobs {
  bool all = false, failed = false, cwd = false, exit = false;
  kit::Number ancestors{.most = EXECSNOOP_ANCESTORS};
  kit::Size max_args{.bytes = 4096, .most = 128 * 1024};
};

// An exec, and its end where that was waited for and seen.
struct Row {
  kit_head head;
  const Record* exec;
  const execsnoop_exit* end;
};

kit::Cell cwd(const Row& row) {
  if (!(row.exec->notes & EXECSNOOP_HAS_CWD)) return kit::Cell::unknown();
  std::string_view path = kit::tail(*row.exec).substr(0, row.exec->cwd_size);
  return kit::Cell::owned(kit::cat(row.exec->notes & EXECSNOOP_CUT_CWD ? "…" : "", path.empty() ? "/" : path));
}

// "bash(812) < sshd(800)", the parent first.
kit::Cell ancestors(const Row& row) {
  if (row.exec->ancestors == 0) return kit::Cell::unknown();
  std::string text;
  for (std::uint32_t i = 0; i < row.exec->ancestors && i < EXECSNOOP_ANCESTORS; i++) {
    const execsnoop_ancestor& one = row.exec->ancestor[i];
    std::string pid = one.pid == KIT_NO_PID ? "?" : kit::cat(one.pid);
    text += kit::cat(i ? " < " : "", kit::comm_text(one.comm), '(', pid, ')');
  }
  return kit::Cell::owned(text);
}

kit::Cell no_end(const Row& row) { return row.exec->result < 0 ? kit::Cell::none() : kit::Cell::unknown(); }
kit::Cell ending(const Row& row) {
  return row.end ? kit::Cell::owned(kit::wait_status_text(static_cast<int>(row.end->status))) : no_end(row);
}

kit::Table<Row> make_table(const Knobs& knobs) {
  kit::Table<Row> table;
  table.time()
      .column("PID", "pid", -7, "the process", [](const Row& r) { return kit::to_cell(r.exec->pid); })
      .column("PPID", "ppid", -7, "its parent", [](const Row& r) { return kit::to_cell(r.exec->ppid); })
      .column("UID", "uid", -6, "its user", [](const Row& r) { return kit::to_cell(r.exec->uid); })
      .column("ERR", "error", 8, "why it failed; none if it did not",
              [](const Row& r) { return kit::Cell::error(-r.exec->result); })
      .column("EXIT", "exit", 8, "with --exit: its exit status or the signal that ended it", ending)
      .column("RAN(ms)", "ran_ns", -10, "with --exit: how long it ran",
              [](const Row& r) { return r.end ? kit::Cell::duration(r.end->head.time - r.head.time, ms) : no_end(r); })
      .only_with(knobs.exit, 2)
      .column("COMM", "comm", 16, "its name, the new one after a success",
              [](const Row& r) { return kit::to_cell(r.exec->comm); })
      .column("CWD", "cwd", 20, "with --cwd: its working directory", cwd)
      .only_with(knobs.cwd)
      .column("ANCESTORS", "ancestors", 30, "with --ancestors: its parent, the parent's parent and so on", ancestors)
      .only_with(knobs.ancestors)
      .column("WHOLE", "args_whole", 5, "whether all arguments are there",
              [](const Row& r) { return kit::Cell::boolean(!(r.exec->notes & not_whole)); })
      .column("ARGS", "args", 0, "its arguments, quoted for a shell; a list in JSON",
              [](const Row& r) { return kit::Cell::words(kit::tail(*r.exec).substr(r.exec->cwd_size)); });
  return table;
}

void declare(kit::Options& options, Knobs& knobs) {
  options.flag('a', "all", knobs.all, "failed ones, too")
      .flag('x', "failed", knobs.failed, "only failed ones")
      .option(0, "max-args", "SIZE", knobs.max_args, "bytes of arguments shown of each (4K, up to 128K)")
      .flag(0, "cwd", knobs.cwd, "the working directory, too")
      .option(0, "ancestors", "N", knobs.ancestors, "its ancestors, too, up to 16")
      .flag(0, "exit", knobs.exit, "show each when it has ended, with how and after how long")
      .details(
          "Shows execve and execveat of any thread. A program's arguments are read from its own memory, those of a "
          "call "
          "that failed from the caller's (512 arguments, 4 KiB at most). With --exit a row comes when the program has "
          "ended or become another; what still runs at the end is shown then, with ? for what is not known.")
      .example("execsnoop -- make", "what a build runs")
      .example("execsnoop --exit --perfetto build.perfetto-trace -- make", "how that ends, and as a time line")
      .example("execsnoop -x", "programs that cannot be started, and why");
}

kit::AttachPlan make_plan(const Knobs& knobs, execsnoop_bpf& bpf) {
  auto& p = bpf.progs;
  const char* missed = "failed execs by 32-bit programs are not seen";
  kit::AttachPlan plan;
  if (!knobs.failed) plan.event("exec").way("btf", {p.exec_btf}).way("raw", {p.exec_raw});
  if (knobs.exit) plan.event("exit").way("btf", {p.process_exit_btf}).way("raw", {p.process_exit_raw});
  if (!knobs.all && !knobs.failed) return plan;
  plan.event("failed exec")
      .way("tracepoints", {p.exit_tracepoint}, {{p.exit_tracepoint, "tp/syscalls/sys_exit_execveat"}})
      .misses(missed)
      .way("btf", {p.any_exit_btf})
      .misses(missed)
      .way("raw", {p.any_exit_raw})
      .misses(missed);
  return plan;
}

}  // namespace

int tool(int argc, char** argv) {
  Knobs knobs;
  auto table = make_table(knobs);
  kit::Options options(kit::Shape::stream, "execsnoop", "Show programs as they are started.");
  declare(options, knobs);
  kit::Timelines timelines(options, "processes");
  kit::Session session(options.shows(table), argc, argv);
  timelines.begin(session, knobs.exit ? "" : "--exit");

  kit::Skeleton<execsnoop_bpf> bpf;
  bpf->rodata->max_args = static_cast<unsigned>(knobs.max_args.bytes);
  bpf->rodata->ancestors = knobs.ancestors.value;
  bpf->rodata->with_exit = knobs.exit;
  bpf->rodata->cwd_room = knobs.cwd ? 4096 : 0;
  session.settle(bpf, make_plan(knobs, *bpf.operator->()));
  session.load(bpf);

  kit::Pending<Record> running;
  auto show = [&](const Record& exec, const execsnoop_exit* end) {
    Row row{exec.head, &exec, end};
    if (session.row(table, row) && exec.result >= 0)
      timelines.process(exec.pid, kit::comm_text(exec.comm), exec.head.time, end ? end->head.time : 0, table, row);
  };
  auto each = [&](const kit_head& head) {
    if (head.kind == EXECSNOOP_EXIT) {
      const auto& end = kit::record_as<execsnoop_exit>(head);
      return running.take(end.pid, [&](const Record& of) { show(of, &end); });
    }
    const auto& exec = kit::record_as<Record>(head);
    if (!knobs.exit || exec.result < 0) return show(exec, nullptr);
    running.take(exec.pid, [&](const Record& before) { show(before, nullptr); });  // it has become another
    running.put(exec.pid, exec);
  };
  auto last = [&] { running.take_all([&](const Record& exec) { show(exec, nullptr); }); };
  return timelines.write(session, session.stream(bpf, table, each, last));
}
