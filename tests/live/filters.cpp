// SPDX-License-Identifier: BSD-2-Clause
// The filters that every tool has: what they name is shown whole, and nothing else.
#include "subjects.hpp"

using live::Json;
using live::Process;
using live::Subject;
using live::Words;
using live::operator+;

namespace {

// Runs the trigger under a tool with a filter, which may be about the trigger's process.
struct Filtered {
  live::Result result;
  int pid;
  std::size_t shown;  // of the trigger
};
using Filter = std::function<Words(const Process&)>;

Filtered run_filtered(const Subject& subject, const Filter& filter, std::function<void()> inside = {}) {
  Process process(subject.command(), {.inside = std::move(inside), .gated = true});
  live::Tool tool(subject.tool, subject.options + filter(process));
  process.go();
  process.wait();
  live::Result result = tool.stop();
  CHECK(result.status == 0);
  CHECK(result.lost() == 0);
  return {result, process.pid(), subject.shown_of(result, process.pid())};
}

void check_filter(const Filter& filter, bool matches, std::function<void()> inside = {}) {
  for (const Subject& subject : live::samples()) {
    INFO(subject.tool);
    CHECK(run_filtered(subject, filter, inside).shown == (matches ? subject.made : 0));
  }
}

// The same of those tools whose rows are about a process that is there before.
void check_own_filter(const Filter& filter, bool matches) {
  for (const Subject& subject : live::samples()) {
    if (!subject.about_itself()) continue;
    INFO(subject.tool);
    Filtered filtered = run_filtered(subject, filter);
    CHECK(filtered.shown == (matches ? subject.made : 0));
    CHECK(subject.shown(filtered.result) == filtered.shown);  // nobody else's
  }
}

// In a new PID namespace: its second process becomes the command when a byte comes, the first goes on.
void become_second(Words command) {
  if (fork() != 0) return;
  std::vector<char*> words;
  for (std::string& word : command) words.push_back(word.data());
  words.push_back(nullptr);
  char byte;
  if (read(0, &byte, 1) == 1) execv(words[0], words.data());
  _exit(1);
}

}  // namespace

TEST_CASE("every tool has a subject", "[any-kernel]") {
  for (const std::string& tool : test::tools())
    if (!live::without_subject().contains(tool)) CHECK(live::subject(tool).tool == tool);
}

TEST_CASE("--pid") {
  NEEDS("root");
  Process other(live::idle());
  check_own_filter([](const Process& p) { return Words{"-p", p.number()}; }, true);
  check_own_filter([&](const Process& p) { return Words{"--pid", other.number() + "," + p.number()}; }, true);
  check_own_filter([&](const Process& p) { return Words{"-p", other.number(), "-p", p.number()}; }, true);
  check_own_filter([&](const Process&) { return Words{"-p", other.number()}; }, false);
}

TEST_CASE("--tid") {
  NEEDS("root");
  Process other(live::idle());
  check_own_filter([](const Process& p) { return Words{"-t", p.number()}; }, true);
  check_own_filter([&](const Process&) { return Words{"-t", other.number()}; }, false);
}

TEST_CASE("--tid takes one thread of several") {
  NEEDS("root");
  live::File file;
  auto threads_shown = [&](bool by_thread) {
    Process threads(live::trigger("threads", {"5", file.path()}));
    std::string second = threads.says();
    live::Tool tool("opensnoop", by_thread ? Words{"-t", second} : Words{"-p", threads.number()});
    threads.go();
    threads.wait();
    live::Result result = tool.stop();
    CHECK(result.rows({{"tid", std::stoi(second)}, {"pid", threads.pid()}}).size() == 5);
    return result.row_lines();
  };
  CHECK(threads_shown(true) == 5);
  CHECK(threads_shown(false) == 10);
}

