// SPDX-License-Identifier: BSD-2-Clause
// Time lines hold the spans that the rows tell of, each once and none over another of its track.
#include "disks.hpp"

using live::Json;
using live::Words;
using live::operator+;

namespace {

// The options of all the kinds of files, with a file for each.
struct Files {
  live::File folder;
  std::string path(const std::string& kind) const { return folder.folder() + "/" + kind; }
  Words options() const {
    Words all;
    for (const char* kind : {"chrome", "perfetto", "firefox", "speedscope"}) all = all + Words{cat(kind), path(kind)};
    return all;
  }
  Json json(const std::string& kind) const { return Json::parse(test::read_file(path(kind))); }
  static std::string cat(const char* kind) { return std::string("--") + kind; }
};

struct Span {
  std::int64_t begin, end;  // ns
  std::string name;
};
// By what names the track.
using Tracks = std::map<std::string, std::vector<Span>>;

std::int64_t ns(const Json& number, double unit) { return std::llround(number.get<double>() * unit); }

Tracks chrome(const Json& file) {
  Tracks tracks;
  for (const Json& event : file["traceEvents"])
    if (event["ph"] == "X")
      tracks[event["pid"].dump() + "/" + event["tid"].dump()].push_back(
          {ns(event["ts"], 1e3), ns(event["ts"], 1e3) + ns(event["dur"], 1e3), event["name"]});
  return tracks;
}

Tracks speedscope(const Json& file) {
  Tracks tracks;
  for (const Json& profile : file["profiles"])
    for (const Json& event : profile["events"]) {
      std::string name = file["shared"]["frames"][event["frame"].get<std::size_t>()]["name"];
      auto& spans = tracks[profile["name"]];
      if (event["type"] == "O") {
        spans.push_back({event["at"], 0, name});
        continue;
      }
      REQUIRE(spans.back().name == name);
      spans.back().end = event["at"];
    }
  return tracks;
}

Tracks firefox(const Json& file) {
  Tracks tracks;
  for (const Json& thread : file["threads"])
    for (std::size_t i = 0; i < thread["markers"]["length"]; i++)
      tracks[thread["name"]].push_back(
          {ns(thread["markers"]["startTime"][i], 1e6), ns(thread["markers"]["endTime"][i], 1e6),
           file["shared"]["stringArray"][thread["markers"]["name"][i].get<std::size_t>()]});
  return tracks;
}

// As protoc writes it that knows nothing of the names.
Tracks perfetto(const std::string& path) {
  test::Ran ran = test::run({"sh", "-c", "protoc --decode_raw <" + path});
  REQUIRE(ran.status == 0);
  Tracks tracks;
  std::istringstream lines(ran.out);
  std::int64_t time = 0;
  int type = 0;
  std::string track;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("  8: ")) time = std::stoll(line.substr(5));
    if (line.starts_with("    9: ")) type = std::stoi(line.substr(7));
    if (line.starts_with("    11: ")) track = line.substr(8);
    if (line.starts_with("    11: ") && type == 2) tracks[track].back().end = time;
    if (line.starts_with("    23: ")) tracks[track].push_back({time, 0, line.substr(9, line.size() - 10)});
  }
  return tracks;
}

// How often something of a name took so long.
std::map<std::pair<std::string, std::int64_t>, int> lengths(const Tracks& tracks) {
  std::map<std::pair<std::string, std::int64_t>, int> all;
  for (const auto& [track, spans] : tracks)
    for (const Span& span : spans) all[{span.name, span.end - span.begin}]++;
  return all;
}

void check_apart(const Tracks& tracks) {
  for (const auto& [track, spans] : tracks)
    for (std::size_t i = 0; i < spans.size(); i++) {
      CHECK(spans[i].begin <= spans[i].end);
      if (i) CHECK(spans[i - 1].end <= spans[i].begin);
    }
}

bool has_protoc() { return test::run({"sh", "-c", "command -v protoc"}).status == 0; }

}  // namespace

