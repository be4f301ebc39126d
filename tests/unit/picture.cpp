// SPDX-License-Identifier: BSD-2-Clause
// Pictures hold what was recorded, whatever the names are, and are what other programs take them for.
#include "kit/picture.hpp"

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>

#include "case.hpp"

namespace {

using Json = nlohmann::json;

kit::Picture hostile(bool time) {
  kit::Picture picture;
  picture.maker = "profile";
  picture.title = "<title> & \"more\"";
  picture.time = time;
  picture.clock = {.boot_ns = 5'000'000'000, .realtime_ns = 1'767'225'600'000'000'000, .utc_offset = 0};
  using Kind = kit::StackFrame::Kind;
  const char* names[] = {"main", "</script><script>alert(1)</script>", "a<b> & \"c\" 'd'; e", "]]>", "read", "\\u202e"};
  for (const char* name : names)
    picture.frames.push_back({.name = name,
                              .module = "/bin/a (b)",
                              .build_id = "ab",
                              .file = "x.c",
                              .address = 16,
                              .line = 7,
                              .inlined = false,
                              .kind = Kind::user});
  picture.frames[4].kind = Kind::kernel;
  picture.frames[3].inlined = true;
  picture.stacks.push_back({{0, 1, 2}, 1, 1, "co;mm", 30, 30});
  picture.stacks.push_back({{0, 1, 3}, 1, 1, "co;mm", 12, 12});
  picture.stacks.push_back({{0, 4}, 2, 3, "", 7, 7});
  picture.stacks.push_back({{}, 2, 3, "none", 1, 1});
  picture.stacks.push_back({{0, 1, 2}, 1, 1, "co;mm", 50, 50});
  return picture;
}

// What a program says of a file with these bytes; `%` in the command stands for its path.
test::Ran check_with(const std::string& command, const std::string& bytes) {
  test::TemporaryDirectory folder;
  std::string path = folder.path() + "/file", whole = command;
  std::ofstream(path, std::ios::binary) << bytes;
  for (std::size_t at; (at = whole.find('%')) != whole.npos;) whole.replace(at, 1, path);
  return test::run({"sh", "-c", whole});
}

bool missing(const std::string& program) { return test::run({"sh", "-c", "command -v " + program}).status != 0; }

}  // namespace

TEST_CASE("folded stacks add up, and are read back") {
  kit::Picture picture = hostile(false);
  std::string folded = kit::write_folded(picture);
  std::uint64_t sum = 0;
  for (const auto& [stack, count] : kit::read_folded(folded, "x")) sum += count;
  CHECK(sum == picture.total());
  CHECK(folded.find("co:mm;main;</script><script>alert(1)</script>;a<b> & \"c\" 'd': e 80\n") != folded.npos);
  CHECK(folded.find(";main;read_[k] 7\n") != folded.npos);
  CHECK_THROWS(kit::read_folded("no count\n", "x"));
  CHECK_THROWS(kit::read_folded("a;b -1\n", "x"));
}

TEST_CASE("flamegraph.pl reads folded stacks") {
  std::string program = "/usr/share/perl5/Devel/NYTProf/flamegraph.pl";
  if (test::run({"test", "-e", program}).status != 0) SKIP_CASE("there is no flamegraph.pl");
  test::Ran ran = check_with(program + " % 2>&1", kit::write_folded(hostile(false)));
  CHECK(ran.status == 0);
  CHECK(ran.out.find("<title>all (100 samples, 100%)</title>") != ran.out.npos);
}

TEST_CASE("flame graphs are whole, and nothing in them runs but what is ours") {
  kit::Picture picture = hostile(false);
  std::map<std::string, std::uint64_t> before = {{"co:mm;main", 5}};
  for (auto* compared : {static_cast<decltype(&before)>(nullptr), &before}) {
    std::string svg = kit::write_svg(picture, compared), html = kit::write_html(picture, compared);
    CHECK(svg.find("alert(1)</script>") == svg.npos);
    CHECK(html.find("alert(1)</script>") == html.npos);
    CHECK(svg.find("http://www.w3.org/2000/svg") == svg.rfind("http"));
    CHECK(html.find("http") == html.npos);
    if (!missing("xmllint")) CHECK(check_with("xmllint --noout %", svg).status == 0);
    if (!missing("rsvg-convert")) CHECK(check_with("rsvg-convert -o %.png %", svg).status == 0);
    std::size_t data = html.find("id=\"data\">") + 10;
    Json tree = Json::parse(html.substr(data, html.find("</script>", data) - data));
    CHECK(tree[2] == picture.total());
  }
  CHECK(kit::write_svg(kit::Picture{}).find("</svg>") != std::string::npos);
  CHECK(kit::write_html(kit::Picture{}).find("</html>") != std::string::npos);
}

TEST_CASE("JSON pictures add up") {
  for (bool time : {false, true}) {
    kit::Picture picture = hostile(time);
    Json speedscope = Json::parse(kit::write_speedscope(picture));
    std::uint64_t sum = 0;
    for (const Json& profile : speedscope["profiles"])
      for (const Json& weight : profile["weights"]) sum += weight.get<std::uint64_t>();
    CHECK(sum == picture.total());
    double weights = 0;
    Json firefox = Json::parse(kit::write_firefox(picture));
    for (const Json& thread : firefox["threads"])
      for (const Json& weight : thread["samples"]["weight"]) weights += weight.get<double>();
    CHECK(std::llround(weights * (time ? 1e6 : 1)) == static_cast<long long>(picture.total()));
    int open = 0;
    for (const Json& event : Json::parse(kit::write_chrome(picture))["traceEvents"]) {
      open += event["ph"] == "B" ? 1 : event["ph"] == "E" ? -1 : 0;
      CHECK(open >= 0);
    }
    CHECK(open == 0);
  }
}

TEST_CASE("protocol buffers are what protoc reads") {
  if (missing("protoc")) SKIP_CASE("there is no protoc");
  for (bool time : {false, true}) {
    test::Ran pprof = check_with("gzip -dc % | protoc --decode_raw", kit::write_pprof(hostile(time)));
    CHECK(pprof.status == 0);
    CHECK(pprof.out.find("6: \"a<b> & \\\"c\\\" \\'d\\'; e\"") != pprof.out.npos);
    test::Ran perfetto = check_with("protoc --decode_raw <%", kit::write_perfetto(hostile(time)));
    CHECK(perfetto.status == 0);
    CHECK(perfetto.out.find("23: \"]]>\"") != perfetto.out.npos);
  }
}

TEST_CASE("go tool pprof reads the totals") {
  if (missing("go")) SKIP_CASE("there is no go");
  test::Ran ran = check_with("go tool pprof -top % 2>&1", kit::write_pprof(hostile(false)));
  CHECK(ran.status == 0);
  CHECK(ran.out.find("of 100 total") != ran.out.npos);
}

TEST_CASE("a perf script has a sample for each that was counted") {
  std::string text = kit::write_perf_script(hostile(false));
  std::size_t samples = 0;
  for (std::size_t at = 0; (at = text.find(" cpu-clock: \n", at)) != text.npos; at++) samples++;
  CHECK(samples == 100);
  CHECK(text.find("read+0x0 ([kernel.kallsyms])") != text.npos);
}

TEST_CASE("a perf script of times has them as periods, and as what lies between samples") {
  kit::Picture picture = hostile(true);
  for (kit::PictureStack& stack : picture.stacks) stack.weight *= 1'000'000;
  std::string text = kit::write_perf_script(picture);
  std::smatch found;
  std::uint64_t sum = 0;
  std::map<std::string, std::pair<double, double>> threads;  // when each began, and its last sample, of no time
  for (auto at = text.cbegin();
       std::regex_search(at, text.cend(), found, std::regex("\n?(.*) (\\d+\\.\\d+): +(\\d+) time: \n"));
       at = found.suffix().first) {
    double time = std::stod(found[2]);
    threads.try_emplace(found[1], time, 0).first->second.second = time;
    sum += std::stoull(found[3]);
  }
  CHECK(sum == picture.total());
  double lasted = 0;
  for (const auto& [thread, times] : threads) lasted += times.second - times.first;
  CHECK(std::llround(lasted * 1e9) == static_cast<long long>(picture.total()));
  CHECK(threads.size() == 3);
}