TEST_CASE("--user") {
  NEEDS("root");
  auto as_nobody = [] { live::become_nobody(); };
  check_filter([](const Process&) { return Words{"-u", "65534"}; }, true, as_nobody);
  check_filter([](const Process&) { return Words{"--user", "65533,65534"}; }, true, as_nobody);
  check_filter([](const Process&) { return Words{"-u", "65533"}; }, false, as_nobody);
  check_filter([](const Process&) { return Words{"-u", "root"}; }, false, as_nobody);
  Filtered filtered = run_filtered(
      live::subject("opensnoop"),
      [](const Process&) {
        return Words{"-u", "65534"};
      },
      as_nobody);
  for (const Json& row : filtered.result.rows()) CHECK(row["uid"] == live::nobody);
}

namespace {

// How much is shown of each tool's trigger with these globs, and how much of it bears the trigger's name.
void each_by_comm(const std::function<void(const std::string& name, std::size_t named,
                                           const std::function<std::size_t(const std::string&)>& shown)>& check) {
  for (const Subject& subject : live::samples()) {
    INFO(subject.tool);
    auto shown = [&](const std::string& globs) {
      return run_filtered(subject, [&](const Process&) { return Words{"--comm", globs}; }).shown;
    };
    // The second program of execsnoop's trigger has another name.
    check(subject.trigger, subject.tool == "execsnoop" ? 1 : subject.made, shown);
  }
}

}  // namespace

TEST_CASE("--comm") {
  NEEDS("root");
  each_by_comm([](const std::string& name, std::size_t named, const auto& shown) {
    CHECK(shown("zzz," + name.substr(0, 2) + "*") == named);
    CHECK(shown("?" + name) == 0);
  });
}

TEST_CASE("--comm takes globs of every kind", "[any-kernel]") {
  NEEDS("root");
  each_by_comm([](const std::string& name, std::size_t named, const auto& shown) {
    std::string changed = name;
    changed.back()++;
    CHECK(shown(name) == named);
    CHECK(shown("[a-z]*" + name.substr(2)) == named);
    CHECK(shown("?" + name.substr(1)) == named);
    CHECK(shown(changed) == 0);
    CHECK(shown(name + "?") == 0);
  });
}

TEST_CASE("--cgroup takes in what is beneath", "[each-kernel]") {
  NEEDS("root");
  NEEDS("cgroup2");
  live::Cgroup outer("corekit-test"), inner(outer, "inner"), sibling(outer, "sibling");
  auto in_inner = [&](const std::string& wanted) {
    return [&, wanted](const Process& process) {
      inner.take(process.pid());
      return Words{"--cgroup", wanted};
    };
  };
  check_filter(in_inner(inner.path()), true);
  check_filter(in_inner(outer.path()), true);
  check_filter(in_inner(sibling.path()), false);
}

TEST_CASE("--cgroup takes in a group that is made later") {
  NEEDS("root");
  NEEDS("cgroup2");
  live::Cgroup outer("corekit-later");
  const Subject& subject = live::subject("opensnoop");
  live::Tool tool(subject.tool, {"--cgroup", outer.path()});
  live::Cgroup inner(outer, "later");
  Process process(subject.command(), {.gated = true});
  inner.take(process.pid());
  process.go();
  process.wait();
  CHECK(subject.shown_of(tool.stop(), process.pid()) == subject.made);
}

TEST_CASE("--tree", "[each-kernel]") {
  NEEDS("root");
  Process other(live::idle());
  check_filter([](const Process& p) { return Words{"--tree", p.number()}; }, true);
  check_filter([&](const Process&) { return Words{"--tree", other.number()}; }, false);
}

TEST_CASE("--tree keeps who is given to another parent and takes in who comes later") {
  NEEDS("root");
  live::File file;
  Process family(live::trigger("family", {file.path()})), other(live::idle());
  family.says();
  live::Tool tool("opensnoop", {"--tree", family.number()}), stranger("opensnoop", {"--tree", other.number()});
  family.go();
  family.wait();
  live::Result result = tool.stop();
  CHECK(result.row_lines() == 3);
  CHECK(result.row({{"path", file.path()}})["pid"] == family.pid());
  CHECK(result.row({{"path", file.path() + ".grandchild"}})["pid"] != family.pid());
  CHECK(result.row({{"path", file.path() + ".later"}})["pid"] != family.pid());
  CHECK(stranger.stop().row_lines() == 0);
}

