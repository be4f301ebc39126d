// SPDX-License-Identifier: BSD-2-Clause
// kprobe, kretprobe, fentry and fexit by trace, count, hist, funclatency and stackcount: known calls of known
// functions.
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include "harness.hpp"

using live::Json;
using live::Words;
using live::operator+;

namespace {

constexpr const char* sleeper = "hrtimer_nanosleep";  // calls nanosleep N calls it N times

live::Result hits(const Words& probes, const Words& command) { return live::trace("trace", probes, command); }
Words sleeps(int count) { return live::trigger("calls", {"nanosleep", std::to_string(count)}); }
Words opens(const std::string& path, int count) { return live::trigger("opens", {std::to_string(count), path}); }

std::string refusal(const std::string& tool, const Words& words, int status = 64) {
  live::Result result = live::run(tool, words);
  INFO(Json(words).dump() << ": " << result.err);
  CHECK(result.status == status);
  CHECK(result.out.empty());
  CHECK(live::count_lines(result.err) == 1);
  return result.err;
}

// Three epolls, each in the next, and then in a fourth: the kernel walks the three for a loop, calling itself.
void nest_epolls() {
  std::vector<live::Fd> all;
  for (int i = 0; i < 4; i++) {
    all.emplace_back(epoll_create1(EPOLL_CLOEXEC));
    epoll_event event{};
    if (i && epoll_ctl(all[i].get(), EPOLL_CTL_ADD, all[i - 1].get(), &event) != 0)
      throw std::runtime_error("no epoll in another");
  }
}

std::vector<std::string> kernel_functions() {
  std::ifstream file("/proc/kallsyms");
  std::string address, type, name, rest;
  std::vector<std::string> all;
  while (file >> address >> type >> name && std::getline(file, rest))
    if (type == "t" || type == "T") all.push_back(name);
  return all;
}

}  // namespace

TEST_CASE("a kernel function's calls are seen with their arguments and results", "[each-kernel]") {
  NEEDS("kprobe");
  live::Result result = hits({std::string("kprobe:") + sleeper, "arg1", "pid", "func",
                              std::string("kretprobe:") + sleeper, "retval", "latency"},
                             sleeps(3));
  INFO(result.out << result.err);
  CHECK(result.status == 0);
  auto rows = result.rows();
  REQUIRE(rows.size() == 6);
  for (std::size_t i = 0; i < 6; i += 2) {
    CHECK(rows[i]["values"]["arg1"] == "HRTIMER_MODE_REL");  // an enumeration, by the kernel's types
    CHECK(rows[i]["values"]["pid"] == rows[i]["pid"]);
    CHECK(rows[i]["values"]["func"] == sleeper);
    CHECK(rows[i + 1]["values"]["retval"] == 0);
    CHECK(rows[i + 1]["values"]["latency_ns"].get<std::uint64_t>() >= 1'000'000);
  }
  CHECK(result.lost() == 0);
}

TEST_CASE("a place within a kernel function is probed, one inside an instruction is refused") {
  NEEDS("kprobe");
#ifndef __x86_64__
  SKIP_CASE("its instructions are known on x86_64 only");
#endif
  auto at = [](const std::string& offset) { return std::string("kprobe:") + sleeper + offset; };
  CHECK(refusal("trace", {at("+1")}).find("it is not where an instruction begins") != std::string::npos);
  // Behind the five bytes that ftrace keeps for itself, before which another four may mark where jumps may lead to.
  live::Result result = hits({at("+5"), "nsecs"}, sleeps(3));
  if (result.status != 0) result = hits({at("+9"), "nsecs"}, sleeps(3));
  INFO(result.out << result.err);
  CHECK(result.row_lines() == 3);
  CHECK(refusal("trace", {at("+0x100000")}).find("is below") != std::string::npos);
  CHECK(refusal("trace", {at("+5"), "arg0"}).find("▶arg0: within a function") != std::string::npos);
}

