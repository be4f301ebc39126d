// SPDX-License-Identifier: BSD-2-Clause
// How long a run lasts, how it ends, and what is told of that.
#include <csignal>

#include "subjects.hpp"

using live::Json;
using live::Process;
using live::Subject;
using live::Words;
using live::operator+;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

namespace {

// Whether a process, known by its pidfd, ends; whoever adopts it need not have taken its status.
bool ends(const live::Fd& process) {
  pollfd wait{.fd = process.get(), .events = POLLIN, .revents = 0};
  return poll(&wait, 1, live::patience.count()) > 0;
}

bool streams(const Subject& subject) { return !subject.counts; }
// Acts are what most tools show, not hits in a file of its own, or of the one probe that trace is told.
bool sees_acts(const Subject& subject) { return !subject.placed && subject.tool != "trace"; }

// All switches that a process's threads made because they had nothing to do.
long wake_ups(int pid) {
  long sum = 0;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task")) {
    std::ifstream status(thread.path() / "status");
    for (std::string key; status >> key;)
      if (long count; key == "voluntary_ctxt_switches:" && status >> count) sum += count;
  }
  return sum;
}

}  // namespace

TEST_CASE("SIGINT, SIGTERM and SIGHUP end a run with its summary", "[any-kernel]") {
  NEEDS("root");
  Process idle(live::idle());
  for (const Subject& subject : live::samples()) {
    for (int signal : {SIGINT, SIGTERM, SIGHUP}) {
      INFO(subject.tool << " " << strsignal(signal));
      live::Tool tool(subject.tool, live::least(subject.tool) + Words{"-p", idle.number()});
      live::Result result = tool.stop(signal);
      CHECK(result.status == 0);
      CHECK(result.end()["rows"] == result.row_lines());
      CHECK(result.end().contains("lost"));
      CHECK(result.end()["command"] == nullptr);
    }
  }
}

TEST_CASE("what was seen before the end is shown") {
  NEEDS("root");
  for (const Subject& subject : live::samples()) {
    INFO(subject.tool);
    Process process(subject.command(), {.gated = true});
    live::Tool tool(subject.tool, subject.options + Words{"--tree", process.number()});
    process.go();
    process.wait();
    CHECK(subject.shown_of(tool.stop(SIGTERM), process.pid()) == subject.made);
  }
}

namespace {

// How many lines only say what the tool does not see here.
std::size_t lesser_lines(const std::string& err) {
  std::size_t lines = 0;
  for (std::size_t at = 0; (at = err.find(": lesser form: ", at)) != err.npos; at++) lines++;
  return lines;
}

}  // namespace

TEST_CASE("a closed pipe ends a run quietly", "[any-kernel]") {
  NEEDS("root");
  live::File file;
  for (const Subject& subject : live::samples()) {
    for (bool json : {true, false}) {
      if (!sees_acts(subject)) continue;
      INFO(subject.tool << (json ? " JSON" : " text"));
      Process acts(live::trigger("acts", {file.path()}));
      acts.says();
      Words options = {"--tree", acts.number()};
      if (!streams(subject)) options.insert(options.end(), {"-i", "20ms"});
      live::Tool tool(subject.tool, options, {.json = json});
      acts.go();
      CHECK(tool.out().wait([](std::string_view text) { return std::count(text.begin(), text.end(), '\n') > 1; }));
      tool.out().close();
      for (int i = 0; i < 1000 && !tool.ended(milliseconds(20)); i++) acts.go();
      live::Result result = tool.finish();
      CHECK(result.status == 0);
      CHECK(live::count_lines(result.err) == lesser_lines(result.err));
    }
  }
}

TEST_CASE("-d ends a run after that long", "[any-kernel]") {
  NEEDS("root");
  Process idle(live::idle());
  for (const Subject& subject : live::samples()) {
    INFO(subject.tool);
    live::Tool tool(subject.tool, live::least(subject.tool) + Words{"-p", idle.number(), "-d", "400ms"});
    auto begin = Clock::now();
    live::Result result = tool.finish();
    CHECK(result.status == 0);
    CHECK(result.end()["rows"] == 0);
    CHECK(Clock::now() - begin > milliseconds(300));
    CHECK(Clock::now() - begin < milliseconds(1500));
  }
}

TEST_CASE("-n ends a run after so many rows", "[any-kernel]") {
  NEEDS("root");
  live::File file;
  for (const Subject& subject : live::samples()) {
    if (!streams(subject) || !sees_acts(subject)) continue;
    INFO(subject.tool);
    Process acts(live::trigger("acts", {file.path()}));
    acts.says();
    live::Tool tool(subject.tool, {"--tree", acts.number(), "-n", "5"});
    for (int i = 0; i < 20; i++) acts.go();
    live::Result result = tool.finish();
    CHECK(result.status == 0);
    CHECK(result.row_lines() == 5);
    CHECK(result.end()["rows"] == 5);
  }
}

TEST_CASE("a run ends with the last process of -p") {
  NEEDS("root");
  for (const Subject& subject : live::samples()) {
    INFO(subject.tool);
    Process one(live::trigger("ends"), {.gated = true}), two(live::trigger("ends"), {.gated = true});
    live::Tool tool(subject.tool, live::least(subject.tool) + Words{"-p", one.number() + "," + two.number()});
    one.go();
    one.wait();
    CHECK_FALSE(tool.ended(milliseconds(200)));
    two.go();
    two.wait();
    CHECK(tool.finish().status == 0);
  }
}

