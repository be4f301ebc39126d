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
