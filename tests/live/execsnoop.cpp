// SPDX-License-Identifier: BSD-2-Clause
// execsnoop: exactly one row for each program that was started, with its arguments byte for byte.
#include "harness.hpp"

using live::Json;
using live::Words;
using live::operator+;

namespace {

live::Result execs(const Words& options, const Words& command) { return live::trace("execsnoop", options, command); }

// A row's arguments exactly, from what is not UTF-8 too.
Words args_of(const Json& row) {
  if (!row.contains("args_base64")) return row["args"].get<Words>();
  Words words;
  for (const Json& word : row["args_base64"]) words.push_back(live::from_base64(word));
  return words;
}

const Words hostile = {"line\nbreak",
                       "\x1b[2J\x1b]0;title\a",
                       "\xff\xfe\x80 not UTF-8",
                       "",
                       "quo'te \"$HOME\"",
                       "\xc3\xa9t\xc3\xa9",
                       "\xc2\x9b"
                       "31m",
                       "tab\tend\r"};

}  // namespace

TEST_CASE("bash and what it executes are a row each", "[each-kernel]") {
  NEEDS("root");
  live::Result result = execs({}, {"bash", "-c", "exec -a x true"});
  CHECK(result.status == 0);
  auto rows = result.rows();
  REQUIRE(rows.size() == 2);
  CHECK(args_of(rows[0]) == Words{"bash", "-c", "exec -a x true"});
  CHECK(rows[0]["comm"] == "bash");
  CHECK(args_of(rows[1]) == Words{"x"});
  CHECK(rows[1]["comm"] == "true");
  CHECK(rows[0]["pid"] == rows[1]["pid"]);
  CHECK(rows[0]["ppid"] == rows[1]["ppid"]);
  for (const Json& row : rows) {
    CHECK(row["error"] == nullptr);
    CHECK(row["args_whole"] == true);
    CHECK(row["uid"] == 0);
  }
  CHECK(result.lost() == 0);
}

TEST_CASE("execveat is seen once") {
  NEEDS("root");
  auto rows = execs({}, live::trigger("exec_at", {test::trigger_path("ends"), "0"})).rows();
  REQUIRE(rows.size() == 2);
  CHECK(args_of(rows[1]) == Words{"exec_at", "0"});
}

TEST_CASE("an exec from a second thread is seen once, as the process") {
  NEEDS("root");
  auto rows = execs({}, live::trigger("exec_thread", {test::trigger_path("ends"), "0"})).rows();
  REQUIRE(rows.size() == 2);
  CHECK(args_of(rows[1]) == Words{test::trigger_path("ends"), "0"});
  CHECK(rows[1]["comm"] == "ends");
  CHECK(rows[0]["pid"] == rows[1]["pid"]);
}

TEST_CASE("hostile arguments come back exactly from JSON", "[any-kernel]") {
  NEEDS("root");
  Words command = live::trigger("ends", Words{"0"} + hostile);
  live::Result result = execs({}, command);
  auto rows = result.rows();
  REQUIRE(rows.size() == 1);
  CHECK(args_of(rows[0]) == command);
  CHECK(rows[0].contains("args_base64"));
}

TEST_CASE("hostile arguments are harmless on a terminal", "[any-kernel]") {
  NEEDS("root");
  for (const char* format : {"text", "csv"}) {
    live::Result result = execs({"-o", format}, live::trigger("ends", Words{"0"} + hostile));
    INFO(result.out);
    auto harmful = [](unsigned char byte) { return (byte < 32 && byte != '\n' && byte != '\r') || byte == 127; };
    CHECK(std::count_if(result.out.begin(), result.out.end(), harmful) == 0);
    CHECK(result.out.find("\xc2\x9b") == std::string::npos);
    CHECK(result.out.find("\xff") == std::string::npos);
    CHECK(live::count_lines(result.out) == 2);
    if (format == std::string("text")) CHECK(result.out.find('\r') == std::string::npos);
    CHECK(result.out.find("\xc3\xa9t\xc3\xa9") != std::string::npos);
  }
}

