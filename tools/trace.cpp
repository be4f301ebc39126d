// SPDX-License-Identifier: BSD-2-Clause
// trace: a row for each hit of any probe, with what is asked for of it.
#include "trace.h"

#include "kit/probing.hpp"
#include "trace.skel.h"

namespace {

using Record = trace_record;

struct Knobs {
  std::vector<std::string> words;
  kit::Size string_size{.bytes = 256, .most = FETCH_STRING_MAX};
  bool force = false, beneath = false;
};

kit::Table<Record> make_table(const std::unique_ptr<kit::Probing>& probing, const Knobs& knobs) {
  kit::Table<Record> table;
  table.time()
      .column("PID", "pid", -7, "the process that was running", &Record::pid)
      .column("TID", "tid", -7, "its thread", &Record::tid)
      .column("COMM", "comm", 16, "the thread's name", &Record::comm)
      .column("PROBE", "probe", 32, "the place that was hit", [&](const Record& r) { return probing->name(r.fetched); })
      .column("VALUES", "values", 0, "what was asked for, by the expressions",
              [&](const Record& r) { return probing->values(r.fetched, kit::tail(r), r.pid); })
      .column("STACK", "stack", 0, "with -K or -U: how it was come to, innermost function first",
              [&](const Record& r) { return probing->stack(r.fetched, kit::tail(r)); })
      .only_with(knobs.beneath);
  return table;
}

void declare(kit::Options& options, Knobs& knobs) {
  kit::Probing::declare(options, knobs.words, knobs.force);
  options
      .option(0, "string", "SIZE", knobs.string_size,
              "bytes of a string that are read, its end included, as a power of two (256)")
      .example("trace tracepoint:syscalls:sys_enter_openat filename:str", "which files are opened")
      .example("trace 'kretprobe:vfs_read /retval < 0/ retval'", "reads that fail")
      .example("trace kprobe:vfs_open path->dentry->d_name.name", "the names of files as the kernel opens them")
      .example("trace uprobe:libc:getenv arg0:str -- date", "the variables that a program asks for")
      .example("trace -K -U tracepoint:block:block_rq_issue", "block I/O, and who starts it")
      .example("trace 'uretprobe:./server:handle /latency > 5ms/ latency'", "slow calls of a program's function");
}

}  // namespace

int tool(int argc, char** argv) {
  Knobs knobs;
  std::unique_ptr<kit::Probing> probing;
  auto table = make_table(probing, knobs);
  kit::Options options(kit::Shape::stream, "trace", "Show hits of any probe, with arguments, fields and results.");
  declare(options, knobs);
  kit::Stacks stacks(options, kit::Stacks::Letters::beneath);
  kit::Session session(options.shows(table), argc, argv);
  knobs.beneath = stacks.kernel_beneath() || stacks.user_beneath();
  kit::ProbeDemand demand{.string = static_cast<std::uint32_t>(knobs.string_size.bytes), .stacks = &stacks};
  probing = std::make_unique<kit::Probing>(session, knobs.words, demand, knobs.force);
  kit::Skeleton<trace_bpf> bpf;
  probing->start(bpf);
  return session.stream(bpf, table, [&](const kit_head& head) {
    const auto& record = kit::record_as<Record>(head);
    probing->look_up(record.fetched, kit::tail(record));
    session.row(table, record);
  });
}
