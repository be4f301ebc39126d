// SPDX-License-Identifier: BSD-2-Clause
// --comm: the globs' machine agrees with fnmatch(3).
#include "filter.hpp"

#include <fnmatch.h>

#include <nlohmann/json.hpp>
#include <random>

#include "case.hpp"

namespace {

bool reference(const std::string& glob, const std::string& text) {
  return fnmatch(glob.c_str(), text.c_str(), FNM_NOESCAPE) == 0;
}

bool closed(const std::string& glob) {
  for (std::size_t i = 0; i < glob.size(); i++) {
    if (glob[i] != '[') continue;
    std::size_t first = i + 1 + (i + 1 < glob.size() && (glob[i + 1] == '!' || glob[i + 1] == '^'));
    i = glob.find(']', first + 1);
    if (i == glob.npos) return false;
  }
  return true;
}

std::string pick(std::mt19937& random, std::string_view alphabet, std::size_t most) {
  std::string text(random() % (most + 1), ' ');
  for (char& byte : text) byte = alphabet[random() % alphabet.size()];
  return text;
}

}  // namespace

TEST_CASE("single globs agree with fnmatch") {
  std::mt19937 random(3);
  int compared = 0, matched = 0;
  for (int i = 0; i < 60000; i++) {
    std::string glob = pick(random, i % 2 ? "aab**?" : "abc*?[]-!^\\", 9);
    if (!closed(glob)) {
      CHECK_THROWS_AS(kit::compile_globs(glob), kit::Failure);
      continue;
    }
    kit::GlobMachine machine = kit::compile_globs(glob);
    for (int j = 0; j < 8; j++) {
      std::string text = pick(random, "aabbc-!\\", 7);
      compared++;
      bool wanted = reference(glob, text);
      matched += wanted;
      if (machine.matches(text) != wanted) FAIL_CHECK(glob << " against " << text << ": fnmatch says " << wanted);
    }
  }
  CHECK(compared > 100000);
  CHECK(matched > 10000);
}

TEST_CASE("lists of globs match where one of them does") {
  std::mt19937 random(4);
  int matched = 0;
  for (int i = 0; i < 20000; i++) {
    std::vector<std::string> globs;
    std::string list;
    for (unsigned j = 0; j < 1 + random() % 4; j++) {
      globs.push_back(pick(random, "aab*?", 5));
      list += (j ? "," : "") + globs.back();
    }
    kit::GlobMachine machine = kit::compile_globs(list);
    std::string text = pick(random, "aab", 5);
    bool wanted =
        std::any_of(globs.begin(), globs.end(), [&](const std::string& glob) { return reference(glob, text); });
    matched += wanted;
    if (machine.matches(text) != wanted) FAIL_CHECK(list << " against " << text << ": fnmatch says " << wanted);
  }
  CHECK(matched > 1000);
  CHECK(matched < 19000);
}

TEST_CASE("every byte can be matched") {
  kit::GlobMachine any = kit::compile_globs("?"), none = kit::compile_globs("[!a]");
  for (int byte = 1; byte < 256; byte++) {
    std::string text(1, static_cast<char>(byte));
    CHECK(any.matches(text));
    CHECK(none.matches(text) == (byte != 'a'));
    if (byte == '*' || byte == '?' || byte == '[' || byte == ',') continue;
    CHECK(kit::compile_globs(text).matches(text));
  }
}

TEST_CASE("names as long as the kernel has them, and globs up to the machine's size") {
  CHECK(kit::compile_globs("*0123456789abcde").matches("0123456789abcde"));
  CHECK(kit::compile_globs(std::string(62, 'a')).matches(std::string(62, 'a')));
  CHECK(kit::compile_globs(std::string(61, 'a') + '*').matches(std::string(70, 'a')));
  CHECK_THROWS_AS(kit::compile_globs(std::string(64, 'a')), kit::Failure);
  CHECK_THROWS_AS(kit::compile_globs(std::string(40, 'a') + ',' + std::string(40, 'b')), kit::Failure);
}

TEST_CASE("a bracket that is not closed is named") {
  try {
    kit::compile_globs("ab[c");
    FAIL_CHECK("took it");
  } catch (const kit::Failure& failure) {
    CHECK(failure.code() == kit::Exit::usage);
    CHECK(std::string(failure.what()) == "--comm ab[c: a [ is not closed");
  }
}

TEST_CASE("filters in force are valid JSON") {
  kit::Settings settings;
  CHECK(kit::filters_json(settings) == "{}");
  settings.pids = {1, 2};
  settings.users = {0};
  settings.comm = "a\"b\n";
  settings.cgroup = "\xff";
  settings.tree = 7;
  settings.command = {"sh", "-c", "echo \"x\""};
  auto parsed = nlohmann::json::parse(kit::filters_json(settings));
  CHECK(parsed["pid"] == std::vector<int>{1, 2});
  CHECK(parsed["user"] == std::vector<int>{0});
  CHECK(parsed["comm"] == "a\"b\n");
  CHECK(parsed["tree"] == 7);
  CHECK(parsed["command"][2] == "echo \"x\"");
  CHECK_FALSE(parsed.contains("tid"));
}
