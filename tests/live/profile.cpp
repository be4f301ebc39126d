// SPDX-License-Identifier: BSD-2-Clause
// profile: shares of time that are known, in functions that are known.
#include "harness.hpp"

using live::Json;
using live::Words;
using live::operator+;

namespace {

// Samples whose stack has such a function.
double samples_with(const std::vector<Json>& rows, const std::string& function) {
  double sum = 0;
  for (const Json& row : rows)
    for (const Json& frame : row["stack"])
      if (frame["name"].is_string() && frame["name"].get<std::string>() == function) {
        sum += row["count"].get<double>();
        break;
      }
  return sum;
}

double all_samples(const std::vector<Json>& rows) { return samples_with(rows, "main"); }

Json frame_of(const std::vector<Json>& rows, const std::string& function) {
  for (const Json& row : rows)
    for (const Json& frame : row["stack"])
      if (frame["name"] == function) return frame;
  return {};
}

// What the program said of itself, on the tool's stderr, among the tool's own lines.
Json said(const live::Result& result) {
  std::istringstream lines(result.err);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("{\"hot_own\"")) return Json::parse(line);
  throw std::runtime_error("the program did not say what it did: " + result.err);
}

void check_shares(const live::Result& result) {
  INFO(result.err);
  auto rows = result.rows();
  Json truth = said(result);
  double sum = 0;
  for (const auto& [name, ns] : truth.items()) sum += ns.get<double>();
  REQUIRE(all_samples(rows) > 300);
  for (const auto& [name, ns] : truth.items()) {
    double shown = 100 * samples_with(rows, name) / all_samples(rows), made = 100 * ns.get<double>() / sum;
    INFO(name << ": " << shown << " % shown, " << made << " % made");
    CHECK(std::abs(shown - made) <= (live::brief() ? 10 : 5));  // an emulated machine has few samples
  }
  CHECK(result.lost() == 0);
}

}  // namespace

TEST_CASE("shares of time come out within five points of the truth", "[each-kernel]") {
  NEEDS("root");
  if (access(live::loader, X_OK) != 0) SKIP_CASE("there is no dynamic loader here");
  live::Result result = live::trace("profile", {"-F", "999"}, live::trigger("hot", {"1500"}));
  check_shares(result);
  auto rows = result.rows();
  CHECK(frame_of(rows, "hot_inlined")["inlined"] == true);
  CHECK(frame_of(rows, "hot_inlined")["file"].get<std::string>().ends_with("hot.c"));
  CHECK(frame_of(rows, "hot_outer")["inlined"] == false);
  CHECK(frame_of(rows, "hot_library")["module"].get<std::string>().ends_with("/libhot.so"));
  CHECK(frame_of(rows, "hot_library")["build_id"].is_string());
  CHECK(samples_with(rows, "vfs_read") + samples_with(rows, "ksys_pread64") + samples_with(rows, "__x64_sys_pread64") >
        0);
}

TEST_CASE("a program that has been stripped, deleted and moved into another root keeps its names") {
  NEEDS("root");
  if (access(live::loader, X_OK) != 0) SKIP_CASE("there is no dynamic loader here");
  test::TemporaryDirectory root;
  std::string place = root.path(), hot = test::trigger_path("hot"), lib = hot.substr(0, hot.rfind('/')) + "/libhot.so";
  std::string script =
      "set -e; cd " + place + "; mkdir -p lib64 lib/x86_64-linux-gnu bin usr/lib/debug; " +
      "cp -L /lib64/ld-linux-x86-64.so.2 lib64; cp -L /lib/x86_64-linux-gnu/libc.so.6 lib/x86_64-linux-gnu; " + "cp " +
      lib + " lib/x86_64-linux-gnu; objcopy --only-keep-debug " + hot + " bin/hot.debug; " +
      "objcopy --strip-all --add-gnu-debuglink=bin/hot.debug " + hot + " bin/hot";
  if (test::run({"sh", "-c", "command -v objcopy"}).status != 0) SKIP_CASE("objcopy is not installed", "binutils");
  REQUIRE(test::run({"sh", "-c", script}).status == 0);
  // Removed by the program's own parent once it has opened itself; the copy in the root is the only one.
  std::string command = "chroot " + place + " /bin/hot 1500 /bin/hot & child=$!; while kill -0 $child 2>/dev/null && " +
                        "! readlink /proc/$child/fd/* 2>/dev/null | grep -qx " + place + "/bin/hot; do :; done; rm " +
                        place + "/bin/hot; wait $child";
  live::Result result = live::trace("profile", {"-F", "999"}, {"sh", "-c", command});
  check_shares(result);
}