TEST_CASE("-- COMMAND shows what it and its descendants do, in the background too") {
  NEEDS("root");
  live::File file;
  live::Result result = live::trace("opensnoop", {}, live::trigger("daemon", {file.path()}));
  CHECK(result.row_lines() == 1);
  CHECK(result.row({{"path", file.path()}})["comm"] == "daemon");
  CHECK(result.end()["command"] == Json{{"exit", 4}});
  CHECK(live::trace("hello", {}, live::trigger("daemon", {file.path()})).row_lines() == 2);
}

TEST_CASE("-- COMMAND shows nothing of the command's own beginning in the tool, and nothing of others") {
  NEEDS("root");
  live::File file;
  Process acts(live::trigger("acts", {file.path()}));
  acts.says();
  for (const Subject& subject : live::samples()) {
    INFO(subject.tool);
    std::atomic<bool> over = false;
    std::thread others([&] {
      while (!over) {
        acts.go();
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
      }
    });
    live::Result result = live::trace(subject.tool, subject.options, subject.command());
    over = true;
    others.join();
    CHECK(subject.shown(result) == subject.made);
  }
}

TEST_CASE("different filters must all match") {
  NEEDS("root");
  check_own_filter([](const Process& p) { return Words{"-p", p.number(), "-t", p.number(), "-u", "0"}; }, true);
  check_own_filter([](const Process& p) { return Words{"-p", p.number(), "--tree", p.number()}; }, true);
  check_own_filter([](const Process& p) { return Words{"-p", p.number(), "--comm", "zzz*"}; }, false);
  check_own_filter([](const Process& p) { return Words{"-p", p.number(), "-u", "65534"}; }, false);
}

TEST_CASE("inside a PID namespace PIDs are shown as it sees them", "[each-kernel]") {
  NEEDS("root");
  NEEDS("pidns");
  for (const Subject& subject : live::samples()) {
    INFO(subject.tool);
    live::Result result =
        live::trace(subject.tool, subject.options, subject.command(), {.inside = live::enter_pid_namespace});
    CHECK(result.status == 0);
    CHECK(subject.shown_of(result, 2) == subject.made);  // the tool itself is 1
    CHECK(subject.shown(result) == subject.made);
  }
  auto says = live::trace("execsnoop", {}, live::trigger("says"), {.inside = live::enter_pid_namespace});
  CHECK(says.row({{"pid", 2}})["ppid"] == 1);
  CHECK(says.err == "2 \n");
}

TEST_CASE("inside a PID namespace PIDs are given as it sees them") {
  NEEDS("root");
  NEEDS("pidns");
  for (const Subject& subject : live::samples()) {
    if (!subject.about_itself()) continue;
    for (const char* option : {"-p", "-t", "--tree"}) {
      if (option != std::string("-p") && subject.counts) continue;  // nothing would end the run
      INFO(subject.tool << ' ' << option);
      auto inside = [&] {
        live::enter_pid_namespace();
        become_second(subject.command());
      };
      Words end = subject.counts ? Words{} : Words{"-n", std::to_string(subject.made)};
      live::Tool tool(subject.tool, subject.options + Words{option, "2"} + end, {.inside = inside});
      tool.go();
      live::Result result = tool.finish();
      CHECK(result.status == 0);
      CHECK(subject.shown_of(result, 2) == subject.made);
      CHECK(subject.shown(result) == subject.made);
    }
  }
}

TEST_CASE("from outside, a process in a PID namespace has the PID that is seen there") {
  NEEDS("root");
  NEEDS("pidns");
  const Subject& subject = live::subject("opensnoop");
  Filtered filtered = run_filtered(
      subject,
      [](const Process& p) {
        return Words{"--tree", p.number()};
      },
      live::enter_pid_namespace);
  auto rows = filtered.result.rows({{"comm", "opens"}});
  CHECK(rows.size() == subject.made);
  for (const Json& row : rows) CHECK(row["pid"].get<int>() > filtered.pid);
}
