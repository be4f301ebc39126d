// SPDX-License-Identifier: BSD-2-Clause
// Conditions that break tracers: no JIT, hidden addresses, no tracefs, no BTF, processors that come and go, cgroups of
// version 1, full preemption and, last since it cannot be undone, lockdown. They change the machine: for guests alone.
#include <sys/mount.h>

#include "live/subjects.hpp"

using live::Json;
using live::Process;
using live::Result;
using live::Subject;
using live::Words;
using live::operator+;

namespace {

// False where the kernel has no such setting, or refuses it.
bool set(const std::string& path, const std::string& value) {
  std::ofstream file(path);
  return static_cast<bool>(file << value << std::flush);
}

// Sets a value for as long as this lives.
class Setting {
 public:
  Setting(std::string path, const std::string& value) : path_(std::move(path)) {
    std::ifstream(path_) >> before_;
    taken_ = set(path_, value);
  }
  ~Setting() {
    if (taken_) set(path_, before_);
  }
  bool taken() const { return taken_; }

 private:
  std::string path_, before_;
  bool taken_ = false;
};

void check_all(const std::function<void()>& inside = {}) {
  for (const Subject& subject : live::subjects()) {
    INFO(subject.tool);
    Result result = live::trace(subject.tool, subject.options, subject.command(), {.inside = inside});
    INFO(result.err);
    CHECK(result.status == 0);
    CHECK(subject.shown(result) == subject.made);
    CHECK(result.lost() == 0);
  }
}

bool mounted(const std::string& wanted) {
  std::ifstream mounts("/proc/self/mounts");
  std::string device, place, type, rest;
  while (mounts >> device >> place >> type && std::getline(mounts, rest))
    if (type == wanted) return true;
  return false;
}

// In a mount namespace of its own, where the mounts that follow are seen by the tool alone.
void leave_mounts() {
  if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) _exit(126);
}

void hide_btf() {
  leave_mounts();
  if (mount("none", "/sys/kernel/btf", "tmpfs", 0, nullptr) != 0) _exit(126);
}

void only_cgroup1() {
  leave_mounts();
  if (umount2("/sys/fs/cgroup", MNT_DETACH) != 0 ||
      mount("none", "/sys/fs/cgroup", "cgroup", 0, "none,name=corekit") != 0)
    _exit(126);
}

void on_second_cpu() {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(1, &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0) _exit(126);
}

const char* second_cpu = "/sys/devices/system/cpu/cpu1/online";

}  // namespace

TEST_CASE("without the JIT all works") {
  Setting jit("/proc/sys/net/core/bpf_jit_enable", "0");
  REQUIRE(jit.taken());
  check_all();
}

TEST_CASE("with kernel.kptr_restrict=2 all works") {
  Setting hidden("/proc/sys/kernel/kptr_restrict", "2");
  REQUIRE(hidden.taken());
  check_all();
}

TEST_CASE("with tracefs mounted nowhere all works") {
  REQUIRE_FALSE(mounted("tracefs"));
  REQUIRE_FALSE(mounted("debugfs"));
  check_all();
}

TEST_CASE("without BTF: one line that names the option and the kernel's configuration, and 69") {
  for (const Subject& subject : live::subjects()) {
    INFO(subject.tool);
    Result result = live::run(subject.tool, subject.options + Words{"-d", "1"}, {.inside = hide_btf});
    INFO(result.err);
    CHECK(result.status == 69);
    CHECK(result.err.find("--btf") != std::string::npos);
    CHECK(result.err.find("CONFIG_DEBUG_INFO_BTF") != std::string::npos);
    CHECK(live::count_lines(result.err) == 1);
  }
}

TEST_CASE("--btf and COREKIT_BTF_DIR stand in for the kernel's BTF") {
  test::TemporaryDirectory folder;
  std::string release = test::read_file("/proc/sys/kernel/osrelease");
  release.pop_back();
  std::string file = folder.path() + "/" + release + ".btf";
  std::ofstream(file, std::ios::binary) << test::read_file("/sys/kernel/btf/vmlinux");
  for (const Subject& subject : live::samples()) {
    INFO(subject.tool);
    Result given =
        live::trace(subject.tool, subject.options + Words{"--btf", file}, subject.command(), {.inside = hide_btf});
    INFO(given.err);
    CHECK(subject.shown(given) == subject.made);
    auto inside = [&] {
      hide_btf();
      setenv("COREKIT_BTF_DIR", folder.path().c_str(), 1);
    };
    Result found = live::trace(subject.tool, subject.options, subject.command(), {.inside = inside});
    INFO(found.err);
    CHECK(subject.shown(found) == subject.made);
  }
}

TEST_CASE("a processor that goes and comes while a tool runs is seen again") {
  REQUIRE(set(second_cpu, "1"));
  live::File file;
  live::Tool tool("opensnoop", {"--path", file.path()});
  auto open = [&](int count, const std::function<void()>& inside) {
    Process process(live::trigger("opens", {std::to_string(count), file.path()}), {.inside = inside});
    CHECK(process.wait() == 0);
  };
  open(100, on_second_cpu);
  REQUIRE(set(second_cpu, "0"));
  open(200, {});
  REQUIRE(set(second_cpu, "1"));
  open(400, on_second_cpu);
  Result result = tool.stop();
  CHECK(result.status == 0);
  CHECK(result.row_lines() == 700);
  CHECK(result.lost() == 0);
}

