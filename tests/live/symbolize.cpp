// SPDX-License-Identifier: BSD-2-Clause
// symbolize: addresses of a file, a process and the kernel that nm, the process and /proc/kallsyms tell of.
#include "harness.hpp"

using live::Json;
using live::Words;

namespace {

// Where nm says that a function of a trigger is.
std::string address_of(const std::string& trigger, const std::string& function) {
  std::istringstream lines(test::run({"nm", "--defined-only", test::trigger_path(trigger)}).out);
  for (std::string address, type, name; lines >> address >> type >> name;)
    if (name == function) return address;
  throw std::runtime_error("nm tells of no " + function);
}

live::Result name_lines(const std::string& text) {
  live::Process tool(live::Tool::words("symbolize", {}));
  tool.write(text);
  tool.close_input();
  int status = tool.wait();
  tool.out().wait_end();
  tool.err().wait_end();
  return {status, tool.out().text(), tool.err().text()};
}

}  // namespace

TEST_CASE("a file's addresses have names, source lines and what is inlined") {
  NEEDS("root");
  if (test::run({"sh", "-c", "command -v nm"}).status != 0) SKIP_CASE("there is no nm here", "binutils");
  std::string hot = test::trigger_path("hot"), outer = address_of("hot", "hot_outer");
  live::Result result = live::run("symbolize", {"--file", hot, outer, "0x" + outer, "1"});
  INFO(result.out << result.err);
  auto rows = result.rows();
  REQUIRE(rows.size() == 3);
  for (int i : {0, 1}) {
    CHECK(rows[i]["name"] == "hot_outer");
    CHECK(rows[i]["offset"] == 0);
    CHECK(rows[i]["file"].get<std::string>().ends_with("hot.c"));
    CHECK(rows[i]["module"] == hot);
    CHECK(rows[i]["reason"] == nullptr);
  }
  CHECK(rows[2]["name"] == nullptr);
  CHECK(rows[2]["reason"] == "no symbol there");
  std::string id = rows[0]["build_id"];

  // As the tools show frames without names, and in short; the last is of another build.
  live::Result named = name_lines("    0x" + outer + " (" + hot + ") build id " + id + " [stripped]\n\n" + hot + "+0x" +
                                  outer + " (" + id + ")\nno address\n" + hot + "+0x" + outer + " (0123456789)\n");
  INFO(named.out << named.err);
  CHECK(named.status == 0);
  CHECK(live::count_lines(named.err) == 1);
  rows = named.rows();
  REQUIRE(rows.size() == 3);
  CHECK(rows[0]["name"] == "hot_outer");
  CHECK(rows[1]["name"] == "hot_outer");
  CHECK(rows[2]["name"] == nullptr);
  CHECK(rows[2]["reason"] == "the file is of another build");
}

TEST_CASE("the kernel's and a process's addresses have names", "[each-kernel]") {
  NEEDS("root");
  std::istringstream lines(test::run({"grep", " [tT] vfs_read$", "/proc/kallsyms"}).out);
  std::string address;
  lines >> address;
  CHECK(live::run("symbolize", {address}).row(Json::object())["name"] == "vfs_read");
  live::Process waits(live::trigger("waits", {"60000"}));
  if (test::run({"sh", "-c", "command -v nm"}).status == 0) {
    std::string place = address_of("waits", "wait_reading");  // a static program lies where the linker put it
    while (test::read_file("/proc/" + waits.number() + "/maps").find("waits") == std::string::npos)
      std::this_thread::yield();
    CHECK(live::run("symbolize", {"-p", waits.number(), place}).row({{"inlined", false}})["name"] == "wait_reading");
  }
  CHECK(live::run("symbolize", {"rubbish"}).status == 64);
  CHECK(live::run("symbolize", {"-p", "1,2", "1"}).status == 64);
}

