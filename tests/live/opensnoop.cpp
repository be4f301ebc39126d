// SPDX-License-Identifier: BSD-2-Clause
// opensnoop: every open by its caller's own account, with the file that was meant.
#include "harness.hpp"

using live::Json;
using live::Words;

namespace {

live::Result opens(const Words& options, const Words& command) { return live::trace("opensnoop", options, command); }

// The path of the only open under -F by a process that opens `name` as seen from `folder`.
std::string full_path(const std::string& way, const std::string& folder, const std::string& name,
                      const std::string& source = "") {
  Words words = live::trigger("open_in", {way, folder, name});
  if (!source.empty()) words.push_back(source);
  live::Result result = opens({"-F"}, words);
  INFO(result.out << result.err);
  auto rows = result.rows();
  REQUIRE_FALSE(rows.empty());
  CHECK(rows.back()["comm"] == "open_in");
  return rows.back()["path"];
}

std::string canonical(const std::string& path) { return std::filesystem::canonical(path); }

std::string long_name(char letter, std::size_t size) { return std::string(size, letter); }

}  // namespace

TEST_CASE("cat opens its file once") {
  NEEDS("root");
  live::Result result = opens({}, {"cat", "/etc/hostname"});
  CHECK(result.status == 0);
  Json row = result.row({{"path", "/etc/hostname"}});
  CHECK(row["fd"].get<int>() >= 3);
  CHECK(row["error"] == nullptr);
  CHECK(row["comm"] == "cat");
  CHECK(row["uid"] == 0);
  CHECK(row["pid"] == row["tid"]);
  CHECK(result.end()["rows"] == result.row_lines());
  CHECK(result.lost() == 0);
}

TEST_CASE("a file that is not there is a failed open") {
  NEEDS("root");
  live::Result result = opens({"-x"}, {"cat", "/nonexistent"});
  Json row = result.row({{"path", "/nonexistent"}});
  CHECK(row["error"] == "ENOENT");
  CHECK(row["fd"] == nullptr);
  for (const Json& other : result.rows()) CHECK(other["error"] != nullptr);
  CHECK(result.end()["command"] == Json{{"exit", 1}});
}

TEST_CASE("all calls that open are seen, with their flags", "[each-kernel]") {
  NEEDS("root");
  live::File file;
  auto rows = opens({}, live::trigger("open_ways", {file.path()})).rows({{"path", file.path()}});
  std::vector<std::string> flags;
  for (const Json& row : rows) flags.push_back(row["flags"]);
#ifdef __x86_64__
  CHECK(flags == std::vector<std::string>{"O_RDONLY|O_NOFOLLOW", "O_WRONLY|O_CREAT|O_TRUNC", "O_WRONLY|O_APPEND",
                                          "O_RDWR|O_CLOEXEC"});
#else
  CHECK(flags == std::vector<std::string>{"O_WRONLY|O_APPEND", "O_RDWR|O_CLOEXEC"});
#endif
}

TEST_CASE("opensnoop's own filters let through exactly what they name") {
  NEEDS("root");
  live::File file, other("another");
  auto both = [&](const std::string& options) {
    return Words{"sh", "-c",
                 options + " ; " + test::trigger_path("opens") + " 3 " + file.path() + " w; " +
                     test::trigger_path("opens") + " 4 " + other.path() + "; " + test::trigger_path("opens") +
                     " 5 /nonexistent/file"};
  };
  auto count = [&](const Words& options, const std::string& path) {
    return opens(options, both(":")).rows({{"path", path}, {"comm", "opens"}}).size();
  };
  CHECK(count({}, file.path()) == 3);
  CHECK(count({"-x"}, file.path()) == 0);
  CHECK(count({"-x"}, "/nonexistent/file") == 5);
  CHECK(count({"--errno", "ENOENT"}, "/nonexistent/file") == 5);
  CHECK(count({"--errno", "EACCES"}, "/nonexistent/file") == 0);
  CHECK(count({"--write"}, file.path()) == 3);
  CHECK(count({"--write"}, other.path()) == 0);
  CHECK(count({"--path", other.folder()}, other.path()) == 4);
  CHECK(count({"--path", other.folder()}, file.path()) == 0);
  CHECK(opens({"--path", file.path()}, both(":")).row_lines() == 3);
  CHECK(opens({"--path", file.path() + "x"}, both(":")).row_lines() == 0);
}

