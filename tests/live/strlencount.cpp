// SPDX-License-Identifier: BSD-2-Clause
// strlencount: a known number of calls with known strings.
#include "harness.hpp"

using live::Json;
using live::Words;
using live::operator+;

namespace {

std::string texts() { return test::trigger_path("texts"); }
Words own_function() { return {"--lib", texts(), "--func", "look_up", "--arg", "1"}; }

// Calls libc's strlen 1,000 times with a string that the compiler cannot measure, and that is in memory by then but for
// "cold".
constexpr const char* measuring = R"(#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv) {
  size_t (*volatile measure)(const char *) = strlen;
  const char *volatile text = "measured a thousand times";
  char byte = argc > 1 && argv[1][0] == 'c' ? 0 : *(const volatile char *)text;
  if (argc > 1 && argv[1][0] == 'w') {
    puts("waits");
    fflush(stdout);
    if (read(0, &byte, 1) != 1) return 2;
  }
  size_t sum = 0;
  for (int i = 0; i < 1000; i++) sum += measure(text);
  return sum == 25000 ? 0 : 1;
}
)";

// The program, dynamically linked; empty where there is no compiler.
std::string compile(const std::string& folder) {
  std::ofstream(folder + "/measure.c") << measuring;
  if (!std::filesystem::exists("/usr/bin/gcc")) return "";
  test::Ran made = test::run({"gcc", "-O0", "-fno-builtin", "-o", folder + "/measure", folder + "/measure.c"});
  return made.status == 0 ? folder + "/measure" : "";
}

}  // namespace

TEST_CASE("a function's strings are counted exactly") {
  NEEDS("root");
  live::Result result = live::trace("strlencount", own_function(), live::trigger("texts", {"1234"}));
  INFO(result.out << result.err);
  CHECK(result.status == 0);
  REQUIRE(result.row_lines() == 3);
  CHECK(result.row({{"string", "a known text"}})["count"] == 1234);
  CHECK(result.row({{"string", std::string(119, 'x') + "…"}})["count"] == 2);
  CHECK(result.row({{"string", "\033[31mred"}})["count"] == 1);
  CHECK(result.rows()[0]["count"] == 1234);
  CHECK(result.lost() == 0);
}

TEST_CASE("a string cannot act on the terminal") {
  NEEDS("root");
  live::Result result = live::trace("strlencount", own_function(), live::trigger("texts", {"1"}), {.json = false});
  CHECK(result.out.find('\033') == std::string::npos);
  CHECK(result.out.find("\\x1b[31mred") != std::string::npos);
}

TEST_CASE("--top shows the most frequent, -P whose they are") {
  NEEDS("root");
  live::Result result = live::trace("strlencount", own_function() + Words{"--top", "1"}, live::trigger("texts", {"9"}));
  REQUIRE(result.row_lines() == 1);
  CHECK(result.rows()[0]["count"] == 9);
  live::Process first(live::trigger("texts", {"5", "wait"})), second(live::trigger("texts", {"6", "wait"}));
  first.says();
  second.says();
  live::Tool tool("strlencount", own_function() + Words{"-P", "-p", first.number() + "," + second.number()});
  first.go();
  second.go();
  result = tool.finish();
  CHECK(result.row({{"string", "a known text"}, {"pid", first.pid()}})["count"] == 5);
  CHECK(result.row({{"string", "a known text"}, {"pid", second.pid()}})["count"] == 6);
}

TEST_CASE("1,000 calls of libc's strlen are 1,000, through its IFUNC") {
  NEEDS("root");
  test::TemporaryDirectory folder;
  std::string program = compile(folder.path());
  if (program.empty()) SKIP_CASE("no compiler here");
  Json like = {{"string", "measured a thousand times"}};
  CHECK(live::trace("strlencount", {}, {program}).row(like)["count"] == 1000);
  CHECK(live::trace("strlencount", {"--lib", "libc.so.6"}, {program}).row(like)["count"] == 1000);
  live::Result cold = live::trace("strlencount", {}, {program, "cold"});
  auto counted = cold.row(like)["count"].get<std::uint64_t>();
  CHECK((counted == 1000 || (counted == 999 && cold.lost() >= 1)));
  live::Process running({program, "wait"});
  running.out().wait([](std::string_view text) { return text.find("waits") != text.npos; });
  live::Tool tool("strlencount", {"-p", running.number()});
  running.go();
  CHECK(tool.finish().row(like)["count"] == 1000);
}

TEST_CASE("a container's own libc is found, and asked by a process that is started if none runs") {
  NEEDS("root");
  test::TemporaryDirectory folder;
  std::string program = compile(folder.path());
  if (program.empty()) SKIP_CASE("no compiler here");
  // Its own libc: a copy, which nobody has mapped yet.
  std::string libc;
  for (const char* place : {"/lib/x86_64-linux-gnu/libc.so.6", "/lib/aarch64-linux-gnu/libc.so.6", "/lib64/libc.so.6"})
    if (std::filesystem::exists(place)) libc = place;
  if (libc.empty()) SKIP_CASE("no libc.so.6 where it is looked for");
  std::string own = folder.path() + "/libc.so.6";
  std::filesystem::copy_file(std::filesystem::canonical(libc), own);
  Words command = {"env", "LD_LIBRARY_PATH=" + folder.path(), program};
  Json like = {{"string", "measured a thousand times"}};
  CHECK(live::trace("strlencount", {"--lib", own}, command).row(like)["count"] == 1000);
  // The machine's own libc is another file, of which the program knows nothing.
  CHECK(live::trace("strlencount", {"--lib", libc}, command).rows(like).empty());
  live::Process running(command + Words{"wait"});
  running.out().wait([](std::string_view text) { return text.find("waits") != text.npos; });
  live::Tool tool("strlencount", {"-p", running.number(), "--lib", "libc"});
  running.go();
  CHECK(tool.finish().row(like)["count"] == 1000);
}

TEST_CASE("what cannot be counted is said in one line") {
  auto refusal = [](const Words& words) {
    live::Result result = live::run("strlencount", words);
    CHECK(result.status == 64);
    CHECK(live::count_lines(result.err) == 1);
    return result.err;
  };
  CHECK(refusal({"--func", "strlem"}).find("did you mean strlen") != std::string::npos);
  CHECK(refusal({"--lib", "libnothing"}).find("give its path") != std::string::npos);
  CHECK(refusal({"--arg", "9"}).find("from 0 to 4") != std::string::npos);
  CHECK(refusal({"--lib", texts(), "--func", "nothing_like_it"}).find("has no function") != std::string::npos);
}
