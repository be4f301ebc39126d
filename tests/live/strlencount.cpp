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
std::string measure_in(const test::TemporaryDirectory& folder, const Words& flags = {}) {
  return live::compile(folder.path(), "measure", measuring, Words{"-O0", "-fno-builtin"} + flags);
}

const Json measured = {{"string", "measured a thousand times"}};

// A copy of texts, as a file of its own.
std::string copy_of_texts(const live::File& file) {
  std::filesystem::copy_file(texts(), file.path(), std::filesystem::copy_options::overwrite_existing);
  chmod(file.path().c_str(), 0755);
  return file.path();
}

// A library with look_up(0, "a known text"), and a program that loads it when it is told to and calls that 7 times.
constexpr const char* late_library = "int look_up(int kind, const char *text) { return kind + text[0]; }";
constexpr const char* late_loader = R"(#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv) {
  char byte;
  puts("waits");
  fflush(stdout);
  if (argc < 2 || read(0, &byte, 1) != 1) return 2;
  void *library = dlopen(argv[1], RTLD_NOW);
  int (*look_up)(int, const char *) = library ? dlsym(library, "look_up") : 0;
  const char *volatile text = "a known text";
  for (int i = 0; look_up && i < 7; i++) look_up(text[0] == 0, text);
  return !look_up;
}
)";

}  // namespace

TEST_CASE("a function's strings are counted exactly", "[each-kernel]") {
  NEEDS("root");
  live::Result result = live::trace("strlencount", own_function(), live::trigger("texts", {"1234"}));
  INFO(result.out << result.err);
  CHECK(result.status == 0);
  REQUIRE(result.row_lines() == 4);
  CHECK(result.row({{"string", "a known text"}})["count"] == 1234);
  CHECK(result.row({{"string", std::string(119, 'x') + "…"}})["count"] == 1);
  CHECK(result.row({{"string", std::string(119, 'x')}})["count"] == 1);  // whole, though it fills its room
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
  std::string program = measure_in(folder);
  if (program.empty()) SKIP_CASE("no compiler here", "gcc");
  CHECK(live::trace("strlencount", {}, {program}).row(measured)["count"] == 1000);
  CHECK(live::trace("strlencount", {"--lib", "libc.so.6"}, {program}).row(measured)["count"] == 1000);
  live::Result cold = live::trace("strlencount", {}, {program, "cold"});
  auto counted = cold.row(measured)["count"].get<std::uint64_t>();
  CHECK((counted == 1000 || (counted == 999 && cold.lost() >= 1)));
  live::Process running({program, "wait"});
  running.out().wait([](std::string_view text) { return text.find("waits") != text.npos; });
  live::Tool tool("strlencount", {"-p", running.number()});
  running.go();
  CHECK(tool.finish().row(measured)["count"] == 1000);
}

TEST_CASE("a container's own libc is found, and asked by a process that is started if none runs") {
  NEEDS("root");
  test::TemporaryDirectory folder;
  std::string program = measure_in(folder);
  if (program.empty()) SKIP_CASE("no compiler here", "gcc");
  // Its own libc: a copy, which nobody has mapped yet.
  std::string libc;
#ifdef __aarch64__
  const char* ours = "/lib/aarch64-linux-gnu/libc.so.6";
#else
  const char* ours = "/lib/x86_64-linux-gnu/libc.so.6";
#endif
  for (const char* place : {ours, "/lib64/libc.so.6"})
    if (libc.empty() && std::filesystem::exists(place)) libc = place;
  if (libc.empty()) SKIP_CASE("no libc.so.6 where it is looked for");
  std::string own = folder.path() + "/libc.so.6";
  std::filesystem::copy_file(std::filesystem::canonical(libc), own);
  Words command = {"env", "LD_LIBRARY_PATH=" + folder.path(), program};
  CHECK(live::trace("strlencount", {"--lib", own}, command).row(measured)["count"] == 1000);
  // The machine's own libc is another file, of which the program knows nothing.
  CHECK(live::trace("strlencount", {"--lib", libc}, command).rows(measured).empty());
  live::Process running(command + Words{"wait"});
  running.out().wait([](std::string_view text) { return text.find("waits") != text.npos; });
  live::Tool tool("strlencount", {"-p", running.number(), "--lib", "libc"});
  running.go();
  CHECK(tool.finish().row(measured)["count"] == 1000);
}

