// SPDX-License-Identifier: BSD-2-Clause
// For what every tool keeps: to each tool a trigger that does what it shows, a known number of times.
#pragma once

#include "harness.hpp"

namespace live {

struct Subject {
  std::string tool, trigger;
  Words arguments;          // of the trigger
  Words options;            // of the tool, so that its rows tell whose they are
  std::string whose;        // the key that holds the trigger's PID
  std::size_t made;         // what the trigger makes
  std::vector<Words> ways;  // all its --attach ways, with the options that they belong to
  bool counts = false;      // its rows hold a count
  bool sampled = false;     // any number of them stands for all that were made
  bool placed = false;      // it sees the one file that its options name, by uprobes
  // So many of them the kernel itself may not tell of: of 500 wake-ups of an idle CPU, tracefs showed 420 on a virtual
  // machine's 6.18, and of some 700 switches one was told to no BPF program either.
  std::size_t untold = 0;

  Words command() const { return live::trigger(trigger, arguments); }
  // A row is about the trigger itself; not so the forked child, which nobody knows before.
  bool about_itself() const { return whose == "pid"; }
  std::size_t shown(const Result& result, const Json& like = Json::object()) const {
    std::size_t sum = 0;
    for (const Json& row : result.rows(like)) sum += counts ? row["count"].get<std::size_t>() : 1;
    return (sampled && sum) || (sum < made && sum + untold >= made) ? made : sum;
  }
  std::size_t shown_of(const Result& result, int pid) const { return shown(result, {{whose, pid}}); }
};

// What a tool must be told before it can say what else is wrong: most nothing.
inline Words least(const std::string& tool) {
  if (tool == "trace" || tool == "count" || tool == "stackcount") return {"rawtracepoint:sched_switch"};
  if (tool == "hist") return {"rawtracepoint:sched_switch", "pid"};
  if (tool == "funclatency") return {"libc:getenv"};
  if (tool == "usdtsnoop") return {test::trigger_path("marks"), "test:values"};
  if (tool == "strlencount") return {"-P", "--lib", test::trigger_path("texts"), "--func", "look_up", "--arg", "1"};
  if (tool == "inject") return {"open", "--error", "EIO", "--yes-break-it", "--comm", "nobody-is-so-called"};
  if (tool == "fgraph") return {"-K", "1", "--kernel", "vfs_read"};
  if (tool == "structof") return {"pair_t", "--file", test::trigger_path("shapes")};
  return {};
}

// Of a tool that shows sleeps. By frame pointers: when tables join is another moment in each run.
inline Subject sleeps(const std::string& tool) {
  Words options = {"--state", "S", "--unwind", "fp"};
  Subject one{tool, "calls", {"nanosleep", "7"}, options, "pid", 7, {{"btf"}, {"raw"}}, true};
  one.untold = 1;
  return one;
}

inline const std::vector<Subject>& subjects() {
  static const std::vector<Subject> all = {
      {"hello", "forks", {"7"}, {}, "ppid", 7, {{"btf"}, {"raw"}}},
      {"opensnoop", "opens", {"7", "/dev/null"}, {}, "pid", 7, {{"fexit"}, {"tracepoints"}, {"btf"}, {"raw"}}},
      {"execsnoop",
       "exec_at",
       {test::trigger_path("ends")},
       {},
       "pid",
       2,
       {{"btf"}, {"raw"}, {"btf", "--all"}, {"raw", "--all"}, {"tracepoints", "--all"}, {"raw", "--exit"}}},
      {"syscount",
       "calls",
       {"getppid", "7"},
       {"-P", "--syscall", "getppid"},
       "pid",
       7,
       {{"btf"}, {"raw"}, {"btf", "-L"}, {"raw", "-L"}},
       true},
      {"randomread",
       "randoms",
       {"7", "64", "/dev/urandom"},
       {"--source", "/dev/urandom"},
       "pid",
       7,
       {{"fexit"}, {"fexit-old"}, {"kretprobe"}, {"kretprobe-old"}, {"tracepoints"}, {"btf"}, {"raw"}}},
      {"ttysnoop",
       "tells",
       {"7", "-", "text"},
       {},
       "pid",
       7,
       {{"fexit"}, {"kprobe"}, {"tracepoints"}, {"btf"}, {"raw"}}},
      {"syncsnoop", "syncs", {"7", "-", "fdatasync"}, {}, "pid", 7, {{"tracepoints"}, {"btf"}, {"raw"}}},
      sleeps("offcputime"),
      sleeps("offwaketime"),
      sleeps("wakeuptime"),
      // Not what trace looks at beside it, under the same name.
      {"profile",
       "calls",
       {"close", std::to_string(heavy(1'000'000))},
       {"-F", "499"},
       "pid",
       1,
       {{"clock"}},
       true,
       true},
      {"trace", "calls", {"getppid", "7"}, {"tracepoint:syscalls:sys_enter_getppid"}, "pid", 7, {{"tracepoint"}}},
      {"usdtsnoop", "marks", {"7"}, least("usdtsnoop"), "pid", 7, {{"uprobe"}}, false, false, true},
      {"strlencount", "texts", {"7"}, least("strlencount"), "pid", 10, {{"uprobe"}}, true, false, true},
  };
  return all;
}

// Those with which to test what the library does for every tool: all of them, or, where COREKIT_BRIEF is set as in slow
// guests, one of each kind: of a BTF tracepoint, of the plan with the most ways, of a map that is read.
inline const std::vector<Subject>& samples() {
  static const std::vector<Subject> few = [] {
    std::vector<Subject> chosen;
    for (const Subject& one : subjects())
      if (one.tool == "hello" || one.tool == "opensnoop" || one.tool == "syscount") chosen.push_back(one);
    return chosen;
  }();
  return brief() ? few : subjects();
}

// Tools whose rows a trigger alone does not settle, or that trace nothing: their own tests tell all of them.
inline const std::set<std::string>& without_subject() {
  static const std::set<std::string> tools = {"biolatency", "count",     "funclatency", "hist",       "stackcount",
                                              "inject",     "bitesize",  "disksnoop",   "doctor",     "probes",
                                              "structof",   "symbolize", "taskswitch",  "vfslatency", "fgraph"};
  return tools;
}

// Tools that some of the kernels that the others work on refuse altogether: they end with 69 there.
inline const std::set<std::string>& choosy() {
  static const std::set<std::string> tools = {"inject"};
  return tools;
}

// Tools that attach to nothing and so need no capability.
inline const std::set<std::string>& lists() {
  static const std::set<std::string> tools = {"doctor", "probes", "structof", "symbolize"};
  return tools;
}

inline const Subject& subject(const std::string& tool) {
  for (const Subject& one : subjects())
    if (one.tool == tool) return one;
  throw std::runtime_error("tests/live/subjects.hpp says nothing of " + tool);
}

// A process that does nothing until it is killed.
inline Words idle() { return trigger("says"); }

}  // namespace live
