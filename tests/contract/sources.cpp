// SPDX-License-Identifier: BSD-2-Clause
// The sources keep their shape: short frontends and functions, nothing twice, nothing new at the top.
#include <algorithm>
#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "case.hpp"

namespace fs = std::filesystem;

namespace {

constexpr std::size_t longest_frontend = 150, longest_function = 60, longest_run = 5;

std::vector<std::string> lines_of(const fs::path& file) {
  std::istringstream stream(test::read_file(file));
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::vector<fs::path> sources() {
  std::vector<fs::path> all;
  for (const char* folder : {"tools", "include", "blazesym", "bpf", "tests"})
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(test::source_dir()) / folder))
      if (std::set<std::string>{".cpp", ".hpp", ".c", ".h"}.contains(entry.path().extension()))
        all.push_back(entry.path());
  std::sort(all.begin(), all.end());
  return all;
}

std::string indent_of(const std::string& line) { return line.substr(0, line.find_first_not_of(" \t")); }

// Whether a block begins here that is a function's, as all code is laid out: "... (...) {", or in C a line of "{".
bool begins_function(const std::vector<std::string>& lines, std::size_t at) {
  static const std::regex other(
      "^\\s*(\\}|if|for|while|switch|do|else|try|catch|case|namespace|struct|class|enum|union|TEST_CASE|return|#|//"
      ").*");
  const std::string& line = lines[at];
  if (line == "{") return true;
  if (!line.ends_with('{') || indent_of(line).size() > 2 || std::regex_match(line, other)) return false;
  return line.ends_with(") {") || line.ends_with("const {") || line.ends_with("override {") ||
         line.ends_with("noexcept {") || line.ends_with("} {");
}

// Lines of the function that begins here, to the brace that stands under its first line.
std::size_t length_of(const std::vector<std::string>& lines, std::size_t at) {
  std::string end = indent_of(lines[at]) + "}";
  for (std::size_t i = at + 1; i < lines.size(); i++)
    if (lines[i].starts_with(end)) return i - at + 1;
  return lines.size() - at;
}

// A frontend's lines below its includes, trimmed, without empty ones.
std::vector<std::string> body_of(const std::string& tool) {
  std::vector<std::string> body;
  for (std::string line : lines_of(test::source_dir() + "/tools/" + tool + ".cpp")) {
    line.erase(0, indent_of(line).size());
    if (line.starts_with("#include"))
      body.clear();
    else if (!line.empty())
      body.push_back(line);
  }
  return body;
}

// Types that a frontend defines outside its anonymous namespace.
std::vector<std::string> public_types(const std::string& tool) {
  static const std::regex type("^(?:struct|class|union|enum(?: class| struct)?|using) (\\w+).*");
  std::vector<std::string> names;
  bool anonymous = false;
  std::smatch match;
  for (const std::string& line : lines_of(test::source_dir() + "/tools/" + tool + ".cpp")) {
    if (line == "namespace {") anonymous = true;
    if (line.starts_with("}  // namespace")) anonymous = false;
    if (!anonymous && std::regex_match(line, match, type)) names.push_back(match[1]);
  }
  return names;
}

}  // namespace

TEST_CASE("frontends are short") {
  for (const std::string& tool : test::tools()) {
    INFO(tool);
    CHECK(lines_of(test::source_dir() + "/tools/" + tool + ".cpp").size() <= longest_frontend);
  }
}

TEST_CASE("functions fit on a screen") {
  int functions = 0;
  for (const fs::path& file : sources()) {
    auto lines = lines_of(file);
    for (std::size_t i = 0; i < lines.size(); i++) {
      if (!begins_function(lines, i)) continue;
      functions++;
      std::size_t length = length_of(lines, i);
      INFO(file.string() << ":" << i + 1 << ": " << lines[i]);
      if (length > longest_function) FAIL_CHECK(length << " lines");
    }
  }
  CHECK(functions > 300);  // or this test no longer finds them
}

TEST_CASE("no six lines stand in two frontends") {
  std::map<std::string, std::string> seen;
  for (const std::string& tool : test::tools()) {
    auto body = body_of(tool);
    for (std::size_t i = 0; i + longest_run < body.size(); i++) {
      std::string run;
      for (std::size_t j = 0; j <= longest_run; j++) run += body[i + j] + '\n';
      auto [found, fresh] = seen.emplace(run, tool);
      if (!fresh && found->second != tool) FAIL_CHECK(tool << " and " << found->second << " both have:\n" << run);
    }
  }
  CHECK(seen.size() > 1000);
}

TEST_CASE("nothing new stands at the top") {
  const std::set<std::string> known = {"Makefile", "bpf",   "tools",   "vmlinux",   "include",
                                       "blazesym", "tests", "scripts", "README.md", "LICENSE"};
  std::set<std::string> found;
  for (const auto& entry : fs::directory_iterator(test::source_dir())) {
    std::string name = entry.path().filename();
    if (!name.starts_with('.') && name != fs::path(test::build_dir()).filename()) found.insert(name);
  }
  CHECK(found == known);
}

TEST_CASE("no two frontends define a type of one name") {
  std::map<std::string, std::string> seen;
  for (const std::string& tool : test::tools()) {
    for (const std::string& type : public_types(tool)) {
      auto [found, fresh] = seen.emplace(type, tool);
      INFO(type << " in " << tool << " and " << found->second);
      CHECK(fresh);
    }
  }
  CHECK(test::tools().size() > 20);  // though none may have such types
}

TEST_CASE("no file is called after nothing") {
  for (const fs::path& file : sources()) {
    std::string name = file.stem().string();
    INFO(file.string());
    for (const char* empty : {"util", "utils", "helper", "helpers", "misc", "common"}) CHECK(name != empty);
  }
}