TEST_CASE("-F --path looks at the absolute path") {
  NEEDS("root");
  live::File file;
  Words command = live::trigger("open_in", {"cwd", canonical(file.folder()), "file"});
  CHECK(opens({"-F", "--path", canonical(file.folder()) + "/f"}, command).row_lines() == 1);
  CHECK(opens({"-F", "--path", canonical(file.folder()) + "/g"}, command).row_lines() == 0);
  CHECK(opens({"--path", canonical(file.folder())}, command).row_lines() == 0);
}

TEST_CASE("-F names the file that was opened, however it was named", "[each-kernel]") {
  NEEDS("root");
  live::File file;
  std::string folder = canonical(file.folder()), whole = folder + "/file";
  CHECK(full_path("cwd", folder, "file") == whole);
  CHECK(full_path("root", folder, "/file") == whole);
  if (live::brief()) return;
  CHECK(full_path("cwd", folder, "./../" + folder.substr(folder.rfind('/') + 1) + "//file") == whole);
  CHECK(full_path("dirfd", folder, "file") == whole);
  CHECK(full_path("dirfd", "/", whole) == whole);
  CHECK(full_path("root", folder, "../../file") == whole);
  std::filesystem::create_symlink("file", file.folder() + "/link");
  CHECK(full_path("cwd", folder, "link") == whole);
  CHECK(full_path("cwd", folder, "/") == "/");
  CHECK(full_path("cwd", folder, "/proc/self/fd/2") == "/proc/self/fd/2");  // a pipe, which has no path
  CHECK(full_path("cwd", folder, "/proc/self/status").starts_with("/proc/"));
}

TEST_CASE("-F joins a failed open's name to where it starts from") {
  NEEDS("root");
  live::File file;
  std::string folder = canonical(file.folder());
  CHECK(full_path("cwd", folder, "missing") == folder + "/missing");
  CHECK(full_path("root", folder, "/missing") == folder + "/missing");
  if (live::brief()) return;
  CHECK(full_path("dirfd", folder, "missing") == folder + "/missing");
  CHECK(full_path("dirfd", folder, "/missing") == "/missing");
  CHECK(full_path("root", folder, "missing") == folder + "/missing");
}

TEST_CASE("-F follows mounts to the root of the opener's mount namespace", "[each-kernel]") {
  NEEDS("root");
  live::File source, target("hidden");
  std::string from = canonical(source.folder()), to = canonical(target.folder());
  CHECK(full_path("mount", to, "file", from) == to + "/file");
  if (live::brief()) return;
  CHECK(full_path("mount", to, "missing", from) == to + "/missing");
  CHECK(full_path("mount", to, to + "/file", from) == to + "/file");
}

TEST_CASE("a path of 20 components of 200 bytes comes out whole") {
  NEEDS("root");
  test::TemporaryDirectory folder;
  std::string base = canonical(folder.path()), leaf = base;
  for (int i = 0; i < 20; i++) leaf += "/" + long_name(static_cast<char>('a' + i), 200);
  leaf += "/leaf";
  REQUIRE(leaf.size() > 4000);
  REQUIRE(leaf.size() < 4096);
  SECTION("as it was given") {
    live::Result result = opens({}, live::trigger("deep", {base, "20", "200"}));
    CHECK(result.rows({{"path", leaf}}).size() == 1);
    CHECK(result.rows({{"path", "leaf"}}).size() == 1);
  }
  SECTION("with -F") {
    live::Result result = opens({"-F"}, live::trigger("deep", {base, "20", "200"}));
    CHECK(result.rows({{"path", leaf}, {"error", nullptr}}).size() == 2);
    CHECK(result.rows({{"path", leaf.substr(0, leaf.size() - 4) + "nothing"}, {"error", "ENOENT"}}).size() == 1);
  }
}

TEST_CASE("-F shows 128 components, and marks what is missing of more", "[each-kernel]") {
  NEEDS("root");
  test::TemporaryDirectory folder;
  std::string base = canonical(folder.path());
  auto path_of = [&](int count) {
    return opens({"-F"}, live::trigger("deep", {base, std::to_string(count), "3"})).rows({{"comm", "deep"}});
  };
  auto all_of = [&](int count) {
    std::string leaf = base;
    for (int i = 0; i < count; i++) leaf += "/" + long_name(static_cast<char>('a' + i % 26), 3);
    auto rows = path_of(count);
    REQUIRE(rows.size() == 3);
    CHECK(rows[0]["path"] == leaf + "/leaf");
    CHECK(rows[1]["path"] == leaf + "/leaf");
    CHECK(rows[2]["path"] == leaf + "/nothing");
  };
  SECTION("40") { all_of(40); }
  SECTION("128") { all_of(128); }
  SECTION("400") {
    auto rows = path_of(400);
    REQUIRE(rows.size() == 3);
    std::string path = rows[0]["path"];
    CHECK(path.starts_with("…/"));
    CHECK(path.ends_with("/jjj/leaf"));  // the 400th
    CHECK(std::count(path.begin(), path.end(), '/') == 176);
  }
}

