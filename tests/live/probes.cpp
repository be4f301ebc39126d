// SPDX-License-Identifier: BSD-2-Clause
// probes: what is listed is there, with its arguments.
#include "harness.hpp"

using live::Json;
using live::Words;

TEST_CASE("a tracepoint has the fields that the kernel's tracefs tells") {
  NEEDS("root");
  NEEDS("tracefs");
  live::Result result = live::run("probes", {"sched:sched_process_fork"});
  INFO(result.out << result.err);
  Json row = result.row(Json::object());
  CHECK(row["kind"] == "tracepoint");
  CHECK(row["name"] == "sched:sched_process_fork");
  REQUIRE(row["args"].size() == 4);
  for (int i : {0, 2}) CHECK(row["args"][i].get<std::string>().find("comm") != std::string::npos);
  CHECK(row["args"][1] == "pid_t parent_pid");
  CHECK(row["args"][3] == "pid_t child_pid");
  CHECK(live::run("probes", {"sched_process_fork", "--kind", "tracepoint"}).row(Json::object()) == row);
}

TEST_CASE("a function has its prototype") {
  NEEDS("root");
  NEEDS("btf");
  Json row = live::run("probes", {"vfs_read"}).row({{"kind", "function"}});
  CHECK(row["place"] == "vmlinux");
  CHECK(row["returns"] == "ssize_t");
  CHECK(row["args"] == Json{"struct file *file", "char *buf", "size_t count", "loff_t *pos"});
  CHECK(row["prototype"] == "(struct file *file, char *buf, size_t count, loff_t *pos) ssize_t");
}

TEST_CASE("globs take what they match and no more, by kind") {
  NEEDS("root");
  live::Result result = live::run("probes", {"vfs_rea[dl]*", "vfs_fsync", "--kind", "function"});
  CHECK(result.rows().size() >= 3);
  for (const Json& row : result.rows()) {
    std::string name = row["name"];
    CHECK((name == "vfs_fsync" || name.starts_with("vfs_read") || name.starts_with("vfs_real")));
    CHECK(row["kind"] == "function");
  }
  CHECK(result.rows({{"name", "vfs_fsync"}}).size() == 1);
  CHECK(result.end()["rows"] == result.rows().size());
}

TEST_CASE("without a readable tracefs tracepoints come from the kernel's types, and that is said") {
  NEEDS("root");
  NEEDS("btf");
  live::Result result = live::run("probes", {"sched_process_fork"}, {.inside = [] { live::become_nobody(); }});
  INFO(result.out << result.err);
  CHECK(result.status == 0);
  Json row = result.row({{"kind", "tracepoint"}});
  CHECK(row["name"] == "sched_process_fork");
  REQUIRE(row["args"].size() == 2);
  CHECK(row["args"][0].get<std::string>().starts_with("struct task_struct *"));
  CHECK(result.err.starts_with("probes: tracefs cannot be read"));
}

TEST_CASE("what nothing matches, and a kind that is none, are mistakes") {
  NEEDS("root");
  for (const Words& words : {Words{"no_such_probe"}, Words{"--kind", "nothing"}, Words{"--", "true"}}) {
    live::Result result = live::run("probes", words);
    CHECK(result.status == 64);
    CHECK(result.out.empty());
    CHECK(live::count_lines(result.err) == 1);
  }
}