TEST_CASE("text quotes arguments so that a shell reads them back", "[any-kernel]") {
  NEEDS("root");
  Words words = {"two words", "quo'te", "$HOME", "`id`", "a;b", "", "*", "line\nbreak"};
  live::Result result = execs({"-o", "text", "--time", "none"}, live::trigger("ends", Words{"0"} + words));
  std::string row = result.out.substr(result.out.find('\n') + 1);
  std::string shown = row.substr(row.find(test::trigger_path("ends")));
  test::Ran read = test::run({"bash", "-c", "set -- " + shown + "printf '%s|' \"${@:3}\""});
  CHECK(read.out == "two words|quo'te|$HOME|`id`|a;b||*|line\nbreak|");
}

TEST_CASE("3,000 arguments come out whole") {
  NEEDS("root");
  Words many = {"0"};
  for (int i = 0; i < 3000; i++) many.push_back("argument-" + std::to_string(i));
  Words command = live::trigger("ends", many);
  SECTION("with room for them") {
    auto rows = execs({"--max-args", "128K"}, command).rows();
    REQUIRE(rows.size() == 1);
    CHECK(args_of(rows[0]) == command);
    CHECK(rows[0]["args_whole"] == true);
  }
  SECTION("and are said to be cut without") {
    auto rows = execs({}, command).rows();
    REQUIRE(rows.size() == 1);
    Words shown = args_of(rows[0]);
    CHECK(rows[0]["args_whole"] == false);
    REQUIRE(shown.size() > 100);
    shown.pop_back();  // may be cut itself
    CHECK(std::equal(shown.begin(), shown.end(), command.begin()));
  }
}

TEST_CASE("arguments of every size up to the limit are whole") {
  NEEDS("root");
  std::size_t own = test::trigger_path("ends").size() + 1 + 2;
  for (std::size_t size : {511, 512, 513, 4095, 4096}) {
    Words command = live::trigger("ends", {"0", std::string(size - own - 1, 'a')});
    INFO(size);
    auto rows = execs({}, command).rows();
    REQUIRE(rows.size() == 1);
    CHECK(args_of(rows[0]) == command);
    CHECK(rows[0]["args_whole"] == true);
  }
  auto rows = execs({}, live::trigger("ends", {"0", std::string(4097 - own - 1, 'a')})).rows();
  CHECK(rows.at(0)["args_whole"] == false);
  rows = execs({"--max-args", "128K"}, live::trigger("ends", {"0", std::string(131072 - own - 1, 'a')})).rows();
  CHECK(args_of(rows.at(0)).back().size() == 131072 - own - 1);
}

