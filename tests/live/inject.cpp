// SPDX-License-Identifier: BSD-2-Clause
// inject: the chosen calls of the chosen callers fail, and no others.
#include <bpf/bpf.h>

#include <algorithm>

#include "harness.hpp"

using live::Json;
using live::Result;
using live::Words;
using live::operator+;

namespace {

// A process that makes calls when it is told to, and tells the error of each.
class Attempts : public live::Process {
 public:
  explicit Attempts(const std::string& call, int count, const std::string& place = "/dev/null")
      : Process(live::trigger("attempts", {call, std::to_string(count), place})), count_(count) {
    if (says() != "ready") throw std::runtime_error("attempts says: " + out().text());
  }
  std::vector<int> errors() {
    go();
    if (wait() != 0) throw std::runtime_error("attempts failed");
    out().wait_end();
    std::istringstream lines(out().text());
    std::string ready;
    lines >> ready;
    std::vector<int> all;
    for (int error; lines >> error;) all.push_back(error);
    return all;
  }

 private:
  int count_;
};

Words breaking(const std::string& what, const std::string& error) { return {what, "--error", error, "--yes-break-it"}; }

std::vector<int> all(std::size_t count, int error) { return std::vector<int>(count, error); }

std::size_t broken(const std::vector<int>& errors) {
  return errors.size() - static_cast<std::size_t>(std::count(errors.begin(), errors.end(), 0));
}

// How many programs of inject's are in the kernel.
int programs_left() {
  int left = 0;
  for (__u32 id = 0; bpf_prog_get_next_id(id, &id) == 0;) {
    live::Fd program(bpf_prog_get_fd_by_id(id));
    bpf_prog_info info{};
    __u32 size = sizeof info;
    if (program.get() < 0 || bpf_obj_get_info_by_fd(program.get(), &info, &size) != 0) continue;
    left += std::string(info.name).starts_with("hit_");
  }
  return left;
}

}  // namespace

TEST_CASE("mount, open and connect fail for the chosen process and for no other, in every way there is",
          "[each-kernel]") {
  NEEDS("root");
  NEEDS("fmod_ret");
  test::TemporaryDirectory directory;
  struct Operation {
    std::string name, error;
    int number;
  };
  for (const char* way : {"override", "fmod_ret", "lsm"}) {
    for (const Operation& one :
         {Operation{"mount", "EBUSY", EBUSY}, {"open", "EMFILE", EMFILE}, {"connect", "ENETUNREACH", ENETUNREACH}}) {
      if (live::run("inject", {one.name, "--explain", "--attach", way}).status != 0) continue;
      INFO(one.name << " by " << way);
      Attempts chosen(one.name, 5, directory.path()), other(one.name, 5, directory.path());
      live::Tool tool("inject", breaking(one.name, one.error) + Words{"-p", chosen.number(), "--attach", way});
      CHECK(other.errors() == all(5, 0));
      CHECK(chosen.errors() == all(5, one.number));
      Result result = tool.finish();
      INFO(result.out << result.err);
      CHECK(result.status == 0);
      auto rows = result.rows();
      REQUIRE(rows.size() == 5);
      for (std::size_t i = 0; i < rows.size(); i++) {
        CHECK(rows[i]["pid"] == chosen.pid());
        CHECK(rows[i]["tid"] == chosen.pid());
        CHECK(rows[i]["uid"] == 0);
        CHECK(rows[i]["comm"] == "attempts");
        CHECK(rows[i]["error"] == one.error);
        CHECK(rows[i]["call"] == i + 1);
        CHECK(rows[i]["operation"] == one.name);
        CHECK(rows[i]["function"].get<std::string>().find(one.name) != std::string::npos);
      }
      CHECK(result.lost() == 0);
      CHECK(Attempts(one.name, 5, directory.path()).errors() == all(5, 0));
    }
  }
  CHECK(live::run("inject", {"open", "--explain", "--attach", "fmod_ret"}).status == 0);
}

