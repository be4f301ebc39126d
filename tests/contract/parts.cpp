// SPDX-License-Identifier: BSD-2-Clause
// A tool is whole: it is in the README, has a manual page, completions, a golden test and a live one.
#include <filesystem>

#include "case.hpp"

namespace fs = std::filesystem;

TEST_CASE("every tool has a row in the README, and every row a tool") {
  std::string readme = test::read_file(test::source_dir() + "/README.md");
  for (const std::string& tool : test::tools()) {
    INFO(tool);
    CHECK(readme.find("\n| `" + tool + "` |") != readme.npos);
  }
}

TEST_CASE("every tool has a manual page and completions") {
  for (const std::string& tool : test::tools()) {
    INFO(tool);
    std::string page = test::read_file(test::build_dir() + "/man/" + tool + ".8");
    for (const char* part : {".TH ", ".SH NAME", ".SH OPTIONS", ".SH OUTPUT", ".SH EXAMPLES", ".SH EXIT STATUS"}) {
      INFO(part);
      CHECK(page.find(part) != page.npos);
    }
    for (const char* shell : {"bash", "zsh", "fish"})
      CHECK(fs::file_size(test::build_dir() + "/completions/" + shell + "/" + tool) > 500);
  }
}

TEST_CASE("every tool has a golden test") {
  for (const std::string& tool : test::tools()) {
    for (const char* file : {"capture", "text", "json", "csv"}) {
      INFO(tool << " " << file);
      CHECK(fs::exists(test::source_dir() + "/tests/data/" + tool + "/" + file));
    }
  }
}

TEST_CASE("every tool has a live test") {
  std::string all;
  for (const auto& entry : fs::directory_iterator(test::source_dir() + "/tests/live"))
    if (entry.path().extension() == ".cpp") all += test::read_file(entry.path());
  for (const std::string& tool : test::tools()) {
    INFO(tool);
    CHECK(all.find('"' + tool + '"') != all.npos);
  }
}

TEST_CASE("every BPF program has a frontend that uses it") {
  std::string all;
  for (const std::string& tool : test::tools()) all += test::read_file(test::source_dir() + "/tools/" + tool + ".cpp");
  for (const auto& entry : fs::directory_iterator(test::source_dir() + "/bpf")) {
    std::string file = entry.path().filename();
    if (!file.ends_with(".bpf.c")) continue;
    INFO(file);
    CHECK(all.find("#include \"" + file.substr(0, file.size() - 6) + ".skel.h\"") != all.npos);
  }
}