TEST_CASE("opened files' names, flags and descriptors are those of the kernel's own function") {
  NEEDS("kprobe");
  live::File file;
  std::string mine = "/filename == \"" + file.path() + "\"/";
  live::Result result = hits({"kprobe:do_sys_openat2", mine, "arg1:str", "how->flags:flags", "kretprobe:do_sys_openat2",
                              "/retval >= 3/", "retval"},
                             live::trigger("opens", {"2", file.path(), "w"}));
  INFO(result.out << result.err);
  CHECK(result.status == 0);
  auto entries = result.rows({{"probe", "kprobe:do_sys_openat2"}});
  REQUIRE(entries.size() == 2);
  for (const Json& row : entries) {
    CHECK(row["values"]["arg1"] == file.path());
    CHECK(row["values"]["how->flags"].get<std::string>().starts_with("O_WRONLY|O_APPEND"));
  }
  CHECK(result.rows({{"probe", "kretprobe:do_sys_openat2"}, {"values", {{"retval", 3}}}}).size() == 2);
}

TEST_CASE("a path is followed through the kernel's structures without headers") {
  NEEDS("kprobe");
  live::File file("by-btf");
  for (const char* probe : {"kprobe:vfs_open", "fentry:vfs_open"}) {
    if (std::string(probe).starts_with("fentry") && !test::lacks("fentry").empty()) continue;
    live::Result result = hits({probe, "/path->dentry->d_name.name == \"by-btf\"/", "path->dentry->d_name.name",
                                "((struct path *)arg0).dentry.d_parent->d_name.len:d"},
                               opens(file.path(), 4));
    INFO(result.out << result.err);
    REQUIRE(result.row_lines() == 4);
    CHECK(result.rows()[0]["values"]["path->dentry->d_name.name"] == "by-btf");
    CHECK(result.rows()[0]["values"]["((struct path *)arg0).dentry.d_parent->d_name.len"] ==
          file.folder().substr(file.folder().rfind('/') + 1).size());
  }
}

TEST_CASE("fexit has arguments and results at once, and latency with its entry", "[each-kernel]") {
  NEEDS("fentry");
  live::Result result = hits({std::string("fexit:") + sleeper, "mode", "retval", "latency"}, sleeps(3));
  if (result.status == 69) SKIP_CASE("this kernel refuses fexit", "fentry");
  INFO(result.out << result.err);
  REQUIRE(result.row_lines() == 3);
  for (const Json& row : result.rows()) {
    CHECK(row["values"]["mode"] == "HRTIMER_MODE_REL");
    CHECK(row["values"]["retval"] == 0);
    CHECK(row["values"]["latency_ns"].get<std::uint64_t>() >= 1'000'000);
  }
  CHECK(hits({"fentry:vfs_ope?", "path->dentry->d_name.len", std::string("fentry:") + sleeper}, sleeps(3))
            .rows({{"probe", std::string("fentry:") + sleeper}})
            .size() == 3);
}

TEST_CASE("a glob counts each kernel function by itself", "[each-kernel]") {
  NEEDS("kprobe");
  live::File file;
  // A few, since a kernel without kprobe.multi takes its time for each.
  auto opened = [&](int count) -> int {
    live::Result result = live::trace("count", {"kprobe:vfs_o*"}, opens(file.path(), count));
    INFO(result.out << result.err);
    CHECK(result.status == 0);
    return result.row({{"probe", "kprobe:vfs_open"}})["count"];
  };
  int few = opened(1);
  CHECK(opened(1001) == few + 1000);
}

TEST_CASE("thousands of functions are probed at once, or refused in one line that tells the limit") {
  NEEDS("kprobe");
  live::Result result = live::trace("count", {"kprobe:[a-d]*"}, live::trigger("steps"));
  INFO(result.err);
  if (result.status != 0) {  // before kprobe.multi (5.18)
    CHECK(result.status == 69);
    CHECK(live::count_lines(result.err) == 1);
    CHECK(result.err.find("500 are the limit") != std::string::npos);
    CHECK(result.out.empty());
    return;
  }
  std::string place = result.start()["plan"]["events"][0]["hooks"][0];  // "kprobe:[a-d]* (7000 functions)"
  INFO(place);
  REQUIRE(place.ends_with(" functions)"));
  CHECK(std::stoi(place.substr(place.find('(') + 1)) > 5000);
  CHECK(result.row_lines() > 0);
}

