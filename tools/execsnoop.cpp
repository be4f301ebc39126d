// SPDX-License-Identifier: BSD-2-Clause
// execsnoop: which programs are started, by whom, with which arguments, and how they end.
#include "execsnoop.h"

#include <sys/wait.h>

#include <map>

#include "execsnoop.skel.h"
#include "kit/names.hpp"
#include "kit/session.hpp"
#include "kit/text.hpp"

namespace {

using Record = execsnoop_record;
constexpr std::uint64_t max_args_size = 128 * 1024;

struct Knobs {
  bool all = false, failed = false, cwd = false, exit = false, with_ancestors = false;
  std::uint32_t ancestors = 0;
  kit::Size max_args{4096};
};

// An exec, and its end where that was waited for and seen.
struct Row {
  kit_head head;
  const Record* exec;
  const execsnoop_exit* end;
};

kit::Cell args(const Row& row) {
  return kit::Cell::words(kit::tail(*row.exec).substr(row.exec->cwd_size));
}

// The text alone cannot tell a missing end from none, so it is said in a column of its own.
kit::Cell args_whole(const Row& row) {
  return kit::Cell::boolean(!(row.exec->notes & (EXECSNOOP_CUT_ARGS | EXECSNOOP_UNREADABLE)));
}

kit::Cell cwd(const Row& row) {
  if (!(row.exec->notes & EXECSNOOP_HAS_CWD)) return kit::Cell::unknown();
  std::string path = row.exec->notes & EXECSNOOP_CUT_CWD ? "…" : "";
  path += kit::tail(*row.exec).substr(0, row.exec->cwd_size);
  return kit::Cell::owned(path.empty() ? "/" : path);
}

// "bash(812) < sshd(800)", the parent first.
kit::Cell ancestors(const Row& row) {
  if (row.exec->ancestors == 0) return kit::Cell::unknown();
  std::string text;
  for (std::uint32_t i = 0; i < row.exec->ancestors && i < EXECSNOOP_ANCESTORS; i++) {
    const execsnoop_ancestor& one = row.exec->ancestor[i];
    text += kit::cat(i ? " < " : "", std::string_view(one.comm, strnlen(one.comm, KIT_COMM_SIZE)), '(');
    text += one.pid == KIT_NO_PID ? "?)" : kit::cat(one.pid, ')');
  }
  return kit::Cell::owned(text);
}

// "0", "1", "SIGSEGV"; unknown while it runs.
kit::Cell ending(const Row& row) {
  if (row.exec->result < 0) return kit::Cell::none();
  if (!row.end) return kit::Cell::unknown();
  int status = static_cast<int>(row.end->status);
  return kit::Cell::owned(WIFSIGNALED(status) ? kit::signal_name(WTERMSIG(status)) : kit::cat(WEXITSTATUS(status)));
}

kit::Cell ran(const Row& row) {
  if (row.exec->result < 0) return kit::Cell::none();
  return row.end ? kit::Cell::duration(row.end->head.time - row.exec->head.time, kit::Unit::ms) : kit::Cell::unknown();
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
      .only_with(knobs.exit)
      .column("RAN(ms)", "ran_ns", -10, "with --exit: how long it ran", ran)
      .only_with(knobs.exit)
      .column("COMM", "comm", 16, "its name, the new one after a success", [](const Row& r) { return kit::to_cell(r.exec->comm); })
      .column("CWD", "cwd", 20, "with --cwd: its working directory", cwd)
      .only_with(knobs.cwd)
      .column("ANCESTORS", "ancestors", 30, "with --ancestors: its parent, the parent's parent and so on", ancestors)
      .only_with(knobs.with_ancestors)
      .column("WHOLE", "args_whole", 5, "whether all arguments are there", args_whole)
      .column("ARGS", "args", 0, "its arguments, quoted for a shell; a list in JSON", args);
  return table;
}

void declare(kit::Options& options, Knobs& knobs) {
  options.flag('a', "all", knobs.all, "failed ones, too")
      .flag('x', "failed", knobs.failed, "only failed ones")
      .add(0, "max-args", "SIZE", "bytes of arguments shown of each (4K, up to 128K)",
           [&knobs](std::string_view text) -> std::string {
             std::string wrong = kit::parse_value(text, knobs.max_args);
             return knobs.max_args.bytes > max_args_size ? "at most 128K" : wrong;
           })
      .flag(0, "cwd", knobs.cwd, "the working directory, too")
      .add(0, "ancestors", "N", "its ancestors, too, up to 16",
           [&knobs](std::string_view text) -> std::string {
             std::string wrong = kit::parse_value(text, knobs.ancestors);
             knobs.with_ancestors = knobs.ancestors > 0;
             return knobs.ancestors > EXECSNOOP_ANCESTORS || !knobs.with_ancestors ? "expects 1 to 16" : wrong;
           })
      .flag(0, "exit", knobs.exit, "show each when it has ended, with how and after how long")
      .details("Shows execve and execveat, from any thread: a row for each program that was started. Its arguments are "
               "read from the new program's own memory; those of a call that failed from the caller's (512 arguments, "
               "4 KiB at most).")
      .details("With --exit a row comes when the program has ended or has become another; those that still run at the "
               "end of the trace are shown then, with ? for what is not known.")
      .example("execsnoop -- make", "what a build runs")
      .example("execsnoop --exit -u www-data", "what a web server runs, and how that ends")
      .example("execsnoop -x", "programs that cannot be started, and why");
}

// Programs that wait for their end (--exit), each record with its tail.
class Running {
 public:
  explicit Running(std::function<void(const Row&)> show) : show_(std::move(show)) {}