TEST_CASE("--exit shows status or signal, and how long it ran", "[each-kernel]") {
  NEEDS("root");
  auto end_of = [](const Words& arguments) {
    live::Result result = execs({"--exit"}, live::trigger("ends", arguments));
    INFO(result.out);
    auto rows = result.rows({{"comm", "ends"}});
    REQUIRE(rows.size() == 1);
    return rows[0];
  };
  CHECK(end_of({"0"})["exit"] == "0");
  CHECK(end_of({"3"})["exit"] == "3");
  CHECK(end_of({"-9"})["exit"] == "SIGKILL");
  CHECK(end_of({"-11"})["exit"] == "SIGSEGV");
  auto ran = end_of({"0", "300"})["ran_ns"].get<std::uint64_t>();
  CHECK(ran >= 300'000'000);
  CHECK(ran < 2'000'000'000);
}

TEST_CASE("--exit of several: a row each, when it ends or becomes another") {
  NEEDS("root");
  std::string ends = test::trigger_path("ends");
  auto rows = execs({"--exit"}, {"bash", "-c", ends + " 1; " + ends + " 2; exec " + ends + " 3"}).rows();
  std::vector<std::string> exits;
  for (const Json& row : rows) exits.push_back(row["comm"].get<std::string>() + "=" + row["exit"].dump());
  CHECK(exits == std::vector<std::string>{"ends=\"1\"", "ends=\"2\"", "bash=null", "ends=\"3\""});
}

TEST_CASE("--exit of a process whose first thread ends before") {
  NEEDS("root");
  auto rows = execs({"--exit"}, live::trigger("ends_thread")).rows();
  REQUIRE(rows.size() == 1);
  CHECK(rows[0]["exit"] == "6");
  CHECK(rows[0]["ran_ns"].get<std::uint64_t>() >= 50'000'000);
}

TEST_CASE("--exit shows at the end what still runs") {
  NEEDS("root");
  live::Process ends(live::trigger("ends", {"0", "600000"}), {.gated = true});
  live::Tool tool("execsnoop", {"--exit", "-p", ends.number(), "-d", "1"});
  ends.go();
  Json row = tool.finish().row({{"pid", ends.pid()}});
  CHECK(row["exit"] == nullptr);
  CHECK(row["ran_ns"] == nullptr);
}

TEST_CASE("failed ones are shown by --all and -x") {
  NEEDS("root");
  Words command = live::trigger("exec_fails", {"/nonexistent", "6", "some", "arguments here"});
  CHECK(execs({}, command).row_lines() == 1);
  live::Result all = execs({"--all"}, command), failed = execs({"-x"}, command);
  CHECK(all.row_lines() == 7);
  CHECK(failed.row_lines() == 6);
  for (const Json& row : failed.rows()) {
    CHECK(row["error"] == "ENOENT");
    CHECK(args_of(row) == Words{"some", "arguments here"});
    CHECK(row["args_whole"] == true);
    CHECK(row["comm"] == "exec_fails");
  }
  CHECK(execs({"-x"}, live::trigger("exec_fails", {"/etc", "2", "x"})).rows({{"error", "EACCES"}}).size() == 2);
}

TEST_CASE("--cwd names the working directory", "[each-kernel]") {
  NEEDS("root");
  live::File file;
  std::string folder = std::filesystem::canonical(file.folder()), ends = test::trigger_path("ends");
  std::string deep = live::nested(folder, 150);
  live::Result result = execs(
      {"--cwd"},
      {"bash", "-c", "cd " + folder + "; " + ends + " 7; cd " + deep + "; " + ends + " 9; cd /; exec " + ends + " 8"});
  INFO(result.out << result.err);
  auto rows = result.rows({{"comm", "ends"}});
  REQUIRE(rows.size() == 3);
  CHECK(rows[0]["cwd"] == folder);
  CHECK(rows[1]["cwd"] == deep);
  CHECK(rows[2]["cwd"] == "/");
  CHECK(args_of(rows[0]) == Words{ends, "7"});
}

TEST_CASE("--cwd goes with the longest arguments") {
  NEEDS("root");
  live::File file;
  std::string folder = std::filesystem::canonical(file.folder());
  Words many = {"0"};
  for (int i = 0; i < 3000; i++) many.push_back("argument-" + std::to_string(i));
  Words command = live::trigger("ends", many);
  live::Process ends(command, {.inside = [&] { (void)!chdir(folder.c_str()); }, .gated = true});
  live::Tool tool("execsnoop", {"--cwd", "--max-args", "128K", "-p", ends.number(), "-n", "1"});
  ends.go();
  Json row = tool.finish().row({{"pid", ends.pid()}});
  CHECK(row["cwd"] == folder);
  CHECK(args_of(row) == command);
}

TEST_CASE("--ancestors names the parents, the nearest first") {
  NEEDS("root");
  std::string ends = test::trigger_path("ends");
  live::Result result = execs({"--ancestors", "2"}, {"bash", "-c", "bash -c '" + ends + " 1; true'; true"});
  auto rows = result.rows();
  REQUIRE(rows.size() == 3);
  auto pid = [&](int i) { return rows[static_cast<std::size_t>(i)]["pid"].dump(); };
  CHECK(rows[2]["ancestors"] == "bash(" + pid(1) + ") < bash(" + pid(0) + ")");
  CHECK(rows[1]["ancestors"].get<std::string>().starts_with("bash(" + pid(0) + ") < execsnoop("));
  CHECK(execs({}, {"true"}).rows().at(0)["ancestors"] == nullptr);
}

TEST_CASE("every exec of many at once is there") {
  NEEDS("root");
  std::string loop = "for i in {1..300}; do " + test::trigger_path("ends") + " $((i % 3)); done";
  live::Result result = execs({"--exit"}, {"bash", "-c", "{ " + loop + "; } & { " + loop + "; } & wait"});
  std::size_t shown = 0;
  for (int status : {0, 1, 2}) {
    auto of_status = result.rows({{"comm", "ends"}, {"exit", std::to_string(status)}}).size();
    CHECK(of_status <= 200);
    shown += of_status;
  }
  INFO(result.end().dump());
  CHECK(shown + result.lost() >= 600);
  // A kernel that may take the CPU from a program skips it for who runs into it meanwhile, and counts that.
  Json skipped = result.end()["lost"]["skipped"];
  CHECK(result.lost() == (skipped.is_number() ? skipped.get<std::size_t>() : 0));
}