TEST_CASE("the third call only, each third, and no more than so many", "[each-kernel]") {
  NEEDS("root");
  NEEDS("fmod_ret");
  struct Choice {
    Words options;
    std::vector<int> errors;
  };
  for (const Choice& choice : {Choice{{"--nth", "3"}, {0, 0, EIO, 0, 0, 0, 0, 0, 0, 0}},
                               {{"--every", "3"}, {0, 0, EIO, 0, 0, EIO, 0, 0, EIO, 0}},
                               {{"--times", "4"}, {EIO, EIO, EIO, EIO, 0, 0, 0, 0, 0, 0}},
                               {{"-n", "4"}, {EIO, EIO, EIO, EIO, 0, 0, 0, 0, 0, 0}},
                               {{"--every", "3", "--times", "2"}, {0, 0, EIO, 0, 0, EIO, 0, 0, 0, 0}},
                               {{"--every", "3", "--nth", "6"}, {0, 0, 0, 0, 0, EIO, 0, 0, 0, 0}},
                               {{"--probability", "100%"}, all(10, EIO)}}) {
    INFO(Json(choice.options).dump());
    Attempts chosen("open", 10);
    live::Tool tool("inject", breaking("open", "EIO") + choice.options + Words{"-p", chosen.number()});
    CHECK(chosen.errors() == choice.errors);
    Result result = tool.finish();
    std::vector<int> calls(10);
    for (const Json& row : result.rows()) calls.at(row["call"].get<std::size_t>() - 1) = EIO;
    CHECK(calls == choice.errors);
    CHECK(result.lost() == 0);
  }
}

TEST_CASE("calls of several threads are counted one by one") {
  NEEDS("root");
  NEEDS("fmod_ret");
  for (const auto& [option, made] : {std::pair<Words, std::size_t>{{"--every", "10"}, 400},
                                     {{"--nth", "2017"}, 1},
                                     {{"--every", "2", "--times", "333"}, 333}}) {
    INFO(Json(option).dump());
    Attempts chosen("threads", 1000);
    live::Tool tool("inject", breaking("open", "EIO") + option + Words{"-p", chosen.number()});
    CHECK(broken(chosen.errors()) == made);
    Result result = tool.finish();
    std::set<int> calls;
    for (const Json& row : result.rows()) calls.insert(row["call"].get<int>());
    CHECK(calls.size() == made);
    CHECK(result.row_lines() == made);
    CHECK(result.lost() == 0);
  }
}

TEST_CASE("half of the calls fail, within three standard deviations") {
  NEEDS("root");
  NEEDS("fmod_ret");
  constexpr int calls = 10'000, deviation = 50;  // the root of calls / 4
  for (const char* half : {"0.5", "50%"}) {
    Attempts chosen("open", calls);
    live::Tool tool("inject", breaking("open", "EIO") + Words{"--probability", half, "-p", chosen.number()});
    auto failed = static_cast<int>(broken(chosen.errors()));
    Result result = tool.finish();
    CHECK(failed >= calls / 2 - 3 * deviation);
    CHECK(failed <= calls / 2 + 3 * deviation);
    CHECK(result.row_lines() == static_cast<std::size_t>(failed));
    CHECK(result.lost() == 0);
  }
}

TEST_CASE("what no record has room for is not broken, but counted") {
  NEEDS("root");
  NEEDS("fmod_ret");
  Attempts chosen("open", 2000);
  live::Tool tool("inject", breaking("open", "EIO") + Words{"--buffer", "4K", "-p", chosen.number()});
  std::size_t failed = broken(chosen.errors());
  Result result = tool.finish();
  CHECK(result.row_lines() == failed);
  CHECK(result.row_lines() + result.lost() == 2000);
}

