// SPDX-License-Identifier: BSD-2-Clause
// usdtsnoop: probes of a program of the tests, and of real servers and runtimes where they are installed.
#include <signal.h>
#include <sys/stat.h>

#include "harness.hpp"

using live::Json;
using live::Words;
using live::operator+;

namespace {

std::string marks() { return test::trigger_path("marks"); }

live::Result hits(const Words& probe, int count, const Words& options = {}) {
  return live::trace("usdtsnoop", options + Words{marks()} + probe, live::trigger("marks", {std::to_string(count)}));
}

// The args of the rows, in order.
std::vector<Json> arguments(const live::Result& result) {
  std::vector<Json> all;
  for (const Json& row : result.rows()) all.push_back(row["args"]);
  return all;
}

// The lines that a program has said.
std::vector<std::string> said(live::Process& process, std::size_t count) {
  process.out().wait([&](std::string_view text) {
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) >= count;
  });
  std::istringstream text(process.out().text());
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

std::string wrong(const Words& words) {
  live::Result result = live::run("usdtsnoop", words);
  CHECK(result.status == 64);
  CHECK(result.out.empty());
  CHECK(live::count_lines(result.err) == 1);
  return result.err;
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

// Its string is in memory before the first hit.
constexpr const char* narrow_source = R"(#include "marks.h"
static void __attribute__((noinline)) hit(int i) {
  short small = -200 - i;
  long large = -1 - i;
  const char *volatile start = "text";
  const char *text = start;
  if (*(const volatile char *)text) MARK4(test, values, i, small, large, text);
}
int main(void) {
  for (int i = 0; i < 5; i++) hit(i);
  return 0;
})";

constexpr const char* library_source = R"(#include "marks.h"
void hit(int i) {
  const char *volatile start = "text";
  const char *text = start;
  (void)*(const volatile char *)text; /* its page is in memory only now */
  MARK4(late, loaded, i, i * 2, i * 3, text);
}
)";
constexpr const char* loader_source = R"(#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv) {
  char byte;
  (void)argc;
  puts("waits");
  fflush(stdout);
  if (read(0, &byte, 1) != 1) return 2;
  void *library = dlopen(argv[1], RTLD_NOW);
  void (*hit)(int) = library ? (void (*)(int))dlsym(library, "hit") : 0;
  if (!hit) return 3;
  for (int i = 0; i < 5; i++) hit(i);
  return 0;
}
)";

}  // namespace

TEST_CASE("a probe's arguments come in order and by their types", "[each-kernel]") {
  NEEDS("root");
  live::Result result = hits({"test:values", "arg0", "arg1", "arg2", "arg3:str"}, 5);
  INFO(result.out << result.err);
  CHECK(result.status == 0);
  std::vector<Json> expected;
  const char* words[] = {"zero", "one", "two \"quoted\"", "three\x1b[31m"};
  for (int i = 0; i < 5; i++)
    expected.push_back({{"arg0", i}, {"arg1", 200 + i}, {"arg2", -1 - i * 10000000000LL}, {"arg3", words[i % 4]}});
  CHECK(arguments(result) == expected);
  for (const Json& row : result.rows()) CHECK(row["probe"] == "test:values");
  CHECK(result.end()["rows"] == 5);
  CHECK(result.lost() == 0);
}

TEST_CASE("without expressions all arguments are shown") {
  NEEDS("root");
  auto all = arguments(hits({"test:values"}, 1));
  REQUIRE(all.size() == 1);
  CHECK(all[0].size() == 4);
  CHECK(all[0]["arg1"] == 200);
  CHECK(arguments(hits({"test:plain"}, 3)) == std::vector<Json>(3, Json::object()));
}

TEST_CASE("formats decide how an argument is shown") {
  NEEDS("root");
  auto all = arguments(hits({"test:values", "arg1:d", "arg2:x", "arg2:u", "arg3:buf(2)", "pid", "arg3:str"}, 1));
  REQUIRE(all.size() == 1);
  CHECK(all[0]["arg1"] == -56);
  CHECK(all[0]["arg2"] == "0xffffffffffffffff");
  CHECK(all[0]["arg2:u"] == 18446744073709551615u);
  CHECK(all[0]["arg3"] == "ze");
  CHECK(all[0]["arg3:str"] == "zero");
  CHECK(all[0]["pid"].get<int>() > 0);
}

TEST_CASE("a longer string is cut, and says so") {
  NEEDS("root");
  auto all = arguments(hits({"test:values", "arg3:str"}, 1, {"--string", "4"}));
  REQUIRE(all.size() == 1);
  CHECK(all[0]["arg3"] == "ze…");
}