TEST_CASE("symbols that are packed in .gnu_debugdata name a stripped program") {
  NEEDS("root");
  for (const char* program : {"nm", "objcopy", "xz"})
    if (test::run({"sh", "-c", std::string("command -v ") + program}).status != 0)
      SKIP_CASE(std::string("there is no ") + program + " here", "binutils");
  test::TemporaryDirectory folder;
  std::string waits = test::trigger_path("waits"), place = address_of("waits", "wait_reading");
  std::string packed = folder.path() + "/packed", bare = folder.path() + "/bare";
  REQUIRE(
      test::run({"sh", "-ec",
                 "cd " + folder.path() + "; objcopy --strip-debug " + waits + " mini; xz mini; objcopy --strip-all " +
                     waits + " bare; objcopy --add-section .gnu_debugdata=mini.xz bare packed"})
          .status == 0);
  CHECK(live::run("symbolize", {"--file", packed, place}).row(Json::object())["name"] == "wait_reading");
  Json none = live::run("symbolize", {"--file", bare, place}).row(Json::object());
  CHECK(none["name"] == nullptr);
  CHECK(none["reason"] == "stripped");
}

TEST_CASE("the kernel's own code in a process, and what a program made at run time, have names") {
  NEEDS("root");
  live::File folder;
  // Says where it has code that a perf map names, and where the kernel's clock_gettime is.
  std::string program = live::compile(
      folder.folder(), "makes_code",
      "#define _GNU_SOURCE\n#include <stdio.h>\n#include <string.h>\n#include <sys/mman.h>\n#include <unistd.h>\n"
      "int main(void) { char name[64];"
      "  char *code = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);"
      "  memset(code, 0xc3, 4096); snprintf(name, sizeof name, \"/tmp/perf-%d.map\", getpid());"
      "  FILE *map = fopen(name, \"w\");"
      "  fprintf(map, \"%lx 40 made first\\n0x%lx 0x40 _ZN4made6secondEv\\n\", (long)code, (long)code + 64);"
      "  fclose(map); printf(\"%lx\\n\", (long)code); fflush(stdout); getchar(); unlink(name); return 0; }",
      {"-O1"});
  if (program.empty()) SKIP_CASE("no compiler here", "gcc");
  live::Process makes({program});
  std::uint64_t code = std::stoull(makes.says(), nullptr, 16);
  auto named = [&](std::uint64_t address) {
    std::ostringstream text;
    text << std::hex << address;
    return live::run("symbolize", {"-p", makes.number(), text.str()}).row(Json::object());
  };
  CHECK(named(code + 2)["name"] == "made first");
  CHECK(named(code + 2)["offset"] == 2);
  CHECK(named(code + 64)["name"] == "made::second()");
  CHECK(named(code + 128)["reason"] == "made at run time");

  std::istringstream maps(test::read_file("/proc/" + makes.number() + "/maps"));
  std::uint64_t start = 0, size = 0;
  for (std::string line; std::getline(maps, line);)
    if (line.ends_with("[vdso]")) {
      start = std::stoull(line, nullptr, 16);
      size = std::stoull(line.substr(line.find('-') + 1), nullptr, 16) - start;
    }
  REQUIRE(size > 0);
  std::string image(size, '\0'), copy = folder.folder() + "/vdso";
  std::ifstream memory("/proc/" + makes.number() + "/mem", std::ios::binary);
  memory.seekg(static_cast<std::streamoff>(start)).read(image.data(), static_cast<std::streamsize>(size));
  std::ofstream(copy, std::ios::binary) << image;
  std::istringstream symbols(test::run({"nm", "-D", copy}).out);
  std::uint64_t at = 0;
  for (std::string address, type, name; symbols >> address >> type >> name;)
    if (name.starts_with("__vdso_clock_gettime")) at = std::stoull(address, nullptr, 16);
  if (at) {
    Json vdso = named(start + at);
    CHECK(vdso["name"].get<std::string>().ends_with("clock_gettime"));
    CHECK(vdso["module"] == "[vdso]");
  }
  makes.go();
  CHECK(makes.wait() == 0);
}