TEST_CASE("only beneath a function") {
  NEEDS("root");
  NEEDS("fmod_ret");
  live::File file;
  Attempts chosen("write", 8, file.path());
  live::Tool tool("inject", breaking("write", "ENOSPC") + Words{"--stack", "do_writev", "-p", chosen.number()});
  CHECK(chosen.errors() == std::vector<int>{0, ENOSPC, 0, ENOSPC, 0, ENOSPC, 0, ENOSPC});
  Result result = tool.finish();
  INFO(result.out << result.err);
  CHECK(result.row_lines() == 4);
  CHECK(result.lost() == 0);
}

TEST_CASE("writes fail where writes are to fail, and not where reads are") {
  NEEDS("root");
  NEEDS("fmod_ret");
  live::File file;
  for (const auto& [operation, error] : {std::pair{"write", ENOSPC}, {"read", 0}}) {
    Attempts chosen("write", 4, file.path());
    live::Tool tool("inject", breaking(operation, "ENOSPC") + Words{"--times", "4", "-p", chosen.number()});
    CHECK(chosen.errors() == all(4, error));
    CHECK(tool.finish().row_lines() == (error ? 4 : 0));
  }
}

TEST_CASE("a command that is traced starts, and what it does then fails") {
  NEEDS("root");
  NEEDS("fmod_ret");
  Result opens = live::trace("inject", breaking("open", "EMFILE"), live::trigger("opens", {"3", "/dev/null"}));
  INFO(opens.out << opens.err);
  CHECK(opens.row_lines() == 3);
  std::string ends = test::trigger_path("ends");
  Result exec = live::trace("inject", breaking("exec", "EACCES"), {"bash", "-c", ends + " 1 || exit 9"});
  CHECK(exec.status == 0);
  CHECK(exec.row({{"comm", "bash"}})["error"] == "EACCES");
  CHECK(exec.end()["command"]["exit"] == 9);
}

TEST_CASE("the tool and its ancestors are spared, whoever is chosen") {
  NEEDS("root");
  NEEDS("fmod_ret");
  std::ifstream comm("/proc/self/comm");
  std::string own;
  std::getline(comm, own);
  Attempts chosen("open", 3);
  live::Tool tool("inject", breaking("open", "EIO") + Words{"--comm", own + ",inject,corekit,attempts"});
  CHECK(live::Fd(open("/dev/null", O_RDONLY | O_CLOEXEC)).get() >= 0);
  CHECK(chosen.errors() == all(3, EIO));
  Result result = tool.stop();
  CHECK(result.status == 0);
  CHECK(result.rows({{"pid", chosen.pid()}}).size() == 3);
  CHECK(result.row_lines() == 3);
}