TEST_CASE("only what is asked for is shown") {
  NEEDS("root");
  Words calls = live::trigger("calls", {"getppid", std::to_string(live::heavy(3'000'000))});
  live::Result kernel = live::trace("profile", {"-K", "-F", "499"}, calls);
  live::Result user = live::trace("profile", {"-U", "-F", "499"}, calls);
  CHECK(user.row_lines() > 0);
  CHECK(kernel.row_lines() > 0);
  for (const Json& row : user.rows())
    for (const Json& frame : row["stack"]) CHECK(frame["module"] != "[kernel]");
  for (const Json& row : kernel.rows())
    for (const Json& frame : row["stack"]) CHECK(frame["module"].get<std::string>().starts_with("["));
  CHECK(live::run("profile", {"-C", "4095", "-d", "1"}).status == 64);
  CHECK(live::run("profile", {"-F", "0"}).status == 64);
  CHECK(live::run("profile", {"-C", "x"}).status == 64);
  CHECK(live::run("profile", {"--symbols", "none"}).status == 64);
}

TEST_CASE("samples come at the frequency that is asked for") {
  NEEDS("root");
  live::Result result = live::run("profile", {"-d", "2", "-F", "99", "--idle", "-C", "0"});
  double sum = 0;
  for (const Json& row : result.rows()) sum += row["count"].get<double>();
  CHECK(sum > 150);
  CHECK(sum < 210);
}

TEST_CASE("a run that shows nothing leaves the picture of an earlier one", "[any-kernel]") {
  NEEDS("root");
  live::File old("old.svg");
  CHECK(live::run("profile", {"--explain", "--flame", old.path()}).status == 0);
  CHECK(live::run("profile", {"-C", "4095", "-d", "1", "--flame", old.path()}).status == 64);
  CHECK(test::read_file(old.path()) == "text\n");
  std::string none = old.folder() + "/none.svg";
  CHECK(live::run("profile", {"--explain", "--flame", none}).status == 0);
  CHECK_FALSE(std::filesystem::exists(none));
  CHECK(live::run("profile", {"--explain", "--flame", "/nonexistent/new.svg"}).status == 1);
}

TEST_CASE("code that a program in a container made has its names, from the container's own /tmp and PID") {
  NEEDS("root");
  live::File root;
  const char* source =
      "#include <stdio.h>\n#include <string.h>\n#include <sys/mman.h>\n#include <time.h>\n#include <unistd.h>\n"
      // push %rbp; mov %rsp,%rbp; mov $100000000,%ecx; 1: dec %ecx; jnz 1b; pop %rbp; ret
      "static const char code[] = \"\\x55\\x48\\x89\\xe5\\xb9\\x00\\xe1\\xf5\\x05\\xff\\xc9\\x75\\xfc\\x5d\\xc3\";\n"
      "int main(void) {"
      "  char *made = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), name[64];"
      "  struct timespec begin, now; memcpy(made, code, sizeof code);"
      "  snprintf(name, sizeof name, \"/tmp/perf-%d.map\", getpid()); FILE *map = fopen(name, \"w\");"
      "  fprintf(map, \"0x%lx 40 made_in_a_container\\n\", (unsigned long)made); fclose(map);"
      "  clock_gettime(CLOCK_MONOTONIC, &begin);"
      "  do { ((void (*)(void))made)(); clock_gettime(CLOCK_MONOTONIC, &now); } while (now.tv_sec - begin.tv_sec < 2);"
      "  return 0; }";
  std::string made = live::compile(root.folder(), "makes", source, {"-O1", "-static", "-fno-omit-frame-pointer"});
  if (made.empty()) SKIP_CASE("no compiler here", "gcc");
  std::filesystem::create_directory(root.folder() + "/tmp");
  live::Result result =
      live::trace("profile", {"-F", "199", "-U"}, {"unshare", "-pmf", "chroot", root.folder(), "/makes"});
  INFO(result.out << result.err);
  CHECK(std::filesystem::exists(root.folder() + "/tmp/perf-1.map"));
  CHECK(samples_with(result.rows(), "made_in_a_container") > 100);
  CHECK(frame_of(result.rows(), "made_in_a_container")["module"] == "[jit]");
}

