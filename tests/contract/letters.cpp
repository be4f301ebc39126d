// SPDX-License-Identifier: BSD-2-Clause
// A letter means one thing in the whole suite.
#include <map>
#include <regex>

#include "case.hpp"

namespace {

// What every letter stands for. A new one is added here once, for all tools to come.
const std::map<char, std::string> letters = {
    {'O', "per-operation"}, {'Q', "queue"},       {'?', "help"},        {'D', "per-disk"}, {'K', "kernel-stacks"},
    {'L', "latency"},       {'P', "per-process"}, {'U', "user-stacks"}, {'V', "version"},  {'a', "all"},
    {'d', "duration"},      {'i', "interval"},    {'m', "module"},      {'n', "count"},    {'o', "output"},
    {'p', "pid"},           {'t', "tid"},         {'u', "user"},        {'v', "verbose"},  {'x', "failed"},
    {'C', "cpu"},
};

// Where a tool's letter means something else because hands know it so.
const std::map<std::pair<std::string, char>, std::string> exceptions = {
    {{"opensnoop", 'F'}, "full-path"},
    {{"profile", 'F'}, "frequency"},
    {{"fgraph", 'K'}, "kernel-depth"},
};

// The options of a tool's --help: the long name with its letter, or 0.
std::map<std::string, char> options_of(const std::string& tool) {
  test::Ran ran = test::run({"timeout", "10", test::tool_path(tool), "--help"});
  CHECK(ran.status == 0);
  CHECK(ran.err.empty());
  static const std::regex line("(?:^|\n) {2}(?:-(.),| {3}) --([a-z0-9-]+)");
  std::map<std::string, char> all;
  for (std::sregex_iterator at(ran.out.begin(), ran.out.end(), line), end; at != end; ++at)
    all[(*at)[2]] = (*at)[1].matched ? (*at)[1].str()[0] : '\0';
  return all;
}

}  // namespace

TEST_CASE("every letter of every tool stands for its own word") {
  for (const std::string& tool : test::tools()) {
    for (const auto& [name, letter] : options_of(tool)) {
      INFO(tool << " -" << letter << " --" << name);
      if (!letter) continue;
      if (auto exception = exceptions.find({tool, letter}); exception != exceptions.end()) {
        CHECK(exception->second == name);
        continue;
      }
      auto known = letters.find(letter);
      if (known == letters.end())
        FAIL_CHECK("the letter is in no table of this test");
      else
        CHECK(known->second == name);
    }
  }
}

TEST_CASE("an option that has a letter has it in every tool") {
  for (const std::string& tool : test::tools()) {
    auto options = options_of(tool);
    for (const auto& [letter, name] : letters) {
      INFO(tool << " -" << letter << " --" << name);
      if (auto found = options.find(name); found != options.end()) CHECK(found->second == letter);
    }
  }
}

TEST_CASE("every tool has the common options") {
  for (const std::string& tool : test::tools()) {
    auto options = options_of(tool);
    for (const char* name :
         {"output", "time",   "duration", "count",  "pid",    "tid",      "user",    "comm",    "cgroup", "tree",
          "buffer", "strict", "explain",  "record", "replay", "ready-fd", "verbose", "version", "help",   "usage"}) {
      INFO(tool << " --" << name);
      CHECK(options.contains(name));
    }
  }
}

TEST_CASE("every tool says its name and version, and refuses stray words with 64") {
  for (const std::string& tool : test::tools()) {
    INFO(tool);
    test::Ran ran = test::run({"timeout", "10", test::tool_path(tool), "--version"});
    CHECK(ran.status == 0);
    CHECK(std::regex_match(ran.out, std::regex(tool + " \\(corekit\\) [0-9]+\\.[0-9]+\\.[0-9]+\n")));
    ran = test::run({"timeout", "10", test::tool_path(tool), "surely-no-word"});
    CHECK(ran.status == 64);
    CHECK(ran.out.empty());
    CHECK(ran.err.starts_with(tool + ": "));
    CHECK(ran.err.find('\n') == ran.err.size() - 1);
  }
}
