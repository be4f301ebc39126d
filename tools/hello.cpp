// SPDX-License-Identifier: BSD-2-Clause
// hello: a row for each new process. The smallest complete tool; copy its three files to begin another.
#include "hello.h"
#include "hello.skel.h"
#include "kit/session.hpp"

int tool(int argc, char** argv) {
  kit::Table<hello_record> table;
  table.time()
      .column("PID", "pid", -7, "the new process", &hello_record::pid)
      .column("PPID", "ppid", -7, "its parent, who forked it", &hello_record::ppid)
      .column("UID", "uid", -6, "its user", &hello_record::uid)
      .column("COMM", "comm", 16, "its name, the parent's until it executes another program", &hello_record::comm);

  kit::Options options(kit::Shape::stream, "hello", "Show each new process.");
  options.shows(table)
      .details("Threads are not shown: they are part of the process that starts them.")
      .details(
          "A new process has a PID that nobody could have named, so -p and -t match none; --tree follows a family.")
      .example("hello", "every new process")
      .example("hello -o json -- make", "those of a build, as JSON lines");
  kit::Session session(options, argc, argv);

  kit::Skeleton<hello_bpf> bpf;
  kit::AttachPlan plan;
  plan.event("fork").way("btf", {bpf->progs.fork_btf}).way("raw", {bpf->progs.fork_raw});
  session.settle(bpf, plan);
  session.load(bpf);
  return session.show(bpf, table);
}