TEST_CASE("a signal leaves whole pictures that hold what the rows do, and a full disk is told of") {
  NEEDS("root");
  live::File place;
  auto path = [&](const std::string& name) { return place.folder() + "/" + name; };
  Words files = {"--folded",           path("a.folded"),   "--flame",       path("a.svg"),     "--flame",
                 path("a.html"),       "--pprof",          path("a.pb.gz"), "--chrome",        path("a.json"),
                 "--perfetto",         path("a.perfetto"), "--firefox",     path("a.firefox"), "--speedscope",
                 path("a.speedscope"), "--perf-script",    path("a.perf")};
  live::Tool tool("profile", Words{"-F", "199", "--comm", "calls"} + files);
  live::Process calls(live::trigger("calls", {"getppid", std::to_string(live::heavy(3'000'000))}));
  CHECK(calls.wait() == 0);
  live::Result result = tool.stop(SIGTERM);
  INFO(result.err);
  CHECK(result.status == 0);
  std::uint64_t shown = 0, folded = 0, weights = 0;
  for (const Json& row : result.rows()) shown += row["count"].get<std::uint64_t>();
  std::istringstream lines(test::read_file(path("a.folded")));
  for (std::string line; std::getline(lines, line);) folded += std::stoull(line.substr(line.rfind(' ')));
  Json speedscope = Json::parse(test::read_file(path("a.speedscope")));
  for (const Json& profile : speedscope["profiles"])
    for (const Json& weight : profile["weights"]) weights += weight.get<std::uint64_t>();
  CHECK(shown > 10);
  CHECK(folded == shown);
  CHECK(weights == shown);
  CHECK(Json::parse(test::read_file(path("a.json"))).contains("traceEvents"));
  CHECK(Json::parse(test::read_file(path("a.firefox"))).contains("threads"));
  CHECK(test::read_file(path("a.svg")).ends_with("</svg>\n"));
  CHECK(test::read_file(path("a.html")).ends_with("</html>\n"));
  CHECK(test::run({"sh", "-c", "gzip -t " + path("a.pb.gz")}).status == 0);
  CHECK(!test::read_file(path("a.perfetto")).empty());
  CHECK(!test::read_file(path("a.perf")).empty());

  live::Result full = live::trace("profile", {"--folded", "/dev/full"},
                                  live::trigger("calls", {"getppid", std::to_string(live::heavy(3'000'000))}));
  CHECK(full.status == 1);
  CHECK(full.err.ends_with("profile: cannot write /dev/full: No space left on device\n"));
}

TEST_CASE("--pprof tells of each process's cgroup, also when it is made of a capture") {
  NEEDS("root");
  std::string own = test::read_file("/proc/self/cgroup");
  std::size_t line = own.find("0::");
  if (line == own.npos) SKIP_CASE("there are no cgroups of version 2", "cgroup2");
  std::string path = own.substr(line + 3, own.find('\n', line) - line - 3);
  live::File capture, first("first.pb.gz"), second("second.pb.gz");
  Words calls = live::trigger("calls", {"getppid", std::to_string(live::heavy(3'000'000))});
  live::trace("profile", {"-F", "499", "--record", capture.path(), "--pprof", first.path()}, calls);
  CHECK(live::run("profile", {"--replay", capture.path(), "--pprof", second.path()}).status == 0);
  for (const live::File* file : {&first, &second}) {
    std::string bytes = test::run({"sh", "-c", "gzip -dc " + file->path()}).out;
    // Strings of profile.proto: field 6, a size, the bytes.
    CHECK(bytes.find("2\006cgroup") != bytes.npos);
    CHECK(bytes.find("2" + std::string(1, static_cast<char>(path.size())) + path) != bytes.npos);
  }
}

TEST_CASE("a program that becomes another at the same addresses lends it no names") {
  NEEDS("root");
  live::File folder;
  auto program = [&](const std::string& name) {
    return live::compile(
        folder.folder(), name,
        "#include <unistd.h>\n#include <time.h>\n"
        "__attribute__((noinline)) void work_of_" +
            name +
            "(void) {"
            "  struct timespec begin, now; clock_gettime(CLOCK_MONOTONIC, &begin);"
            "  do clock_gettime(CLOCK_MONOTONIC, &now);"
            "  while ((now.tv_sec - begin.tv_sec) * 1000000000L + now.tv_nsec - begin.tv_nsec < 400000000);"
            "}\nint main(int argc, char **argv) { work_of_" +
            name +
            "();"
            "  if (argc > 1) execv(argv[1], argv + 1); return 0; }",
        {"-O1", "-no-pie", "-static", "-fno-omit-frame-pointer"});
  };
  std::string first = program("first"), second = program("second");
  if (first.empty()) SKIP_CASE("no compiler here", "gcc");
  live::Result result = live::trace("profile", {"-F", "499", "-U"}, {first, second});
  INFO(result.out << result.err);
  std::map<std::string, int> rows;
  for (const Json& row : result.rows()) {
    std::string comm = row["comm"], all = row["stack"].dump();
    rows[comm]++;
    if (comm == "first") CHECK(all.find("work_of_second") == all.npos);
    if (comm == "second") CHECK(all.find("work_of_first") == all.npos);
  }
  CHECK(rows["first"] > 0);
  CHECK(rows["second"] > 0);
}
