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

TEST_CASE("a function has its prototype", "[each-kernel]") {
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

TEST_CASE("a file's functions and USDT probes are those that it was made with") {
  NEEDS("root");
  live::Result result = live::run("probes", {"--file", test::trigger_path("marks")});
  INFO(result.err);
  CHECK(result.row({{"kind", "function"}, {"name", "main"}})["symbol"] == "main");
  CHECK(result.rows({{"name", "hit"}}).size() == 1);
  auto marks = result.rows({{"kind", "usdt"}});
  REQUIRE(marks.size() == 3);
  for (std::size_t i = 0; i < 3; i++) {
    CHECK(marks[i]["name"] == std::vector<std::string>{"test:guarded", "test:plain", "test:values"}[i]);
    CHECK(marks[i]["args"].size() == (i == 1 ? 0 : 4));
    CHECK(marks[i]["place"] == test::trigger_path("marks"));
  }
  CHECK(live::run("probes", {"--file", test::trigger_path("marks"), "--kind", "usdt", "val*"}).row_lines() == 1);
  live::Process program(live::trigger("marks", {"1", "wait"}));
  program.says();
  CHECK(live::run("probes", {"-p", program.number(), "--kind", "usdt"}).row_lines() == 3);
}

TEST_CASE("C++ names are read back, in the libraries of a program, too") {
  NEEDS("root");
  test::TemporaryDirectory folder;
  std::string library = live::compile(folder.path(), "libshape.so", "int _ZN5shape6circle4areaEi(int r) { return r; }",
                                      {"-shared", "-fPIC"});
  std::string program = live::compile(folder.path(), "program", "int main(void) { return 0; }",
                                      {"-Wl,--no-as-needed", library, "-Wl,-rpath," + folder.path()});
  if (library.empty() || program.empty()) SKIP_CASE("no compiler here", "gcc");
  Json row = live::run("probes", {"--file", library, "shape::*"}).row({{"kind", "function"}});
  CHECK(row["name"] == "shape::circle::area(int)");
  CHECK(row["symbol"] == "_ZN5shape6circle4areaEi");
  CHECK(live::run("probes", {"--file", library, "_ZN5shape*"}).row_lines() == 1);
  // libc is found as the dynamic loader finds it, a library that is named by its path as it stands.
  live::Result all = live::run("probes", {"--file", program, "shape::*", "strlen"});
  INFO(all.out << all.err);
  CHECK(all.row({{"name", "shape::circle::area(int)"}})["place"] == library);
  CHECK(all.rows({{"name", "strlen"}}).size() == 1);
  live::Process running({program});
  CHECK(running.wait() == 0);
}

TEST_CASE("what nothing matches, and a kind that is none, are mistakes") {
  NEEDS("root");
  for (const Words& words : {Words{"no_such_probe"}, Words{"--kind", "nothing"}, Words{"--", "true"},
                             Words{"--file", "/etc/hostname"}, Words{"--file", "no-such-library"}}) {
    live::Result result = live::run("probes", words);
    CHECK(result.status == 64);
    CHECK(result.out.empty());
    CHECK(live::count_lines(result.err) == 1);
  }
}
