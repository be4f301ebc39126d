// SPDX-License-Identifier: BSD-2-Clause
// The filters that every tool has: what they name is shown whole, and nothing else.
#include "subjects.hpp"

using live::Json;
using live::Process;
using live::Subject;
using live::Words;
using live::operator+;

namespace {

// Of a trigger under a tool with a filter, which may be about the trigger's process.
struct Filtered {
  const Subject& subject;
  live::Result result;
  int pid;
  std::size_t shown;  // of the trigger
};
using Filter = std::function<Words(const Process&)>;
using Subjects = std::vector<Subject>;

Filtered run_filtered(const Subject& subject, const Filter& filter, std::function<void()> inside = {}) {
  Process process(subject.command(), {.inside = std::move(inside), .gated = true});
  live::Tool tool(subject.tool, subject.options + filter(process));
  process.go();
  process.wait();
  live::Result result = tool.stop();
  std::size_t shown = subject.shown_of(result, process.pid());
  return {subject, std::move(result), process.pid(), shown};
}

// Runs each, and says what came of it to a check, after what must hold of all.
void run_each(const Subjects& subjects, const Filter& filter, const std::function<void()>& inside,
              const std::function<void(const Filtered&)>& check) {
  for (const Filtered& one :
       live::at_once(subjects, [&](const Subject& subject) { return run_filtered(subject, filter, inside); })) {
    INFO(one.subject.tool);
    CHECK(one.result.status == 0);
    CHECK(one.result.lost() == 0);
    check(one);
  }
}

void check_filter(const Filter& filter, bool matches, const std::function<void()>& inside = {}) {
  run_each(live::samples(), filter, inside,
           [&](const Filtered& one) { CHECK(one.shown == (matches ? one.subject.made : 0)); });
}

// Those tools whose rows are about a process that is there before.
Subjects about_themselves() {
  Subjects some;
  for (const Subject& subject : live::samples())
    if (subject.about_itself()) some.push_back(subject);
  return some;
}

void check_own_filter(const Filter& filter, bool matches) {
  static const Subjects subjects = about_themselves();
  run_each(subjects, filter, {}, [&](const Filtered& one) {
    CHECK(one.shown == (matches ? one.subject.made : 0));
    CHECK(one.subject.shown(one.result) == one.shown);  // nobody else's
  });
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

// With globs made of the trigger's name.
void check_comm(const std::function<std::string(const std::string& name)>& globs, bool matches) {
  for (const Filtered& one : live::at_once(live::samples(), [&](const Subject& subject) {
         return run_filtered(subject, [&](const Process&) { return Words{"--comm", globs(subject.trigger)}; });
       })) {
    INFO(one.subject.tool);
    CHECK(one.result.status == 0);
    CHECK(one.result.lost() == 0);
    // The second program of execsnoop's trigger has another name.
    std::size_t named = one.subject.tool == "execsnoop" ? 1 : one.subject.made;
    CHECK(one.shown == (matches ? named : 0));
  }
}

}  // namespace

TEST_CASE("--comm") {
  NEEDS("root");
  check_comm([](const std::string& name) { return "zzz," + name.substr(0, 2) + "*"; }, true);
  check_comm([](const std::string& name) { return "?" + name; }, false);
}

TEST_CASE("--comm takes globs of every kind", "[any-kernel]") {
  NEEDS("root");
  check_comm([](const std::string& name) { return name; }, true);
  check_comm([](const std::string& name) { return "[a-z]*" + name.substr(2); }, true);
  check_comm([](const std::string& name) { return "?" + name.substr(1); }, true);
  check_comm(
      [](std::string name) {
        name.back()++;
        return name;
      },
      false);
  check_comm([](const std::string& name) { return name + "?"; }, false);
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
  auto run = [](const Subject& subject) {
    return live::trace(subject.tool, subject.options, subject.command(), {.inside = live::enter_pid_namespace});
  };
  std::vector<live::Result> results = live::at_once(live::samples(), run);
  for (const Subject& subject : live::samples()) {
    const live::Result& result = results[&subject - live::samples().data()];
    INFO(subject.tool);
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
  Subjects subjects = about_themselves();
  for (const char* option : {"-p", "-t", "--tree"}) {
    // Nothing would end the run of one that counts.
    if (option == std::string("-t")) std::erase_if(subjects, [](const Subject& subject) { return subject.counts; });
    auto run = [&](const Subject& subject) {
      auto inside = [&] {
        live::enter_pid_namespace();
        become_second(subject.command());
      };
      Words end = subject.counts ? Words{} : Words{"-n", std::to_string(subject.made)};
      live::Tool tool(subject.tool, subject.options + Words{option, "2"} + end, {.inside = inside});
      tool.go();
      return tool.finish();
    };
    std::vector<live::Result> results = live::at_once(subjects, run);
    for (std::size_t i = 0; i < subjects.size(); i++) {
      INFO(subjects[i].tool << ' ' << option);
      CHECK(results[i].status == 0);
      CHECK(subjects[i].shown_of(results[i], 2) == subjects[i].made);
      CHECK(subjects[i].shown(results[i]) == subjects[i].made);
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