TEST_CASE("filters by value let through exactly what they name", "[any-kernel]") {
  NEEDS("root");
  auto count = [](const std::string& filter) { return hits({"test:values", filter}, 100).row_lines(); };
  CHECK(count("/arg0 == 7/") == 1);
  CHECK(count("/arg0 < 10/") == 10);
  CHECK(count("/arg0 >= 10/") == 90);
  CHECK(count("/9 >= arg0/") == 10);
  CHECK(count("/arg2 < -1/") == 99);
  CHECK(count("/arg1 == 200 || arg1 == 201/") == 2);
  CHECK(count("/arg0 < 50 && !(arg0 < 10 || arg0 == 20)/") == 39);
  CHECK(count("/arg3 == \"one\"/") == 25);
  CHECK(count("/arg3 == \"t*\"/") == 50);
  CHECK(count("/arg3 != \"t*\" && arg0 > 97/") == 0);
  CHECK(count("/arg3 != \"t*\" && arg0 >= 96/") == 2);
  CHECK(count("/comm == \"marks\" && uid == 0/") == 100);
  CHECK(count("/comm == \"other\"/") == 0);
  CHECK(count("/arg0 == 1000/") == 0);
}

TEST_CASE("several probes at once come in the order of their hits") {
  NEEDS("root");
  live::Result result = hits({"test:values", "arg0", "test:plain"}, 3);
  std::vector<std::string> probes;
  for (const Json& row : result.rows()) probes.push_back(row["probe"]);
  std::vector<std::string> expected;
  for (int i = 0; i < 3; i++) expected.insert(expected.end(), {"test:values", "test:plain"});
  CHECK(probes == expected);
}

TEST_CASE("a semaphore is raised while we listen and lowered after, killed or not") {
  NEEDS("root");
  for (int signal : {SIGINT, SIGKILL}) {
    live::Process program(live::trigger("marks", {"4", "twice"}));
    CHECK(said(program, 1) == std::vector<std::string>{"0"});
    live::Tool tool("usdtsnoop", {"-p", program.number(), "test:guarded"});
    program.go();
    CHECK(said(program, 2) == std::vector<std::string>{"0", "1"});
    if (signal == SIGINT) {
      live::Result result = tool.stop();
      CHECK(result.row_lines() == 4);
    } else {
      tool.send(SIGKILL);
      tool.wait();
    }
    program.go();
    CHECK(said(program, 3) == std::vector<std::string>{"0", "1", "0"});
    CHECK(program.wait() == 0);
  }
}

TEST_CASE("of several processes that run a file only those of -p are shown") {
  NEEDS("root");
  live::Process first(live::trigger("marks", {"3", "wait"})), second(live::trigger("marks", {"4", "wait"})),
      third(live::trigger("marks", {"5", "wait"}));
  for (live::Process* one : {&first, &second, &third}) said(*one, 1);
  live::Tool tool("usdtsnoop", {"-p", first.number() + "," + second.number(), "test:guarded"});
  for (live::Process* one : {&third, &first, &second}) one->go();
  CHECK(said(third, 2) == std::vector<std::string>{"0", "0"});  // nor is anything changed in it
  live::Result result = tool.finish();                          // it ends with them
  CHECK(result.rows({{"pid", first.pid()}}).size() == 3);
  CHECK(result.rows({{"pid", second.pid()}}).size() == 4);
  CHECK(result.row_lines() == 7);
}

TEST_CASE("--list lists a file's probes") {
  live::Result result = live::run("usdtsnoop", {marks(), "--list"});
  CHECK(result.status == 0);
  CHECK(result.rows().size() == 3);
  CHECK(result.row({{"probe", "test:values"}})["places"] == 1);
  CHECK(result.row({{"probe", "test:plain"}})["arguments"] == "");
  CHECK(live::run("usdtsnoop", {marks(), "test:g*", "--list"}).row_lines() == 1);
}

TEST_CASE("a recorded list can be replayed, by whoever asks for a list") {
  NEEDS("root");
  live::File capture("capture");
  live::Result listed = live::run("usdtsnoop", {marks(), "--list", "--record", capture.path()});
  REQUIRE(listed.row_lines() == 3);
  live::Result again = live::run("usdtsnoop", {"--list", "--replay", capture.path()});
  INFO(again.err);
  CHECK(again.status == 0);
  CHECK(again.rows() == listed.rows());
  live::Result hits = live::run("usdtsnoop", {"--replay", capture.path()});
  CHECK(hits.status == 1);
  CHECK(live::count_lines(hits.err) == 1);
}