TEST_CASE("a function that the compiler has renamed is found by its source's name") {
  NEEDS("kprobe");
  auto all = kernel_functions();
  std::set<std::string> names(all.begin(), all.end());
  std::set<std::string> tried;
  for (const std::string& name : all) {
    std::size_t dot = name.find('.');
    bool renamed = name.ends_with(".isra.0") || name.ends_with(".part.0") || name.ends_with(".constprop.0");
    std::string plain = name.substr(0, dot);
    if (!renamed || name.starts_with("__pfx_") || name.find('.', dot + 1) != name.rfind('.') || names.contains(plain) ||
        names.contains("__" + plain))
      continue;
    if (std::count(all.begin(), all.end(), name) != 1 || !tried.insert(plain).second) continue;
    live::Result result = live::run("count", {"kprobe:" + plain, "-d", "1"});
    INFO(plain << ": " << result.out << result.err);
    if (result.err.find("cannot probe") != std::string::npos && tried.size() < 20) continue;  // among what is forbidden
    CHECK(result.status == 0);
    CHECK(result.start()["plan"].dump().find(name) != std::string::npos);
    return;
  }
  SKIP_CASE("this kernel has no function that is known by another name only");
}

TEST_CASE("a module's function is probed") {
  NEEDS("kprobe");
  auto all = kernel_functions();
  live::Fd control(open("/dev/loop-control", O_RDWR | O_CLOEXEC));
  if (control.get() < 0 || std::find(all.begin(), all.end(), "loop_control_ioctl") == all.end())
    SKIP_CASE("there are no loop devices", "loop");
  live::Tool tool("trace", {"kprobe:loop_control_ioctl", "arg1:x", "kretprobe:loop_control_ioctl", "latency", "-p",
                            std::to_string(getpid())});
  ioctl(control.get(), 0x4C82);  // LOOP_CTL_GET_FREE
  live::Result result = tool.stop();
  INFO(result.out << result.err);
  REQUIRE(result.row_lines() == 2);
  CHECK(result.rows()[0]["values"]["arg1"] == "0x4c82");
}

TEST_CASE("calls of the kernel's own recursion are told apart") {
  NEEDS("kprobe");
  Words here = {"-p", std::to_string(getpid())};
  live::Tool rows("trace", Words{"kretprobe:ep_loop_check_proc", "latency"} + here);
  nest_epolls();
  live::Result result = rows.stop();
  INFO(result.out << result.err);
  // The last walk is one of several epolls: the inner ones return first.
  auto all = result.rows();
  REQUIRE(all.size() >= 5);
  auto latency = [](const Json& row) { return row["values"]["latency_ns"].get<std::uint64_t>(); };
  CHECK(latency(all[all.size() - 1]) > latency(all[all.size() - 2]));
  live::Tool tool("funclatency", Words{"ep_loop_check_proc"} + here);
  nest_epolls();
  result = tool.stop();
  INFO(result.out << result.err);
  REQUIRE(result.histograms().size() == 1);
  CHECK(result.histograms()[0]["count"] == all.size());
  CHECK(result.lost() == 0);
}