  void exec(const Record& record) {
    end_of(record.pid, nullptr);  // it has become another
    const char* bytes = reinterpret_cast<const char*>(&record);
    records_[record.pid].assign(bytes, record.head.fixed + record.head.tail_size);
  }
  void end_of(std::uint32_t pid, const execsnoop_exit* end) {
    auto found = records_.find(pid);
    if (found == records_.end()) return;
    show(found->second, end);
    records_.erase(found);
  }
  void still_running() {
    for (const auto& [pid, bytes] : records_) show(bytes, nullptr);
  }

 private:
  void show(const std::string& bytes, const execsnoop_exit* end) {
    auto record = reinterpret_cast<const Record*>(bytes.data());
    show_({record->head, record, end});
  }
  std::function<void(const Row&)> show_;
  std::map<std::uint32_t, std::string> records_;
};

kit::AttachPlan make_plan(const Knobs& knobs, execsnoop_bpf& bpf) {
  auto& p = bpf.progs;
  kit::AttachPlan plan;
  if (!knobs.failed) plan.event("exec").way("btf", {p.exec_btf}).way("raw", {p.exec_raw});
  if (knobs.exit) plan.event("exit").way("btf", {p.process_exit_btf}).way("raw", {p.process_exit_raw});
  if (knobs.all || knobs.failed)
    plan.event("failed exec")
        .way("tracepoints", {p.exit_tracepoint}, {{p.exit_tracepoint, "tp/syscalls/sys_exit_execveat"}})
        .misses("failed execs by 32-bit programs are not seen")
        .way("btf", {p.any_exit_btf})
        .misses("failed execs by 32-bit programs are not seen")
        .way("raw", {p.any_exit_raw})
        .misses("failed execs by 32-bit programs are not seen");
  return plan;
}

}  // namespace

int tool(int argc, char** argv) {
  Knobs knobs;
  auto table = make_table(knobs);
  kit::Options options(kit::Shape::stream, "execsnoop", "Show programs as they are started.");
  declare(options, knobs);
  kit::Session session(options.shows(table), argc, argv);

  kit::Skeleton<execsnoop_bpf> bpf;
  bpf->rodata->max_args = static_cast<unsigned>(knobs.max_args.bytes);
  bpf->rodata->ancestors = knobs.ancestors;
  bpf->rodata->with_exit = knobs.exit;
  bpf->rodata->cwd_room = knobs.cwd ? 4096 : 0;
  session.settle(bpf, make_plan(knobs, *bpf.operator->()));
  session.load(bpf);

  Running running([&](const Row& row) { session.row(table, row); });
  return session.stream(
      bpf, table,
      [&](const kit_head& head) {
        auto& exec = reinterpret_cast<const Record&>(head);
        auto& end = reinterpret_cast<const execsnoop_exit&>(head);
        if (head.kind == EXECSNOOP_EXIT) return running.end_of(end.pid, &end);
        if (knobs.exit && exec.result == 0) return running.exec(exec);
        session.row(table, Row{head, &exec, nullptr});
      },
      [&] { running.still_running(); });
}
