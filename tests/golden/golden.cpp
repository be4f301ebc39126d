// SPDX-License-Identifier: BSD-2-Clause
// From the bytes of a capture to text, JSON and CSV: each tool's own binary with --replay, against committed files.
// scripts/golden rewrites those.
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "case.hpp"

namespace fs = std::filesystem;

namespace {

std::string data_of(const std::string& tool) { return test::source_dir() + "/tests/data/" + tool; }

std::vector<std::string> recorded() {
  std::vector<std::string> names;
  for (const std::string& tool : test::tools())
    if (fs::exists(data_of(tool) + "/capture")) names.push_back(tool);
  return names;
}

// The tool's own options for its replay, those that the capture was made with.
std::vector<std::string> options_of(const std::string& tool) {
  std::ifstream file(data_of(tool) + "/options");
  return {std::istream_iterator<std::string>(file), {}};
}

test::Ran replay(const std::string& tool, const std::string& capture, const std::vector<std::string>& more,
                 const std::string& zone = "UTC") {
  std::vector<std::string> words = {"timeout", "20", test::tool_path(tool), "--replay", capture};
  for (const std::string& option : options_of(tool)) words.push_back(option);
  words.insert(words.end(), more.begin(), more.end());
  return test::run(words, {"TZ=" + zone});
}

struct View {
  const char* file;
  std::vector<std::string> options;
};
const std::vector<View> views = {
    {"text", {}}, {"text-iso", {"--time", "iso"}}, {"json", {"-o", "json"}}, {"csv", {"-o", "csv"}}};

void write(const std::string& path, std::string_view content) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << content;
}

// A number in a capture's bytes.
std::uint32_t number_at(const std::string& bytes, std::size_t at) {
  std::uint32_t number = 0;
  std::memcpy(&number, bytes.data() + at, sizeof number);
  return number;
}

// The capture with the content of each chunk of this kind changed, and how many there were.
template <typename Change>
std::pair<std::string, int> change_chunks(const std::string& whole, std::uint32_t kind, Change change) {
  std::size_t at = 48;  // behind the clock
  for (int text = 0; text < 7; text++) at += 4 + number_at(whole, at);
  std::string out = whole.substr(0, at);
  int changed = 0;
  while (at < whole.size()) {
    std::uint32_t of = number_at(whole, at), size = number_at(whole, at + 4);
    std::string content = whole.substr(at + 8, size);
    at += 8 + size;
    if (of == kind) change(content), changed++;
    std::uint32_t head[] = {of, static_cast<std::uint32_t>(content.size())};
    out.append(reinterpret_cast<const char*>(head), sizeof head);
    out += content;
  }
  return {out, changed};
}

constexpr std::uint32_t record_chunk = 1, snapshot_chunk = 2;

// A record of nothing but its head.
void keep_head(std::string& record) {
  record.resize(24);
  std::memset(record.data() + 12, 0, 4);         // tail_size
  std::memcpy(record.data() + 16, "\x18\0", 2);  // fixed
}

// A map's entries, which follow its name: key and value, each with its size. All values become zero.
void clear_values(std::string& snapshot) {
  std::size_t at = 4 + number_at(snapshot, 0);
  for (bool key = true; at < snapshot.size(); key = !key) {
    std::uint32_t size = number_at(snapshot, at);
    if (!key) std::memset(snapshot.data() + at + 4, 0, size);
    at += 4 + size;
  }
}