TEST_CASE("latency of kernel functions as histograms, together and by function") {
  NEEDS("kprobe");
  test::TemporaryDirectory folder;
  auto reads = [&](int count) -> std::uint64_t {
    live::Result result = live::trace("hist", {"kretprobe:vfs_read", "latency"},
                                      live::trigger("files", {folder.path(), "read", std::to_string(count)}));
    INFO(result.out << result.err);
    CHECK(result.status == 0);
    return result.histograms().empty() ? 0 : result.histograms()[0]["count"].get<std::uint64_t>();
  };
  std::uint64_t few = reads(1);
  CHECK(reads(51) == few + 50);
  live::Result each = live::trace("funclatency", {sleeper, "do_nanosleep", "--per-function"}, sleeps(3));
  INFO(each.out << each.err);
  for (const char* function : {sleeper, "do_nanosleep"}) {
    auto of = each.histograms({{"probe", std::string("kretprobe:") + function}});
    REQUIRE(of.size() == 1);
    CHECK(of[0]["count"] == 3);
  }
  if (!test::lacks("fentry").empty()) return;
  live::Result typed = live::trace("funclatency", {"--fexit", sleeper}, sleeps(5));
  if (typed.status == 69) return;  // a kernel that takes fentry and no fexit
  CHECK(typed.histograms()[0]["count"] == 5);
}

TEST_CASE("a kernel function's stacks name who calls it") {
  NEEDS("kprobe");
  live::Result result = live::trace("stackcount", {std::string("kprobe:") + sleeper}, sleeps(20));
  INFO(result.out << result.err);
  std::uint64_t sum = 0;
  bool called = false;
  for (const Json& row : result.rows()) {
    sum += row["count"].get<std::uint64_t>();
    for (const Json& frame : row["stack"])
      called |=
          frame["name"].is_string() && frame["name"].get<std::string>().find("sys_nanosleep") != std::string::npos;
  }
  CHECK(sum == 20);
  CHECK(called);
}

TEST_CASE("a kernel function is counted by the kernel's stacks", "[each-kernel]") {
  NEEDS("kprobe");
  live::Result result = live::trace("count", {std::string("kprobe:") + sleeper, "kstack"}, sleeps(20));
  INFO(result.out << result.err);
  std::uint64_t sum = 0;
  for (const Json& row : result.rows()) {
    sum += row["count"].get<std::uint64_t>();
    bool called = false;
    for (const Json& frame : row["values"]["kstack"])
      called |=
          frame["name"].is_string() && frame["name"].get<std::string>().find("sys_nanosleep") != std::string::npos;
    CHECK(called);
  }
  CHECK(sum == 20);
  CHECK(result.lost() == 0);
}

TEST_CASE("probes of several kinds at once, each with its own plan, in the order of time") {
  NEEDS("kprobe");
  live::Result result =
      hits({std::string("kprobe:") + sleeper, "/arg1 == HRTIMER_MODE_REL/", "arg1:u", "probe",
            std::string("kprobe:do_nanosleep"), "cpu", std::string("kretprobe:") + sleeper, "retval:x", "begin", "end"},
           sleeps(2));
  INFO(result.out << result.err);
  std::vector<std::string> probes;
  for (const Json& row : result.rows()) probes.push_back(row["probe"]);
  std::string own = sleeper;
  CHECK(probes == std::vector<std::string>{"begin", "kprobe:" + own, "kprobe:do_nanosleep", "kretprobe:" + own,
                                           "kprobe:" + own, "kprobe:do_nanosleep", "kretprobe:" + own, "end"});
}

TEST_CASE("a wrong kernel function, parameter or place is marked") {
  NEEDS("kprobe");
  CHECK(refusal("trace", {"kprobe:vfs_opne"}).find("did you mean vfs_open?") != std::string::npos);
  CHECK(refusal("trace", {"kprobe:vfs_open", "pth->dentry"}).find("did you mean path?") != std::string::npos);
  CHECK(refusal("trace", {"kretprobe:vfs_open", "path"}).find("▶path: arguments are gone") != std::string::npos);
  CHECK(refusal("trace", {"kretprobe:vfs_open+4"}).find("a return has no offset") != std::string::npos);
  CHECK(refusal("trace", {"kprobe:"}).find("▶") != std::string::npos);
  CHECK(refusal("trace", {"fentry:vfs_opne"}).find("did you mean vfs_open?") != std::string::npos);
}