TEST_CASE("the command's status is told, and ours stays our own") {
  NEEDS("root");
  for (const Subject& subject : live::samples()) {
    INFO(subject.tool);
    auto end_of = [&](const char* status) {
      return live::trace(subject.tool, live::least(subject.tool), live::trigger("ends", {status}));
    };
    live::Result good = end_of("0"), three = end_of("3"), killed = end_of("-11");
    CHECK(good.status == 0);
    CHECK(good.end()["command"] == Json{{"exit", 0}});
    CHECK(good.err.find("command") == std::string::npos);
    CHECK(three.status == 0);
    CHECK(three.end()["command"] == Json{{"exit", 3}});
    CHECK(three.err.find("exited with 3\n") != std::string::npos);
    CHECK(killed.status == 0);
    CHECK(killed.end()["command"] == Json{{"signal", "SIGSEGV"}});
    CHECK(killed.err.find("SIGSEGV\n") != std::string::npos);
  }
}

TEST_CASE("the command's output goes to our standard error, its input is ours", "[any-kernel]") {
  NEEDS("root");
  for (const Subject& subject : live::samples()) {
    INFO(subject.tool);
    live::Result said = live::trace(subject.tool, live::least(subject.tool), {"echo", "said by the command"});
    CHECK(said.err.find("said by the command\n") != std::string::npos);
    for (const std::string& line : said.lines()) CHECK(Json::accept(line));
    live::Tool cat(subject.tool, live::least(subject.tool) + Words{"--", "cat"});
    cat.go();
    cat.close_input();
    live::Result result = cat.finish();
    CHECK(result.err.ends_with("x"));
    CHECK(result.end()["command"] == Json{{"exit", 0}});
  }
}

TEST_CASE("a command that cannot be started: 1, and one line", "[any-kernel]") {
  NEEDS("root");
  live::File file;
  for (const Subject& subject : live::samples()) {
    for (const std::string& command :
         {std::string("no-such-command"), std::string("/nonexistent/program"), file.path()}) {
      INFO(subject.tool << " -- " << command);
      live::Result result = live::trace(subject.tool, live::least(subject.tool), {command}, {.json = false});
      CHECK(result.status == 1);
      CHECK(result.err.find(command) != std::string::npos);
      CHECK(live::count_lines(result.err) == lesser_lines(result.err) + 1);
    }
  }
}

TEST_CASE("SIGTERM is passed on to the command") {
  NEEDS("root");
  for (const Subject& subject : live::samples()) {
    INFO(subject.tool);
    live::Tool tool(subject.tool, live::least(subject.tool) + Words{"--"} + live::idle());
    auto told = [](std::string_view text) { return text.find(" \n") != text.npos; };
    REQUIRE(tool.err().wait(told));
    std::string text = tool.err().text();
    text.resize(text.rfind(" \n"));
    int command = std::stoi(text.substr(text.rfind('\n') + 1));
    live::Fd process(static_cast<int>(syscall(SYS_pidfd_open, command, 0)));
    REQUIRE(process.get() >= 0);
    CHECK(tool.stop(SIGTERM).status == 0);
    CHECK(ends(process));
  }
}

TEST_CASE("the command goes on when -d or -n ends the run", "[any-kernel]") {
  NEEDS("root");
  for (const Words& length : {Words{"-d", "300ms"}, Words{"-n", "1"}}) {
    INFO(length[0]);
    live::Tool tool("execsnoop", length + Words{"--"} + live::idle());
    CHECK(tool.wait() == 0);
    tool.out().wait_end();
    int command = live::Result{0, tool.out().text(), ""}.row({{"comm", "says"}})["pid"];
    CHECK(kill(command, 0) == 0);
    kill(command, SIGKILL);
    CHECK(tool.finish().end()["command"] == nullptr);
  }
}

TEST_CASE("output into a pipe comes line by line, soon", "[any-kernel]") {
  NEEDS("root");
  live::File file;
  for (const Subject& subject : live::samples()) {
    // Each act's child reads a random number of its own when it starts.
    if (!streams(subject) || !sees_acts(subject) || subject.tool == "randomread") continue;
    for (bool json : {true, false}) {
      INFO(subject.tool << (json ? " JSON" : " text"));
      Process acts(live::trigger("acts", {file.path()}));
      acts.says();
      live::Tool tool(subject.tool, {"--tree", acts.number()}, {.json = json});
      std::vector<milliseconds> waits;
      // One line stands at the beginning: the start or the headings. Each act is one row.
      for (std::size_t lines = 2; lines < 9; lines++) {
        auto begin = Clock::now();
        acts.go();
        CHECK(tool.out().wait([&](std::string_view text) {
          return std::count(text.begin(), text.end(), '\n') >= static_cast<std::ptrdiff_t>(lines);
        }));
        waits.push_back(std::chrono::duration_cast<milliseconds>(Clock::now() - begin));
        CHECK(live::count_lines(tool.out().text()) == lines);
      }
      std::sort(waits.begin(), waits.end());
      CHECK(waits[3].count() < 100);
      CHECK_FALSE(tool.ended(milliseconds(0)));
      CHECK(tool.stop().status == 0);
    }
  }
}

TEST_CASE("an idle tool wakes up less than five times a second", "[any-kernel]") {
  NEEDS("root");
  Process idle(live::idle());
  std::vector<std::unique_ptr<live::Tool>> tools;
  for (const Subject& subject : live::samples())
    tools.push_back(std::make_unique<live::Tool>(subject.tool, live::least(subject.tool) + Words{"-p", idle.number()}));
  std::vector<long> before;
  for (auto& tool : tools) before.push_back(wake_ups(tool->pid()));
  std::this_thread::sleep_for(std::chrono::seconds(3));
  for (std::size_t i = 0; i < tools.size(); i++) {
    INFO(live::samples()[i].tool);
    CHECK(wake_ups(tools[i]->pid()) - before[i] < 15);
  }
}