TEST_CASE("a command that cannot be started: 1 and one line") {
  NEEDS("root");
  for (const char* command : {"/nonexistent", "no-such-program", "/etc/passwd"}) {
    live::Result result = live::run("usdtsnoop", {"test:values", "--", command});
    INFO(result.err);
    CHECK(result.status == 1);
    CHECK(result.err.starts_with("usdtsnoop: cannot start "));
    CHECK(live::count_lines(result.err) == 1);
  }
}

TEST_CASE("a filter by who it is works in a PID namespace, with that namespace's numbers") {
  NEEDS("root");
  NEEDS("pidns");
  live::Setup inside{.inside = live::enter_pid_namespace};
  Words probe = {marks(), "test:values", "/pid == 2 && tid == 2/", "arg0", "pid"};
  live::Result result = live::trace("usdtsnoop", probe, live::trigger("marks", {"4"}), inside);
  INFO(result.out << result.err);
  CHECK(result.rows({{"pid", 2}}).size() == 4);  // the tool itself is 1
  for (const Json& row : result.rows()) CHECK(row["args"]["pid"] == 2);
  probe[2] = "/pid == 3/";
  CHECK(live::trace("usdtsnoop", probe, live::trigger("marks", {"4"}), inside).row_lines() == 0);
}

TEST_CASE("a 32-bit program's arguments are those of its registers and its stack") {
  NEEDS("root");
  NEEDS("compat32");
  test::TemporaryDirectory folder;
  std::string program = live::compile(folder.path(), "narrow", narrow_source, {"-m32", "-O1"});
  if (program.empty()) SKIP_CASE("no compiler for 32-bit programs here (gcc-multilib)", "gcc");
  auto all =
      arguments(live::trace("usdtsnoop", {program, "test:values", "arg0", "arg1", "arg2", "arg3:str"}, {program}));
  REQUIRE(all.size() == 5);
  for (int i = 0; i < 5; i++)
    CHECK(all[i] == Json{{"arg0", i}, {"arg1", -200 - i}, {"arg2", -1 - i}, {"arg3", "text"}});
}

TEST_CASE("a stripped program has its probes") {
  NEEDS("root");
  live::File file("stripped");
  if (test::run({"strip", "-o", file.path(), marks()}).status != 0) SKIP_CASE("strip is not installed", "binutils");
  chmod(file.path().c_str(), 0755);
  CHECK(live::trace("usdtsnoop", {file.path(), "test:values"}, {file.path(), "6"}).row_lines() == 6);
}

TEST_CASE("a program that is deleted, before or meanwhile, has its probes") {
  NEEDS("root");
  for (bool before : {true, false}) {
    live::File file("marks");
    std::filesystem::copy_file(marks(), file.path(), std::filesystem::copy_options::overwrite_existing);
    chmod(file.path().c_str(), 0755);
    live::Process program({file.path(), "6", "wait"});
    said(program, 1);
    if (before) std::filesystem::remove(file.path());
    live::Tool tool("usdtsnoop", {"-p", program.number(), "test:values"});
    if (!before) std::filesystem::remove(file.path());
    program.go();
    CHECK(tool.finish().row_lines() == 6);
  }
}

TEST_CASE("a process in another mount namespace is seen with its own files") {
  NEEDS("root");
  live::File file("marks");
  std::string folder = file.folder();
  // A file system that nobody else sees covers the folder, and the program is in there.
  live::Setup setup{.inside = [&] {
    std::string copy = folder + "/inner/marks";
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) _exit(126);
    mkdir((folder + "/inner").c_str(), 0755);
    if (mount("tmpfs", (folder + "/inner").c_str(), "tmpfs", 0, nullptr) != 0) _exit(125);
    std::error_code error;
    std::filesystem::copy_file(marks(), copy, error);
    if (error) _exit(124);
  }};
  live::Process program({folder + "/inner/marks", "6", "wait"}, setup);
  said(program, 1);
  CHECK_FALSE(std::filesystem::exists(folder + "/inner/marks"));
  live::Tool by_pid("usdtsnoop", {"-p", program.number(), "test:values"});
  live::Tool by_path("usdtsnoop", {"-p", program.number(), folder + "/inner/marks", "test:values"});
  program.go();
  CHECK(by_pid.finish().row_lines() == 6);
  CHECK(by_path.finish().row_lines() == 6);
}

