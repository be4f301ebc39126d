// SPDX-License-Identifier: BSD-2-Clause
// count: known numbers of hits, by place and by values.
#include "harness.hpp"

using live::Json;
using live::Words;
using live::operator+;

namespace {

std::string steps() { return test::trigger_path("steps"); }

live::Result counts(const Words& probes, const Words& command, const Words& options = {}) {
  return live::trace("count", options + probes, command);
}

}  // namespace

TEST_CASE("calls are counted by place and by value, exactly") {
  NEEDS("root");
  live::Result result =
      counts({"uprobe:" + steps() + ":steps", "uretprobe:" + steps() + ":deeper"}, live::trigger("steps", {"1000"}));
  INFO(result.out << result.err);
  CHECK(result.status == 0);
  REQUIRE(result.row_lines() == 2);
  CHECK(result.rows()[0]["probe"] == "uprobe:steps:steps");
  CHECK(result.rows()[0]["count"] == 1000);
  CHECK(result.rows()[1]["count"] == 4);
  CHECK(result.lost() == 0);
  result = counts({"uprobe:" + steps() + ":steps", "/arg0 < 10/", "(u32)arg0", "arg2:str", "pid"},
                  live::trigger("steps", {"1000"}));
  CHECK(result.row_lines() == 10);
  for (int i = 0; i < 10; i++) {
    auto rows = result.rows();
    CHECK(std::count_if(rows.begin(), rows.end(), [&](const Json& row) {
            return row["values"]["(u32)arg0"] == i && row["values"]["arg2"] == "text" && row["count"] == 1;
          }) == 1);
  }
}

TEST_CASE("--top keeps the most frequent") {
  NEEDS("root");
  live::Result result = counts({"uprobe:" + test::trigger_path("texts") + ":look_up", "arg1:str"},
                               live::trigger("texts", {"50"}), {"--top", "1"});
  REQUIRE(result.row_lines() == 1);
  CHECK(result.rows()[0]["values"]["arg1"] == "a known text");
  CHECK(result.rows()[0]["count"] == 50);
}

TEST_CASE("a glob is many places, each counted by itself") {
  NEEDS("root");
  live::Result result = counts({"uprobe:" + test::trigger_path("steps") + ":*ee?er"}, live::trigger("steps", {"1"}));
  CHECK(result.row({{"probe", "uprobe:steps:deeper"}})["count"] == 4);
}

TEST_CASE("system calls are counted each interval, by the call's number") {
  NEEDS("syscall_tracepoints");
  live::Result result = counts({"tracepoint:raw_syscalls:sys_enter", "/id == 110/", "id"},
                               live::trigger("calls", {"getppid", "1234"}), {"-i", "20ms"});
#ifdef __x86_64__
  std::uint64_t sum = 0;
  for (const Json& row : result.rows()) sum += row["count"].get<std::uint64_t>();
  CHECK(sum == 1234);
#endif
  live::Process calls(live::trigger("calls", {"getppid", "0"}));
  live::Result each =
      live::run("count", {"tracepoint:raw_syscalls:sys_enter", "-p", calls.number(), "-i", "100ms", "-n", "3"});
  CHECK(each.row_lines() == 3);
}

TEST_CASE("99 times a second tells which threads run") {
  NEEDS("root");
  live::Result result = live::run("count", {"profile:hz:99", "cpu", "-d", "1"});
  std::uint64_t sum = 0;
  for (const Json& row : result.rows()) sum += row["count"].get<std::uint64_t>();
  long cpus = sysconf(_SC_NPROCESSORS_ONLN);
  CHECK(sum >= 60);  // of one CPU: another that is idle need not be woken for it
  CHECK(sum <= 130u * static_cast<unsigned>(cpus));
}

TEST_CASE("every 100th page fault is counted, by process") {
  NEEDS("root");
  const Words faults = {"/bin/bash", "-c", "printf -v text %3000000d 1"};  // writes to 700 pages at least
  live::Result result = counts({"software:page-faults:100", "pid"}, faults);
  CHECK(result.status == 0);
  live::Result each = counts({"software:page-faults:1"}, faults);
  REQUIRE(each.row_lines() == 1);
  CHECK(each.rows()[0]["count"].get<int>() > 700);
}

TEST_CASE("what cannot be a key is refused in one line") {
  auto refused = [](const Words& words, const std::string& says) {
    live::Result result = live::run("count", words);
    INFO(result.err);
    CHECK(result.status == 64);
    CHECK(live::count_lines(result.err) == 1);
    CHECK(result.err.find(says) != std::string::npos);
  };
  std::string probe = "uprobe:" + steps() + ":steps";
  refused({probe, "arg0", "arg1", "arg2", "pid", "tid", "uid"}, "▶uid: 5 values are the limit");
  refused({probe, "arg0:str", "arg1:str", "arg2:str"}, "2 strings");
  refused({probe, "arg0:buf(100)"}, "63 bytes");
  refused({probe, "arg0:strr"}, "did you mean");
}