TEST_CASE("names of up to 4,095 bytes come out whole") {
  NEEDS("root");
  for (std::size_t size : {126, 127, 128, 510, 511, 512, 4094, 4095}) {
    std::string name = "/nonexistent/" + long_name('n', size - 13);
    INFO(size);
    CHECK(opens({"-x"}, live::trigger("opens", {"2", name})).rows({{"path", name}}).size() == 2);
  }
}

TEST_CASE("a name that cannot be read is unknown, and counted") {
  NEEDS("root");
  for (const Words& options : std::vector<Words>{{}, {"-F"}}) {
    live::Result result = opens(options, live::trigger("open_bad", {"3"}));
    CHECK(result.rows({{"path", nullptr}, {"error", "EFAULT"}}).size() == 3);
    CHECK(result.end()["lost"]["name_unreadable"] == 3);
  }
}

TEST_CASE("opens by 32-bit callers are seen, or --explain says that they are not") {
  NEEDS("root");
  NEEDS("compat32");
  live::File file;
  live::Result plan = live::run("opensnoop", {"--explain"});
  Json explained = Json::parse(plan.out);
  auto seen = opens({}, live::trigger("compat", {"opens", "5", file.path()})).rows({{"path", file.path()}}).size();
  if (explained["form"] == "full") {
    CHECK(seen == 5);
  } else {
    CHECK(seen == 0);
    CHECK(plan.out.find("32-bit") != std::string::npos);
  }
}

TEST_CASE("lost and shown are together what was made") {
  NEEDS("root");
  auto made = live::heavy(200'000);
  Words storm = live::trigger("opens", {std::to_string(made), "/dev/null"});
  live::Result result = opens({"--buffer", "64K", "--strict"}, storm);
  CHECK(result.row_lines() + result.lost() == made);
  if (!live::brief()) CHECK(result.lost() > 0);  // an emulated machine's storm may be too slow for that
  CHECK(result.status == (result.lost() ? 3 : 0));
  CHECK(result.end()["rows"] == result.row_lines());
  CHECK((result.err.find("ring_full") != std::string::npos) == (result.lost() > 0));
}

TEST_CASE("a storm loses nothing at the default size") {
  NEEDS("root");
  auto made = live::heavy(200'000);
  live::Result result = opens({"--strict"}, live::trigger("opens", {std::to_string(made), "/dev/null"}));
  CHECK(result.row_lines() == made);
  CHECK(result.lost() == 0);
  CHECK(result.status == 0);
}

TEST_CASE("rows that go round a small ring again and again come whole, each once") {
  NEEDS("root");
  constexpr int rounds = 60, each = 12;  // of 136 bytes or more: 1.5 rings of 64 KiB
  std::string few = live::trigger("opens", {std::to_string(each), "/dev/null"})[0];
  live::Result result = opens({"--buffer", "64K"}, {"sh", "-c",
                                                    "for i in $(seq " + std::to_string(rounds) + "); do " + few + " " +
                                                        std::to_string(each) + " /dev/null; sleep 0.02; done"});
  CHECK(result.rows({{"path", "/dev/null"}, {"comm", "opens"}}).size() == rounds * each);
  CHECK(result.end()["rows"] == result.row_lines());
  CHECK(result.lost() == 0);
}

TEST_CASE("rows of several processors come in the order of their time") {
  NEEDS("root");
  auto made = live::heavy(3000);
  std::string one = test::trigger_path("opens") + " " + std::to_string(made) + " /dev/null";
  live::Result result = opens({}, {"sh", "-c", one + " & " + one + " & " + one + " & wait"});
  auto rows = result.rows({{"path", "/dev/null"}, {"comm", "opens"}});
  // A kernel that may take the CPU from a program skips it for whoever opens meanwhile, and counts that.
  CHECK(rows.size() <= 3 * made);
  CHECK(rows.size() + result.lost() >= 3 * made);
  auto earlier = [](const Json& a, const Json& b) { return a["time"] < b["time"]; };
  CHECK(std::is_sorted(rows.begin(), rows.end(), earlier));
}