TEST_CASE("a 32-bit program's strings are found on its stack, through its libc's IFUNC") {
  NEEDS("root");
  NEEDS("compat32");
  test::TemporaryDirectory folder;
  std::string program = measure_in(folder, {"-m32"});
  if (program.empty()) SKIP_CASE("no compiler for 32-bit programs here (gcc-multilib)", "gcc");
  live::Process running({program, "wait"});
  running.out().wait([](std::string_view text) { return text.find("waits") != text.npos; });
  live::Tool tool("strlencount", {"-p", running.number()});
  running.go();
  CHECK(tool.finish().row(measured)["count"] == 1000);
}

TEST_CASE("a stripped library's exported functions are counted, others are refused in one line") {
  NEEDS("root");
  test::TemporaryDirectory folder;
  std::string library = live::compile(folder.path(), "late.so", late_library, {"-O1", "-shared", "-fPIC", "-s"});
  std::string loader = live::compile(folder.path(), "loader", late_loader, {"-O1", "-ldl"});
  if (library.empty() || loader.empty()) SKIP_CASE("no compiler here", "gcc");
  Words which = {"--lib", library, "--func", "look_up", "--arg", "1"};
  live::Process program({loader, library});
  program.out().wait([](std::string_view text) { return text.find("waits") != text.npos; });
  // By its path it is found before it is loaded; by its name only afterwards.
  live::Result early = live::run("strlencount", {"-p", program.number(), "--lib", "late", "--func", "look_up"});
  CHECK(early.status == 64);
  CHECK(live::count_lines(early.err) == 1);
  CHECK(early.err.find("give a path") != std::string::npos);
  live::Tool tool("strlencount", which + Words{"-p", program.number()});
  program.go();
  CHECK(tool.finish().row({{"string", "a known text"}})["count"] == 7);
  live::File stripped("stripped");
  REQUIRE(test::run({"strip", "-o", stripped.path(), texts()}).status == 0);
  live::Result refused = live::run("strlencount", {"--lib", stripped.path(), "--func", "look_up"});
  CHECK(refused.status == 64);
  CHECK(live::count_lines(refused.err) == 1);
  CHECK(refused.err.find("stripped") != std::string::npos);
}

TEST_CASE("a program that is deleted, before or meanwhile, is counted") {
  NEEDS("root");
  for (bool before : {true, false}) {
    live::File file("texts");
    std::string path = copy_of_texts(file);
    live::Process program({path, "5", "wait"});
    program.says();
    if (before) std::filesystem::remove(path);
    live::Tool tool("strlencount", {"-p", program.number(), "--lib", "exe", "--func", "look_up", "--arg", "1"});
    if (!before) std::filesystem::remove(path);
    program.go();
    CHECK(tool.finish().row({{"string", "a known text"}})["count"] == 5);
  }
}

TEST_CASE("a process in another mount namespace is counted by its own file") {
  NEEDS("root");
  test::TemporaryDirectory folder;
  std::string inner = folder.path() + "/inner", path = inner + "/texts";
  live::Setup setup{.inside = [&] {
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) _exit(126);
    mkdir(inner.c_str(), 0755);
    if (mount("tmpfs", inner.c_str(), "tmpfs", 0, nullptr) != 0) _exit(125);
    std::error_code error;
    std::filesystem::copy_file(texts(), path, error);
    if (error) _exit(124);
  }};
  live::Process program({path, "5", "wait"}, setup);
  program.says();
  CHECK_FALSE(std::filesystem::exists(path));
  live::Tool tool("strlencount", {"-p", program.number(), "--lib", path, "--func", "look_up", "--arg", "1"});
  program.go();
  CHECK(tool.finish().row({{"string", "a known text"}})["count"] == 5);
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