std::size_t lines_in(std::string_view text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

TEST_CASE("replays look as they did") {
  for (const std::string& tool : recorded()) {
    for (const View& view : views) {
      INFO(tool << " " << view.file << "; scripts/golden " << tool << " rewrites what is expected");
      test::Ran ran = replay(tool, data_of(tool) + "/capture", view.options);
      CHECK(ran.status == 0);
      CHECK(ran.err == "");
      CHECK(ran.out == test::read_file(data_of(tool) + "/" + view.file));
    }
  }
}

TEST_CASE("a replay does not look at the time zone of who replays") {
  for (const std::string& tool : recorded()) {
    for (const char* zone : {"Asia/Kolkata", "XXX+11:30", ""}) {
      INFO(tool << " " << zone);
      CHECK(replay(tool, data_of(tool) + "/capture", {}, zone).out == test::read_file(data_of(tool) + "/text"));
    }
  }
}

TEST_CASE("JSON of a replay: a start, rows of the same keys and types, an end that counts them") {
  for (const std::string& tool : recorded()) {
    INFO(tool);
    std::istringstream lines(test::read_file(data_of(tool) + "/json"));
    std::vector<nlohmann::json> all;
    for (std::string line; std::getline(lines, line);) all.push_back(nlohmann::json::parse(line));
    // Those that say how the rows came about.
    std::erase_if(all, [](const auto& line) {
      return line["type"] == "samples" || line["type"] == "stacks" || line["type"] == "broken_stacks";
    });
    REQUIRE(all.size() > 2);
    CHECK(all.front()["type"] == "start");
    CHECK(all.front()["tool"] == tool);
    CHECK(all.back()["type"] == "end");
    CHECK(all.back()["rows"] == all.size() - 2);
    std::map<std::string, std::string> types;
    for (std::size_t i = 1; i + 1 < all.size(); i++) {
      for (const auto& [key, value] : all[i].items()) {
        if (value.is_null()) continue;
        auto [found, fresh] = types.emplace(key, value.type_name());
        INFO(key);
        CHECK((fresh || found->second == value.type_name()));
      }
    }
  }
}

TEST_CASE("CSV of a replay: as many fields in each row as in its head") {
  for (const std::string& tool : recorded()) {
    INFO(tool);
    std::string text = test::read_file(data_of(tool) + "/csv");
    std::vector<std::size_t> commas(1);
    bool quoted = false;
    for (std::size_t i = 0; i + 1 < text.size(); i++) {
      if (text[i] == '"') quoted = !quoted;
      if (text[i] == ',' && !quoted) commas.back()++;
      if (text[i] == '\n' && !quoted) commas.push_back(0);
    }
    CHECK(commas.size() > 2);
    for (std::size_t count : commas) CHECK(count == commas[0]);
  }
}

TEST_CASE("-n ends a replay after so many rows") {
  if (!fs::exists(data_of("hello") + "/capture")) SKIP_CASE("there is no capture of hello");
  test::Ran ran = replay("hello", data_of("hello") + "/capture", {"-n", "2"});
  CHECK(ran.status == 0);
  CHECK(lines_in(ran.out) == 3);
}

TEST_CASE("a capture that is cut short is shown up to there, and said to be") {
  test::TemporaryDirectory directory;
  std::string cut = directory.path() + "/cut";
  for (const std::string& tool : recorded()) {
    std::string whole = test::read_file(data_of(tool) + "/capture");
    std::size_t step = std::max<std::size_t>(1, whole.size() / 60);
    for (std::size_t size = 0; size < whole.size(); size += step) {
      INFO(tool << " cut to " << size << " of " << whole.size());
      write(cut, std::string_view(whole).substr(0, size));
      test::Ran ran = replay(tool, cut, {"-o", "json"});
      CHECK((ran.status == 0 || ran.status == 1));
      CHECK(lines_in(ran.err) == 1);
      CHECK(ran.err.starts_with(tool + ": "));
    }
  }
}

TEST_CASE("a damaged capture never takes the tool down") {
  test::TemporaryDirectory directory;
  std::string changed = directory.path() + "/changed";
  for (const std::string& tool : recorded()) {
    std::string whole = test::read_file(data_of(tool) + "/capture");
    std::size_t step = std::max<std::size_t>(1, whole.size() / 80);
    for (std::size_t at = 0; at < whole.size(); at += step) {
      INFO(tool << " with byte " << at << " changed");
      std::string copy = whole;
      copy[at] = at / step % 2 ? '\0' : static_cast<char>(~copy[at]);
      write(changed, copy);
      test::Ran ran = replay(tool, changed, {});
      CHECK((ran.status == 0 || ran.status == 1));
    }
  }
}

TEST_CASE("a record that is shorter than the tool's own is refused, not read beyond its end") {
  test::TemporaryDirectory directory;
  std::string path = directory.path() + "/short";
  for (const std::string& tool : recorded()) {
    auto [content, records] = change_chunks(test::read_file(data_of(tool) + "/capture"), record_chunk, keep_head);
    if (!records) continue;
    INFO(tool);
    write(path, content);
    test::Ran ran = replay(tool, path, {"-o", "json"});
    CHECK(ran.status == 1);
    CHECK(ran.err.find("damaged") != ran.err.npos);
  }
}

TEST_CASE("maps full of zeros are shown without harm") {
  test::TemporaryDirectory directory;
  std::string path = directory.path() + "/zeros";
  for (const std::string& tool : recorded()) {
    auto [content, maps] = change_chunks(test::read_file(data_of(tool) + "/capture"), snapshot_chunk, clear_values);
    if (!maps) continue;
    for (const View& view : views) {
      INFO(tool << " " << view.file);
      write(path, content);
      CHECK(replay(tool, path, view.options).status == 0);
    }
  }
}

TEST_CASE("a capture of another tool is refused in one line") {
  auto tools = recorded();
  for (std::size_t i = 0; i < tools.size(); i++) {
    std::string other = tools[(i + 1) % tools.size()];
    if (other == tools[i]) continue;
    test::Ran ran = replay(tools[i], data_of(other) + "/capture", {});
    CHECK(ran.status == 1);
    CHECK(ran.out.empty());
    CHECK(lines_in(ran.err) == 1);
    CHECK(ran.err.find("was recorded by " + other) != ran.err.npos);
  }
}