TEST_CASE("disksnoop's time line has each I/O on its disk's track, and those at one time side by side") {
  NEEDS("root");
  NEEDS("loop");
  live::LoopDisk disk;
  Files files;
  live::Process io(live::trigger("disk_io", {disk.path(), "read", "4096", "64", "8"}), {.gated = true});
  live::Tool tool("disksnoop", Words{"--disk", disk.name(), "--comm", "disk_io"} + files.options());
  io.go();
  CHECK(io.wait() == 0);
  live::Result result = tool.stop(SIGTERM);
  INFO(result.err);
  CHECK(result.status == 0);
  CHECK(result.row_lines() + result.lost() == 64);
  std::map<std::pair<std::string, std::int64_t>, int> made;
  for (const Json& row : result.rows()) made[{row["op"], row["latency_ns"]}]++;

  Tracks in_chrome = chrome(files.json("chrome")), in_speedscope = speedscope(files.json("speedscope"));
  CHECK(lengths(in_chrome) == made);
  CHECK(lengths(in_speedscope) == made);
  CHECK(lengths(firefox(files.json("firefox"))) == made);
  check_apart(in_chrome);
  check_apart(in_speedscope);
  CHECK(in_chrome.size() > 1);
  CHECK(in_chrome.size() <= 8);
  CHECK(in_speedscope.contains(disk.name()));
  CHECK(in_speedscope.contains(disk.name() + " (2)"));
  CHECK(firefox(files.json("firefox")).contains(disk.name()));
  std::int64_t most = 0;
  Json file = files.json("chrome");
  for (const Json& event : file["traceEvents"])
    if (event["ph"] == "C") most = std::max(most, event["args"]["count"].get<std::int64_t>());
  CHECK(most == static_cast<std::int64_t>(in_chrome.size()));
  if (has_protoc()) {
    Tracks in_perfetto = perfetto(files.path("perfetto"));
    CHECK(lengths(in_perfetto) == made);
    CHECK(in_perfetto.size() == in_chrome.size());
    check_apart(in_perfetto);
  }
}

TEST_CASE("execsnoop's time line has each program on its process's track, from its start to its end") {
  NEEDS("root");
  Files files;
  std::string ends = test::trigger_path("ends");
  live::Result result = live::trace("execsnoop", Words{"--exit"} + files.options(),
                                    {"bash", "-c", ends + " 1 30; " + ends + " 2 & wait; exec " + ends + " 3 50"});
  INFO(result.out << result.err);
  auto rows = result.rows();
  REQUIRE(rows.size() == 4);
  std::map<std::pair<std::string, std::int64_t>, int> ended;
  std::string shell;
  for (const Json& row : rows) {
    if (row["comm"] == "bash")
      shell = row["pid"].dump();
    else
      ended[{row["comm"], row["ran_ns"]}]++;
  }
  Tracks in_chrome = chrome(files.json("chrome"));
  REQUIRE(in_chrome.size() == 3);
  check_apart(in_chrome);
  // The shell became a program: both are on its track, one from where the other ended.
  Tracks in_speedscope = speedscope(files.json("speedscope"));
  auto& both = in_speedscope["ends (" + shell + ")"];
  REQUIRE(both.size() == 2);
  CHECK(both[0].name == "bash");
  CHECK(both[1].name == "ends");
  CHECK(both[0].end == both[1].begin);
  CHECK(both[0].end - both[0].begin > 30'000'000);
  ended[{"bash", both[0].end - both[0].begin}]++;
  CHECK(lengths(in_speedscope) == ended);
  CHECK(lengths(firefox(files.json("firefox"))) == ended);
  if (has_protoc()) CHECK(lengths(perfetto(files.path("perfetto"))) == ended);
}

TEST_CASE("what still runs at the end reaches to it, and so it does when the capture is shown again") {
  NEEDS("root");
  live::File capture;
  Files files, again;
  live::Process ends(live::trigger("ends", {"0", "600000"}), {.gated = true});
  live::Tool tool("execsnoop",
                  Words{"--exit", "-p", ends.number(), "-d", "1", "--record", capture.path()} + files.options());
  ends.go();
  CHECK(tool.finish().status == 0);
  Tracks shown = chrome(files.json("chrome"));
  REQUIRE(shown.size() == 1);
  const Span& span = shown.begin()->second.at(0);
  CHECK(span.name == "ends");
  CHECK(span.end - span.begin > 500'000'000);
  CHECK(live::run("execsnoop", Words{"--exit", "--replay", capture.path()} + again.options()).status == 0);
  for (const char* kind : {"chrome", "perfetto", "firefox", "speedscope"})
    CHECK(test::read_file(files.path(kind)) == test::read_file(again.path(kind)));
}

TEST_CASE("time lines and rows share the files as pictures do", "[any-kernel]") {
  live::File file;
  std::string capture = test::source_dir() + "/tests/data/disksnoop/capture";
  auto shown = [&](const Words& options, bool json) {
    return live::run("disksnoop", Words{"--replay", capture} + options, {.json = json});
  };
  CHECK(Json::parse(shown({"--chrome", "-"}, false).out).contains("traceEvents"));
  CHECK(shown({"--chrome", "-"}, true).status == 64);
  CHECK(shown({"--chrome", "-", "--speedscope", "-"}, false).status == 64);
  CHECK(shown({"--chrome", "/nonexistent/file"}, true).status == 1);
  CHECK(shown({"--chrome", "/dev/full"}, true).status == 1);
  live::Result limited = shown({"-n", "2", "--chrome", file.path()}, true);
  CHECK(limited.row_lines() == 2);
  CHECK(lengths(chrome(Json::parse(test::read_file(file.path())))).size() == 2);
  live::Result refused = live::run("execsnoop", {"--chrome", file.path()});
  CHECK(refused.status == 64);
  CHECK(refused.err == "execsnoop: a time line goes with --exit\n");
}
