// SPDX-License-Identifier: BSD-2-Clause
// What every tool keeps besides filters and lengths: exit codes, output, privilege, captures, attach ways.
#include <linux/capability.h>
#include <linux/perf_event.h>

#include <map>

#include "subjects.hpp"

using live::Json;
using live::Process;
using live::Result;
using live::Subject;
using live::Words;
using live::operator+;

namespace {

constexpr int cap_perfmon = 38, cap_bpf = 39;  // newer than some headers

void as_nobody() { live::become_nobody(); }
void as_tracer() { live::become_nobody({cap_bpf, cap_perfmon}); }
// Before 5.11 maps count as locked memory, whose limit only this capability raises.
void as_tracer_with_memory() { live::become_nobody({cap_bpf, cap_perfmon, CAP_SYS_RESOURCE}); }
bool memory_is_locked() {
  std::istringstream release(test::read_file("/proc/sys/kernel/osrelease"));
  int major = 0, minor = 0;
  char point;
  release >> major >> point >> minor;
  return major < 5 || (major == 5 && minor < 11);
}

// Debian's 5.10 and 6.1 ask for more than CAP_PERFMON where kernel.perf_event_paranoid is 3, as they have it.
bool perf_events_ask_admin() {
  pid_t child = fork();
  if (child == 0) {
    as_tracer();
    perf_event_attr clock{};
    clock.size = sizeof clock;
    clock.type = PERF_TYPE_SOFTWARE;
    _exit(syscall(SYS_perf_event_open, &clock, -1, 0, -1, 0) < 0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status != 0;
}

// Lines on stderr besides that of a lesser form and what a command says, which is numbers.
std::size_t complaints(const Result& result) {
  std::istringstream text(result.err);
  std::size_t count = 0;
  for (std::string line; std::getline(text, line);)
    count += line.find("lesser form") == line.npos && line.find(": ") != line.npos;
  return count;
}

struct Wrong {
  std::string tool;  // of all if empty
  Words options;
  std::string said;  // what the line must contain
};

const std::vector<Wrong> wrongs = {
    {"", {"--no-such-option"}, "--no-such-option"},
    {"", {"--outptu", "json"}, "--output"},
    {"", {"-~"}, "-~"},
    {"", {"-d"}, "-d"},
    {"", {"-d", "soon"}, "soon"},
    {"", {"-d", "0"}, "duration"},
    {"", {"-d", "5parsecs"}, "5parsecs"},
    {"", {"-n", "0"}, "--count"},
    {"", {"-n", "many"}, "many"},
    {"", {"-p", "0"}, "--pid"},
    {"", {"-p", "me"}, "me"},
    {"", {"-p", "2147483647"}, "2147483647"},
    {"", {"-p", "1,2147483647"}, "2147483647"},
    {"", {"-t", "2147483647"}, "2147483647"},
    {"", {"--tree", "2147483647"}, "2147483647"},
    {"", {"-u", "rooot"}, "root"},
    {"", {"-u", "no such user at all"}, "no such user at all"},
    {"", {"--comm", "[a"}, "[a"},
    {"", {"--comm", ""}, "--comm"},
    {"", {"--cgroup", "/nonexistent"}, "/nonexistent"},
    {"", {"--cgroup", "/proc"}, "/proc"},
    {"", {"--buffer", "lots"}, "lots"},
    {"", {"--buffer", "0"}, "--buffer"},
    {"", {"--time", "noon"}, "iso"},
    {"", {"-o", "xml"}, "json"},
    {"", {"--attach", "glue"}, "glue"},
    {"", {"--ready-fd", "x"}, "--ready-fd"},
    {"", {"--ready-fd", "9999"}, "--ready-fd"},
    {"", {"--"}, "command"},
    {"", {"stray"}, "stray"},
    {"", {"--replay", "/dev/null", "-p", "1"}, "--replay"},
    {"hello", {"5"}, "-d"},
    {"opensnoop", {"5"}, "-d"},
    {"opensnoop", {"--errno", "ENOENTT"}, "ENOENT"},
    {"opensnoop", {"--errno", "nothing"}, "nothing"},
    {"opensnoop", {"--path", ""}, "--path"},
    {"opensnoop", {"--path", std::string(300, 'p')}, "255"},
    {"opensnoop", {"-i", "1"}, "-i"},
    {"execsnoop", {"--max-args", "129K"}, "128K"},
    {"execsnoop", {"--max-args", "0"}, "--max-args"},
    {"execsnoop", {"--ancestors", "17"}, "16"},
    {"execsnoop", {"--ancestors", "0"}, "16"},
    {"syscount", {"--syscall", "opennat"}, "openat"},
    {"syscount", {"--syscall", "read,wriet"}, "write"},
    {"syscount", {"--errno", "EAGIAN"}, "EAGAIN"},
    {"syscount", {"--top", "0"}, "--top"},
    {"syscount", {"1", "2", "3"}, "3"},
    {"syscount", {"1", "often"}, "often"},
    {"syscount", {"-i", "0"}, "--interval"},
};

void check_wrong(const std::string& tool, const Wrong& wrong, const live::Setup& setup) {
  INFO(tool << ' ' << Json(wrong.options).dump());
  bool of_the_plan = wrong.options.front() == "--attach";  // which is made last
  Result result = live::run(tool, (of_the_plan ? live::least(tool) : Words{}) + wrong.options, setup);
  INFO(result.err);
  CHECK(result.status == 64);
  CHECK(result.out.empty());
  CHECK(live::count_lines(result.err) == 1);
  CHECK(result.err.starts_with(tool + ": "));
  CHECK(result.err.find(wrong.said) != std::string::npos);
}

// What a run shows of its command, without what differs from run to run; of stacks the addresses, since a program that
// has ended may have been gone before its names were looked up.
std::vector<Json> essence(const Result& result) {
  std::vector<Json> rows = result.rows();
  for (Json& row : rows) {
    for (const char* key :
         {"time", "pid", "tid", "ppid", "ran_ns", "since_ns", "latency_ns", "total_ns", "average_ns", "p99_ns"})
      row.erase(key);
    for (Json& value : row) {
      if (!value.is_array()) continue;
      for (Json& frame : value)
        if (frame.is_object() && frame.contains("addr")) frame = Json(frame["addr"]);
    }
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

std::string rfc3339_now() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  tm parts{};
  gmtime_r(&now.tv_sec, &parts);
  char day[32], text[64];
  strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &parts);
  snprintf(text, sizeof text, "%s.%09ldZ", day, now.tv_nsec);
  return text;
}

// A trigger with a name that does harm on a terminal and is not UTF-8.
constexpr const char* hostile = "\x1b[2J\xff\x9b\n";
std::string hostile_copy(const live::File& beside, const std::string& trigger) {
  std::string path = beside.folder() + "/" + hostile;
  std::filesystem::copy_file(test::trigger_path(trigger), path, std::filesystem::copy_options::overwrite_existing);
  chmod(path.c_str(), 0755);
  return path;
}

bool harmful(unsigned char byte) { return (byte < 32 && byte != '\n') || byte == 127 || byte == 0xff; }

}  // namespace

TEST_CASE("wrong options: 64 and exactly one line, whoever asks", "[any-kernel]") {
  for (const std::string& tool : test::tools())
    for (const Wrong& wrong : wrongs)
      if (wrong.tool.empty() || wrong.tool == tool) check_wrong(tool, wrong, {.json = false});
}

TEST_CASE("wrong options are found before privilege is asked for", "[any-kernel]") {
  NEEDS("root");
  for (const std::string& tool : test::tools())
    for (const Wrong& wrong : wrongs)
      if (wrong.tool.empty() || wrong.tool == tool) check_wrong(tool, wrong, {.inside = as_nobody, .json = false});
}

TEST_CASE("without capabilities: 77 and one line that names them") {
  NEEDS("root");
  for (const std::string& tool : test::tools()) {
    if (live::lists().contains(tool)) continue;
    INFO(tool);
    Result none = live::run(tool, live::least(tool), {.inside = as_nobody});
    INFO(none.err);
    CHECK(none.status == 77);
    CHECK(none.out.empty());
    CHECK(live::count_lines(none.err) == 1);
    CHECK(none.err.find("CAP_BPF") != std::string::npos);
    CHECK(none.err.find("CAP_PERFMON") != std::string::npos);
    Result half = live::run(tool, live::least(tool), {.inside = [] { live::become_nobody({cap_bpf}); }});
    CHECK(half.status == 77);
    CHECK(live::count_lines(half.err) == 1);
    CHECK(half.err.find("CAP_PERFMON") != std::string::npos);
    CHECK(half.err.find("CAP_BPF") == std::string::npos);
  }
}

TEST_CASE("with CAP_BPF and CAP_PERFMON alone every tool works") {
  NEEDS("root");
  for (const Subject& subject : live::subjects()) {
    INFO(subject.tool);
    auto inside = memory_is_locked() ? as_tracer_with_memory : as_tracer;
    Result result = live::trace(subject.tool, subject.options, subject.command(), {.inside = inside});
    INFO(result.err);
    // A classic tracepoint is named, and found in tracefs.
    if (result.status == 77 && result.err.find("tracefs cannot be read") != std::string::npos) {
      CHECK(live::count_lines(result.err) == 1);
      continue;
    }
    // For probes of programs since 6.16, and where events of all kinds ask for more.
    if (result.status == 77 && (subject.placed || perf_events_ask_admin())) {
      CHECK(live::count_lines(result.err) == 1);
      CHECK(result.err.find("CAP_SYS_ADMIN") != std::string::npos);
      continue;
    }
    CHECK(result.status == 0);
    CHECK(subject.shown(result) == subject.made);
    CHECK(result.lost() == 0);
  }
}

TEST_CASE("with CAP_BPF and CAP_PERFMON alone probes of programs work, or 77 and one line that names CAP_SYS_ADMIN") {
  NEEDS("root");
  live::File file;  // a copy that anybody may read
  std::string marks = file.folder() + "/marks", texts = file.folder() + "/texts";
  for (const char* name : {"marks", "texts"}) {
    std::filesystem::copy_file(test::trigger_path(name), file.folder() + "/" + name);
    chmod((file.folder() + "/" + name).c_str(), 0755);
  }
  auto inside = memory_is_locked() ? as_tracer_with_memory : as_tracer;
  auto check = [&](const std::string& tool, const Words& options, const Words& command, std::size_t rows) {
    Result result = live::trace(tool, options, command, {.inside = inside});
    INFO(result.err);
    if (result.status == 0) {
      CHECK(result.row_lines() == rows);
      return;
    }
    CHECK(result.status == 77);
    CHECK(live::count_lines(result.err) == 1);
    CHECK(result.err.find("CAP_SYS_ADMIN") != std::string::npos);
  };
  check("usdtsnoop", {marks, "test:values"}, {marks, "4"}, 4);
  check("strlencount", {"--lib", texts, "--func", "look_up", "--arg", "1"}, {texts, "4"}, 4);
}

TEST_CASE("help, usage and version need nothing", "[any-kernel]") {
  NEEDS("root");
  for (const std::string& tool : test::tools()) {
    for (const char* option : {"--help", "-?", "--usage", "--version", "-V"}) {
      INFO(tool << ' ' << option);
      Result result = live::run(tool, {option}, {.inside = as_nobody, .json = false});
      CHECK(result.status == 0);
      CHECK(result.err.empty());
      CHECK(result.out.find(tool) != std::string::npos);
    }
    CHECK(live::run(tool, {"-V"}).out.starts_with(tool + " (corekit) "));
    CHECK(live::run(tool, {"--help"}).out.find("Examples:\n") != std::string::npos);
  }
}

TEST_CASE("a full disk: 1 and one line", "[any-kernel]") {
  NEEDS("root");
  live::Fd full(open("/dev/full", O_WRONLY | O_CLOEXEC));
  for (const Subject& subject : live::subjects()) {
    for (bool json : {true, false}) {
      INFO(subject.tool << (json ? " JSON" : " text"));
      Result result = live::trace(subject.tool, subject.options, subject.command(), {.out = full.get(), .json = json});
      INFO(result.err);
      CHECK(result.status == 1);
      CHECK(complaints(result) == 1);
      CHECK(result.err.find("No space left") != std::string::npos);
      CHECK(live::run(subject.tool, live::least(subject.tool) + Words{"--explain"}, {.out = full.get(), .json = json})
                .status == 1);
      CHECK(live::run(subject.tool, {"--help"}, {.out = full.get(), .json = json}).status == 1);
    }
  }
}

TEST_CASE("JSON begins with the start and ends with the end") {
  NEEDS("root");
  for (const Subject& subject : live::samples()) {
    INFO(subject.tool);
    std::string before = rfc3339_now();
    Result result = live::trace(subject.tool, subject.options, subject.command());
    Json start = result.start(), end = result.end();
    CHECK(start["schema"] == 1);
    CHECK(start["tool"] == subject.tool);
    CHECK(start["time"].get<std::string>() >= before);
    CHECK(start["time"].get<std::string>() <= rfc3339_now());
    CHECK(start["clock"]["boot_ns"].is_number_unsigned());
    CHECK(start["clock"]["realtime_ns"].is_number_unsigned());
    CHECK(start["filters"]["command"] == Json(subject.command()));
    CHECK(start["plan"]["form"].is_string());
    for (const char* key : {"version", "kernel", "arch"}) CHECK(start[key].is_string());
    CHECK(end["rows"] == result.row_lines());
    CHECK(end["lost"].is_object());
    std::size_t about = 0;  // how the rows came about
    for (const char* type : {"samples", "stacks", "broken_stacks"}) about += result.lines_of(type);
    CHECK(live::count_lines(result.out) == result.row_lines() + about + 2);
  }
}

TEST_CASE("a row's time is that of its event, and in order") {
  NEEDS("root");
  for (const Subject& subject : live::samples()) {
    if (subject.counts) continue;
    INFO(subject.tool);
    Process process(subject.command(), {.gated = true});
    live::Tool tool(subject.tool, subject.options + Words{"--tree", process.number()});
    std::string before = rfc3339_now(), last = before;
    process.go();
    process.wait();
    std::string after = rfc3339_now();
    for (const Json& row : tool.stop().rows()) {
      CHECK(row["time"].get<std::string>() >= last);
      last = row["time"];
    }
    CHECK(last > before);
    CHECK(last <= after);
  }
}

TEST_CASE("hostile names come back exactly from JSON and are harmless in text", "[any-kernel]") {
  NEEDS("root");
  live::File file;
  for (const Subject& subject : live::subjects()) {
    if (subject.placed) continue;  // a copy is another file
    INFO(subject.tool);
    Words command = subject.command();
    command[0] = hostile_copy(file, subject.trigger);
    Result json = live::trace(subject.tool, subject.options, command);
    auto rows = json.rows();
    REQUIRE_FALSE(rows.empty());
    CHECK(rows[0]["comm"] == "\x1b[2J\xef\xbf\xbd\xef\xbf\xbd\n");
    CHECK(rows[0]["comm_base64"] == "G1sySv+bCg==");
    CHECK(subject.shown(json) == subject.made);
    Result text = live::trace(subject.tool, subject.options, command, {.json = false});
    CHECK(std::count_if(text.out.begin(), text.out.end(), harmful) == 0);
    if (!rows[0].contains("stack") && !rows[0].contains("waker_stack"))
      CHECK(live::count_lines(text.out) == json.row_lines() + 1);
    CHECK(text.out.find("[2J") != std::string::npos);
  }
}

TEST_CASE("a hostile path is harmless in text", "[any-kernel]") {
  NEEDS("root");
  live::File file(hostile);
  Words command = live::trigger("opens", {"2", file.path()});
  Result text = live::trace("opensnoop", {}, command, {.json = false});
  CHECK(std::count_if(text.out.begin(), text.out.end(), harmful) == 0);
  CHECK(live::count_lines(text.out) == 3);
  auto rows = live::trace("opensnoop", {}, command).rows();
  CHECK(rows.size() == 2);
  for (const Json& row : rows) CHECK(live::from_base64(row.value("path_base64", "")) == file.path());
}

TEST_CASE("a replay shows what was recorded, to anyone", "[any-kernel]") {
  NEEDS("root");
  for (const Subject& subject : live::samples()) {
    INFO(subject.tool);
    live::File capture("capture");
    Words options = subject.options + Words{"--record", capture.path()};
    if (subject.counts) options = options + Words{"-i", "50ms"};
    Result live = live::trace(subject.tool, options, subject.command());
    CHECK(subject.shown(live) == subject.made);
    chmod(capture.path().c_str(), 0644);
    Result again = live::run(subject.tool, subject.options + Words{"--replay", capture.path()}, {.inside = as_nobody});
    INFO(again.err);
    CHECK(again.status == 0);
    CHECK(again.rows() == live.rows());
    CHECK(again.end() == live.end());
    CHECK(again.start()["plan"] == live.start()["plan"]);
    CHECK(again.start()["clock"] == live.start()["clock"]);
    std::string other = subject.tool == "hello" ? "opensnoop" : "hello";
    Result wrong = live::run(other, {"--replay", capture.path()});
    CHECK(wrong.status == 1);
    CHECK(live::count_lines(wrong.err) == 1);
  }
}

TEST_CASE("a replay of an execsnoop that waits for ends", "[any-kernel]") {
  NEEDS("root");
  live::File capture("capture");
  std::string ends = test::trigger_path("ends");
  Words options = {"--exit", "--all", "--cwd", "--ancestors", "3"};
  Result live = live::trace("execsnoop", options + Words{"--record", capture.path()},
                            {"bash", "-c", ends + " 1; " + ends + " -9; /nonexistent; exec " + ends + " 3"});
  CHECK(live.row_lines() == 5);
  CHECK(live::run("execsnoop", options + Words{"--replay", capture.path()}).rows() == live.rows());
}

TEST_CASE("a replay takes -n and other formats", "[any-kernel]") {
  NEEDS("root");
  live::File capture("capture");
  live::trace("opensnoop", {"--record", capture.path()}, live::trigger("opens", {"9", "/dev/null"}));
  CHECK(live::run("opensnoop", {"--replay", capture.path(), "-n", "4"}).row_lines() == 4);
  CHECK(live::run("opensnoop", {"--replay", capture.path()}, {.json = false}).lines().size() == 10);
  CHECK(live::run("opensnoop", {"--replay", capture.path(), "-o", "csv"}, {.json = false}).lines().size() == 10);
}

TEST_CASE("a replay of what is no capture: 1 and one line", "[any-kernel]") {
  for (const std::string& tool : test::tools()) {
    for (const char* file : {"/dev/null", "/proc/self/exe", "/nonexistent", "/"}) {
      INFO(tool << ' ' << file);
      Result result = live::run(tool, {"--replay", file});
      CHECK(result.status == 1);
      CHECK(result.out.empty());
      CHECK(live::count_lines(result.err) == 1);
    }
  }
}

TEST_CASE("--explain tells the plan, in text and JSON", "[any-kernel]") {
  NEEDS("root");
  for (const std::string& tool : test::tools()) {
    INFO(tool);
    Result text = live::run(tool, {"--explain"}, {.json = false}), json = live::run(tool, {"--explain"});
    CHECK(text.err.empty());
    CHECK(text.status == json.status);
    Json plan = Json::parse(json.out);
    if (json.status == 69 && live::choosy().contains(tool)) {
      CHECK(plan["form"] == "none");
      CHECK_FALSE(plan["events"][0]["refused"].empty());
      continue;
    }
    CHECK(json.status == 0);
    CHECK((plan["form"] == "full" || plan["form"] == "lesser"));
    REQUIRE((plan["events"].size() >= 1) != live::lists().contains(tool));
    for (const Json& event : plan["events"]) {
      CHECK_FALSE(event["way"].get<std::string>().empty());
      CHECK(event["hooks"].size() >= 1);
      CHECK(text.out.find(event["event"].get<std::string>() + ": " + event["way"].get<std::string>()) !=
            std::string::npos);
      for (const Json& refused : event["refused"]) CHECK_FALSE(refused["why"].get<std::string>().empty());
    }
    CHECK(text.out.find("form: " + plan["form"].get<std::string>()) != std::string::npos);
  }
}

TEST_CASE("every --attach way that this kernel takes shows the same", "[each-kernel]") {
  NEEDS("root");
  for (const Subject& subject : live::subjects()) {
    std::map<Words, std::vector<Json>> usual;  // by the options
    std::size_t taken = 0;
    for (const Words& way : subject.ways) {
      Words options = subject.options + Words(way.begin() + 1, way.end());
      Words forced = options + Words{"--attach", way[0]};
      INFO(subject.tool << ' ' << Json(forced).dump());
      Result result = live::trace(subject.tool, forced, subject.command());
      INFO(result.err);
      if (result.status == 69 && result.err.find("cannot see") != std::string::npos) continue;
      taken++;
      CHECK(result.status == 0);
      CHECK(result.start()["plan"]["events"].dump().find("\"way\":\"" + way[0]) != std::string::npos);
      CHECK(subject.shown(result) == subject.made);
      // Whom the clock interrupts to wake a sleeper is another each time.
      if (subject.sampled || result.rows().at(0).contains("waker_pid")) continue;
      auto shown = [&](const Result& one) {
        std::vector<Json> rows = essence(one);
        if (subject.untold)
          for (Json& row : rows) row.erase("count");
        return rows;
      };
      if (!usual.contains(options)) usual[options] = shown(live::trace(subject.tool, options, subject.command()));
      CHECK(shown(result) == usual[options]);
    }
    INFO(subject.tool);
    CHECK(taken > 0);
  }
}

TEST_CASE("all ways of opensnoop and execsnoop agree on what is not simple") {
  NEEDS("root");
  live::File file;
  auto agree = [](const std::string& tool, const Words& ways, const Words& options, const Words& command) {
    std::vector<Json> first;
    std::size_t taken = 0;
    for (const std::string& way : ways) {
      Words forced = options + Words{"--attach", way};
      INFO(tool << ' ' << Json(forced).dump() << ' ' << Json(command).dump());
      Result result = live::trace(tool, forced, command);
      if (result.status == 69 && result.err.find("cannot see") != std::string::npos) continue;
      taken++;
      if (first.empty()) first = essence(result);
      CHECK(result.row_lines() > 0);
      CHECK(essence(result) == first);
    }
    // BTF and raw tracepoints are on every kernel that runs the tools.
    CHECK(taken >= 2);
  };
  Words ways = {"fexit", "tracepoints", "btf", "raw"};
  agree("opensnoop", ways, {}, live::trigger("open_ways", {file.path()}));
  agree("opensnoop", ways, {"-F"}, live::trigger("open_in", {"dirfd", file.folder(), "file"}));
  agree("opensnoop", ways, {"-F"}, live::trigger("open_in", {"root", file.folder(), "missing"}));
  Words fails = live::trigger("exec_fails", {"/nonexistent", "4", "an argument"});
  agree("execsnoop", {"tracepoints", "btf", "raw"}, {"-x"}, fails);
  agree("execsnoop", {"tracepoints", "btf", "raw"}, {"--all", "--exit", "--cwd"}, fails);
  agree("syscount", {"btf", "raw"}, {}, live::trigger("calls", {"getppid", "500", "close", "20", "chdir", "10"}));
}

TEST_CASE("with the least buffer, lost and shown are together what was made") {
  NEEDS("root");
  auto forks = live::heavy(3000), opens = live::heavy(5000), execs = live::heavy(200);
  std::string loop = "for i in {1.." + std::to_string(execs) + "}; do " + test::trigger_path("ends") + "; done; exec " +
                     test::trigger_path("ends");
  struct Storm {
    std::string tool;
    Words options, command;
    std::size_t made;
  };
  const std::vector<Storm> storms = {
      {"hello", {}, live::trigger("forks", {std::to_string(forks)}), forks},
      {"opensnoop", {}, live::trigger("opens", {std::to_string(opens), "/dev/null"}), opens},
      {"opensnoop", {"-F"}, live::trigger("opens", {std::to_string(opens), "/dev/null"}), opens},
      {"execsnoop", {}, {"bash", "-c", loop}, execs + 2},
      {"execsnoop", {"--max-args", "128K"}, {"bash", "-c", loop}, execs + 2},
      {"execsnoop", {"--cwd"}, {"bash", "-c", loop}, execs + 2},
  };
  for (const Storm& storm : storms) {
    INFO(storm.tool << ' ' << Json(storm.options).dump());
    Result result = live::trace(storm.tool, storm.options + Words{"--buffer", "4K", "--strict"}, storm.command);
    CHECK(result.row_lines() + result.lost() == storm.made);
    CHECK(result.status == (result.lost() ? 3 : 0));
    CHECK((result.err.find("ring_full") != std::string::npos) == (result.lost() > 0));
  }
}

TEST_CASE("more processes than syscount -P has room for are counted as lost", "[any-kernel]") {
  NEEDS("root");
  Result result =
      live::trace("syscount", {"-P", "--syscall", "getppid", "--strict"}, live::trigger("forks", {"20000"}));
  const Subject& subject = live::subject("syscount");
  CHECK(subject.shown(result) + result.lost() == 20'000);
  CHECK(result.lost() > 0);
  CHECK(result.status == 3);
}

TEST_CASE("--strict without a loss is 0", "[any-kernel]") {
  NEEDS("root");
  for (const Subject& subject : live::samples()) {
    INFO(subject.tool);
    CHECK(live::trace(subject.tool, subject.options + Words{"--strict"}, subject.command()).status == 0);
  }
}
