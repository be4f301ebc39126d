// SPDX-License-Identifier: BSD-2-Clause
// doctor: what it says of the kernel is so, and the tools behave as it says.
#include <linux/capability.h>

#include "subjects.hpp"

using live::Json;
using live::Result;
using live::Words;
using live::operator+;

namespace {

constexpr int cap_perfmon = 38, cap_bpf = 39;  // newer than some headers

void as_nobody() { live::become_nobody(); }
// With what raises the limit for the memory of maps, which they count against before 5.11, if we have it ourselves.
void as_tracer() {
  if (prctl(PR_CAPBSET_READ, CAP_SYS_RESOURCE, 0, 0, 0) > 0)
    live::become_nobody({cap_bpf, cap_perfmon, CAP_SYS_RESOURCE});
  else
    live::become_nobody({cap_bpf, cap_perfmon});
}

// Starts each tool and compares what it takes and says with doctor's row of it; the status is that of the worst.
void compare(const std::function<void()>& inside) {
  Result doctor = live::run("doctor", {}, {.inside = inside});
  INFO(doctor.out << doctor.err);
  bool all_work = true;
  for (const std::string& tool : test::tools()) {
    if (tool == "doctor") continue;
    INFO(tool);
    std::string said = doctor.row({{"about", "tool"}, {"what", tool}})["works"];
    all_work = all_work && said != "no";
    if (live::lists().contains(tool)) {
      CHECK(said == "yes");
      continue;
    }
    Result ran = live::run(tool, live::least(tool) + Words{"-d", "1ms"}, {.inside = inside});
    INFO(ran.err);
    if (said == "no") {
      CHECK((ran.status == 69 || ran.status == 77));
      CHECK(ran.out.empty());
      continue;
    }
    CHECK(ran.status == 0);
    CHECK(ran.start()["plan"]["form"] == (said == "yes" ? "full" : "lesser"));
    CHECK((ran.err.find("lesser form") != std::string::npos) == (said == "lesser"));
  }
  CHECK(doctor.status == (all_work ? 0 : 69));
}

}  // namespace

TEST_CASE("every way to attach that can be tried otherwise, too, is as doctor says", "[each-kernel]") {
  NEEDS("root");
  Result doctor = live::run("doctor", {});
  INFO(doctor.out);
  const std::map<std::string, std::string> features = {
      {"kprobe", "kprobe"},      {"kretprobe", "kprobe"}, {"fentry", "fentry"},    {"fexit", "fentry"},
      {"tracepoint", "tracefs"}, {"raw_tp", "bpf"},       {"tp_btf", "btf"},       {"uprobe", "bpf"},
      {"uretprobe", "bpf"},      {"USDT", "bpf"},         {"perf software", "bpf"}};
  for (const auto& [what, feature] : features) {
    INFO(what);
    Json row = doctor.row({{"about", "attach"}, {"what", what}});
    CHECK(row["works"] == (test::lacks(feature).empty() ? "yes" : "no"));
    CHECK(row["remedy"].is_null() == (row["works"] == "yes"));
  }
  for (const char* what : {"kprobe.multi", "fmod_ret", "LSM", "uprobe.multi", "perf hardware", "iterator"})
    CHECK(doctor.row({{"about", "attach"}, {"what", what}})["works"].is_string());
}

TEST_CASE("every no comes with what would change it") {
  NEEDS("root");
  for (const auto& inside : {std::function<void()>(), std::function<void()>(as_nobody)}) {
    Result doctor = live::run("doctor", {}, {.inside = inside});
    INFO(doctor.out << doctor.err);
    for (const char* about : {"kernel", "attach", "helper", "right", "tool"})
      CHECK_FALSE(doctor.rows({{"about", about}}).empty());
    for (const Json& row : doctor.rows({{"works", "no"}})) {
      INFO(row.dump());
      CHECK(row["found"].is_string());
      CHECK(row["remedy"].is_string());
    }
  }
}

TEST_CASE("where kprobes or fentry are missing doctor says which tools are lesser for it") {
  NEEDS("root");
  if (test::lacks("fentry").empty()) SKIP_CASE("nothing is lesser for want of it: this kernel has it", "no fentry");
  Result doctor = live::run("doctor", {});
  INFO(doctor.out);
  for (const std::string tool : {"opensnoop", "vfslatency", "ttysnoop", "randomread"}) {
    INFO(tool);
    Json row = doctor.row({{"about", "tool"}, {"what", tool}});
    CHECK(row["remedy"].get<std::string>().find("fexit") != std::string::npos);
    if (tool == "opensnoop" || !test::lacks("kprobe").empty()) CHECK(row["works"] == "lesser");
  }
}

TEST_CASE("the tools behave as doctor says, to root", "[any-kernel]") {
  NEEDS("root");
  compare({});
}

TEST_CASE("the tools behave as doctor says, to who has only the capabilities to trace") {
  NEEDS("root");
  compare(as_tracer);
}

TEST_CASE("the tools behave as doctor says, to who may nothing: 69", "[any-kernel]") {
  NEEDS("root");
  compare(as_nobody);
  Result doctor = live::run("doctor", {}, {.inside = as_nobody});
  CHECK(doctor.status == 69);
  for (const Json& row : doctor.rows({{"about", "attach"}})) CHECK(row["works"] == "no");
  for (const char* what : {"raw_tp", "tp_btf", "uprobe", "uprobe.multi", "USDT", "perf software", "iterator"})
    CHECK(doctor.row({{"what", what}})["remedy"] == "root, or CAP_BPF and CAP_PERFMON");
}