TEST_CASE("a processor that comes while profile runs is sampled from then on, and again after it was gone") {
  auto busy = [] {
    on_second_cpu();
    auto end = std::chrono::steady_clock::now() + std::chrono::seconds(4);
    while (std::chrono::steady_clock::now() < end) {
    }
  };
  REQUIRE(set(second_cpu, "0"));
  live::Tool tool("profile", {"-F", "49"});
  std::vector<int> pids;
  for (int times = 0; times < 2; times++) {
    REQUIRE(set(second_cpu, "1"));
    Process process(live::trigger("calls", {"getppid", "1"}), {.inside = busy});
    pids.push_back(process.pid());
    CHECK(process.wait() == 0);
    REQUIRE(set(second_cpu, "0"));
  }
  REQUIRE(set(second_cpu, "1"));
  Result result = tool.stop();
  INFO(result.err);
  CHECK(result.status == 0);
  // It is looked for once a second; the process ran for four, there alone.
  for (int pid : pids) {
    std::size_t samples = 0;
    for (const Json& row : result.rows({{"pid", pid}})) samples += row["count"].get<std::size_t>();
    CHECK(samples > 49);
    CHECK(samples < 49 * 5);
  }
}

TEST_CASE("with cgroups of version 1 alone --cgroup works, or says so") {
  REQUIRE(mounted("cgroup2"));
  Result result = live::trace("opensnoop", {"--cgroup", "/sys/fs/cgroup"}, live::trigger("opens", {"5", "/dev/null"}),
                              {.inside = only_cgroup1});
  INFO(result.err);
  if (result.status == 0) {
    CHECK(result.rows({{"path", "/dev/null"}, {"comm", "opens"}}).size() == 5);
  } else {
    CHECK(result.status == 64);
    CHECK(live::count_lines(result.err) == 1);
    CHECK(result.out.empty());
  }
}

TEST_CASE("under full preemption no record is corrupt") {
  if (!mounted("debugfs")) mount("none", "/sys/kernel/debug", "debugfs", 0, nullptr);
  std::string release = test::read_file("/proc/sys/kernel/version");
  bool full = release.find("PREEMPT_RT") != std::string::npos || set("/sys/kernel/debug/sched/preempt", "full");
  umount("/sys/kernel/debug");
  if (!full) {
    test::skip("the kernel cannot be switched to full preemption", "preempt");
    return;
  }
  // Names of other lengths, so that a record into which two wrote cannot look right.
  test::TemporaryDirectory folder;
  constexpr int writers = 6, opens = 2000;
  live::Tool tool("opensnoop", {"--path", folder.path(), "--comm", "opens", "--buffer", "32M"});
  std::map<int, std::string> paths;
  std::vector<std::unique_ptr<Process>> processes;
  for (int i = 0; i < writers; i++) {
    std::string path =
        folder.path() + "/" + std::string(static_cast<std::size_t>(1 + i * 40), static_cast<char>('a' + i));
    std::ofstream(path) << "text";
    auto inside = [i] {
      if (nice(i * 3) < 0) _exit(126);  // so that one is taken off the processor by another
    };
    processes.push_back(std::make_unique<Process>(live::trigger("opens", {std::to_string(opens), path}),
                                                  live::Setup{.inside = inside}));
    paths[processes.back()->pid()] = path;
  }
  for (auto& process : processes) CHECK(process->wait() == 0);
  Result result = tool.stop();
  std::size_t wrong = 0;
  for (const Json& row : result.rows()) wrong += row["path"] != paths[row["pid"].get<int>()] || row["comm"] != "opens";
  CHECK(wrong == 0);
  INFO(result.end().dump());
  // A program that is preempted makes the kernel skip the same program for whoever else opens meanwhile, wanted or not:
  // of those it tells only how many there were. What the tool itself lost is all among the wanted.
  std::size_t made = writers * opens, skipped = result.end()["lost"].value("skipped", std::size_t{0});
  CHECK(result.row_lines() + result.lost() - skipped <= made);
  CHECK(result.row_lines() + result.lost() >= made);
}

TEST_CASE("in lockdown (confidentiality) a tool works, or one line names it: 69") {
  mount("none", "/sys/kernel/security", "securityfs", 0, nullptr);
  REQUIRE(set("/sys/kernel/security/lockdown", "confidentiality"));
  for (const Subject& subject : live::subjects()) {
    INFO(subject.tool);
    Result result = live::trace(subject.tool, subject.options, subject.command());
    INFO(result.err);
    if (result.status == 0) {
      CHECK(subject.shown(result) == subject.made);
      continue;
    }
    CHECK(result.status == 69);
    CHECK(result.err.find("lockdown") != std::string::npos);
    CHECK(live::count_lines(result.err) == 1);
  }
}