TEST_CASE("a tool that is killed leaves nothing behind", "[each-kernel]") {
  NEEDS("root");
  NEEDS("fmod_ret");
  Attempts before("open", 3), after("open", 3);
  live::Tool tool("inject", breaking("open", "EIO") + Words{"--comm", "attempts"});
  CHECK(before.errors() == all(3, EIO));
  CHECK(programs_left() == 1);
  tool.send(SIGKILL);
  CHECK(tool.wait() == 128 + SIGKILL);
  CHECK(after.errors() == all(3, 0));
  CHECK(Attempts("open", 3).errors() == all(3, 0));
  for (int i = 0; i < 1000 && programs_left(); i++) usleep(10'000);  // the kernel frees them when none can run it
  CHECK(programs_left() == 0);
}

TEST_CASE("-d ends it") {
  NEEDS("root");
  NEEDS("fmod_ret");
  Attempts after("open", 3);
  live::Tool tool("inject", breaking("open", "EIO") + Words{"-d", "50ms", "-p", after.number()});
  CHECK(tool.finish().status == 0);
  CHECK(after.errors() == all(3, 0));
}

TEST_CASE("a function is broken by its name, and --list tells what can be") {
  NEEDS("root");
  NEEDS("fmod_ret");
  Attempts chosen("connect", 3);
  live::Tool tool("inject", breaking("kernel:security_socket_connect", "EPERM") + Words{"-p", chosen.number()});
  CHECK(chosen.errors() == all(3, EPERM));
  CHECK(tool.finish().rows({{"operation", "kernel:security_socket_connect"}}).size() == 3);
  Result list = live::run("inject", {"--list"});
  INFO(list.err);
  CHECK(list.status == 0);
  for (const char* name : {"mount", "open", "connect", "exec", "mmap", "write", "kernel:security_socket_connect"}) {
    INFO(name);
    Json row = list.row({{"name", name}});
    CHECK(row["way"].is_string());
    CHECK(row["by"].is_string());
  }
  CHECK(list.rows().size() > 150);
  CHECK(list.rows({{"name", "kernel:vfs_read"}}).empty());
}

TEST_CASE("what cannot be broken here: 69 and one line", "[any-kernel]") {
  NEEDS("root");
  std::size_t refused = 0;
  for (const Words& options : {Words{}, {"--attach", "override"}, {"--attach", "lsm"}}) {
    Words all = breaking("open", "EIO") + Words{"--comm", "nobody-is-called-so"} + options;
    if (live::run("inject", Words{"open", "--explain"} + options).status == 0) continue;
    Result result = live::run("inject", all);
    CHECK(result.status == 69);
    CHECK(result.out.empty());
    CHECK(live::count_lines(result.err) == 1);
    CHECK(result.err.find("cannot break open") != std::string::npos);
    refused++;
  }
  if (!refused) SKIP_CASE("this kernel lets everything be broken in every way");
}

TEST_CASE("the cgroup that everybody is in is no choice") {
  NEEDS("cgroup2");
  if (access("/sys/fs/cgroup/cgroup.controllers", F_OK) != 0) SKIP_CASE("cgroup v2 is mounted elsewhere", "cgroup2");
  Result result = live::run("inject", breaking("open", "EIO") + Words{"--cgroup", "/sys/fs/cgroup"});
  CHECK(result.status == 64);
  CHECK(result.err.find("all processes") != std::string::npos);
}

TEST_CASE("what is wrong with the command line: 64, one line, and the nearest name") {
  NEEDS("btf");
  std::string own = std::to_string(getpid());
  struct Wrong {
    Words options;
    std::string says;
  };
  for (const Wrong& wrong :
       {Wrong{{"conect", "--error", "EIO"}, "did you mean connect?"},
        {{"kernel:security_file_opn", "--error", "EIO"}, "did you mean kernel:security_file_open?"},
        {{"open", "--error", "ENOSPACE"}, "did you mean ENOSPC?"},
        {{"open"}, "--error"},
        {{}, "name an operation"},
        {{"open", "mount"}, "mount"},
        {{"open", "--error", "EIO", "--yes-break-it"}, "choose"},
        {{"open", "--error", "EIO", "--yes-break-it", "--comm", "*"}, "all processes"},
        {{"open", "--error", "EIO", "--yes-break-it", "--tree", "1"}, "all processes"},
        {{"open", "--error", "EIO", "--comm", "x"}, "--yes-break-it"},
        {{"open", "--error", "EIO", "--yes-break-it", "-p", "1"}, "PID 1"},
        {{"open", "--error", "EIO", "--yes-break-it", "-p", own}, "ancestor"},
        {{"open", "--error", "EIO", "--yes-break-it", "--comm", "x", "--stack", "vfs_writevv"},
         "did you mean vfs_writev?"},
        {{"open", "--error", "EIO", "--probability", "2"}, "--probability"},
        {{"open", "--error", "EIO", "--nth", "0"}, "--nth"},
        {{"kernel:fget", "--error", "EIO"}, "struct file *"}}) {
    INFO(Json(wrong.options).dump());
    Result result = live::run("inject", wrong.options);
    INFO(result.err);
    CHECK(result.status == 64);
    CHECK(result.out.empty());
    CHECK(live::count_lines(result.err) == 1);
    CHECK(result.err.find(wrong.says) != std::string::npos);
  }
}