TEST_CASE("a library that is loaded later is probed by its path, and missed by name in one line") {
  NEEDS("root");
  test::TemporaryDirectory folder;
  std::string library = live::compile(folder.path(), "late.so", library_source, {"-O1", "-shared", "-fPIC"});
  std::string loader = live::compile(folder.path(), "loader", loader_source, {"-O1", "-ldl"});
  if (library.empty() || loader.empty()) SKIP_CASE("no compiler here", "gcc");
  live::Process program({loader, library});
  said(program, 1);
  std::string refusal = wrong({"-p", program.number(), "late:loaded"});
  CHECK(has(refusal, "loads later"));
  live::Tool tool("usdtsnoop", {"-p", program.number(), library, "late:loaded", "arg0", "arg1", "arg2", "arg3:str"});
  program.go();
  auto all = arguments(tool.finish());
  REQUIRE(all.size() == 5);
  for (int i = 0; i < 5; i++) CHECK(all[i] == Json{{"arg0", i}, {"arg1", 2 * i}, {"arg2", 3 * i}, {"arg3", "text"}});
}

TEST_CASE("what is wrong is said in one line, with its place") {
  CHECK(has(wrong({marks(), "test:values", "/arg0 = 1/"}), "/arg0 ▶= 1/"));
  CHECK(has(wrong({marks(), "test:values", "/arg9 == 1/"}), "▶arg9"));
  CHECK(has(wrong({marks(), "test:value"}), "did you mean test:values"));
  CHECK(has(wrong({marks(), "test:values", "arg0:foo"}), "arg0:▶foo"));
  CHECK(has(wrong({marks(), "test:values", "/arg3 < \"a\"/"}), "== or !="));
  CHECK(has(wrong({marks()}), "--list"));
  CHECK(has(wrong({"/etc/hostname", "a:b"}), "no ELF file"));
  CHECK(has(wrong({"/bin/sh", "a:b"}), "has no USDT probes"));
  CHECK(has(wrong({}), "-p PID"));
}

TEST_CASE("PostgreSQL's queries are seen with their text") {
  NEEDS("root");
  std::string programs;
  if (std::filesystem::exists("/usr/lib/postgresql"))
    for (const auto& version : std::filesystem::directory_iterator("/usr/lib/postgresql"))
      if (std::filesystem::exists(version.path() / "bin/postgres")) programs = version.path() / "bin";
  if (programs.empty()) SKIP_CASE("PostgreSQL is not installed", "PostgreSQL");
  test::TemporaryDirectory folder;
  std::string data = folder.path() + "/data";
  CHECK(chmod(folder.path().c_str(), 0777) == 0);
  Words as = {"setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"};
  test::Ran made =
      test::run(as + Words{programs + "/initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync"});
  INFO(made.out << made.err);
  REQUIRE(made.status == 0);
  // One backend that reads queries from its standard input: no socket, no other processes.
  Words single = as + Words{programs + "/postgres", "--single", "-D", data, "postgres"};
  live::Process server(single);
  REQUIRE(server.out().wait([](std::string_view text) { return text.find("backend>") != text.npos; }));
  live::Tool tool("usdtsnoop", {"-p", server.number(), "postgresql:query__start", "arg0:str"});
  server.write("select 42 as answer;\nselect 'a b' || 'c';\n");
  server.close_input();
  live::Result result = tool.finish();
  INFO(result.out << result.err);
  std::vector<std::string> texts;
  for (const Json& one : arguments(result)) texts.push_back(one["arg0"]);
  CHECK(texts == std::vector<std::string>{"select 42 as answer;\n", "select 'a b' || 'c';\n"});
}

TEST_CASE("a JVM's garbage collections are seen") {
  NEEDS("root");
  if (test::run({"sh", "-c", "command -v java"}).status != 0) SKIP_CASE("no Java is installed", "Java");
  test::TemporaryDirectory folder;
  std::ofstream(folder.path() + "/Collect.java") << R"(public class Collect {
  public static void main(String[] a) throws Exception {
    System.out.println("waits");
    System.in.read();
    for (int i = 0; i < 3; i++) System.gc();
  }
})";
  live::Process program({"java", "-XX:+UseSerialGC", folder.path() + "/Collect.java"});
  if (said(program, 1) != std::vector<std::string>{"waits"})
    SKIP_CASE("this Java compiles no source files (no JDK)", "Java");
  live::Tool tool("usdtsnoop", {"-p", program.number(), "hotspot:gc__begin", "hotspot:gc__end"});
  program.go();
  live::Result result = tool.finish();
  INFO(result.out << result.err);
  auto begins = result.rows({{"probe", "hotspot:gc__begin"}});
  CHECK(begins.size() == 3);
  for (const Json& row : begins) CHECK(row["args"]["arg0"] == 1);  // a full collection
  CHECK(result.rows({{"probe", "hotspot:gc__end"}}).size() == 3);
}
