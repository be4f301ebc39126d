// SPDX-License-Identifier: BSD-2-Clause
// syncsnoop: every call that syncs is a row, with its file.
#include "harness.hpp"

using live::Json;
using live::Words;

namespace {

live::Result syncs(const Words& options, const Words& arguments) {
  return live::trace("syncsnoop", options, live::trigger("syncs", arguments));
}

}  // namespace

TEST_CASE("N syncs of each kind on a known file are N rows of each kind", "[each-kernel]") {
  NEEDS("root");
  live::File file;
  std::string path = std::filesystem::canonical(file.path());
  live::Result result =
      syncs({}, {"5", file.path(), "sync", "fsync", "fdatasync", "msync", "sync_file_range", "syncfs"});
  INFO(result.out << result.err);
  CHECK(result.rows().size() == 30);
  for (const char* call : {"fsync", "fdatasync", "msync", "sync_file_range", "syncfs"})
    CHECK(result.rows({{"call", call}, {"path", path}, {"error", nullptr}, {"comm", "syncs"}}).size() == 5);
  CHECK(result.rows({{"call", "sync"}, {"path", nullptr}}).size() == 5);
  CHECK(result.lost() == 0);
  CHECK(result.end()["rows"] == 30);
}

TEST_CASE("a file's path is whole, but for what is above 176 components", "[each-kernel]") {
  NEEDS("root");
  test::TemporaryDirectory folder;
  std::string base = std::filesystem::canonical(folder.path()), once = live::trigger("syncs", {"1"})[0] + " 1 ",
              command;
  Words whole;
  for (int count : {0, 40, 150}) whole.push_back(live::nested(base, count) + "/file");
  std::string deepest = live::nested(base, 300) + "/file";
  for (const std::string& path : whole) command += once + path + " fsync; ";
  live::Result result = live::trace("syncsnoop", {}, {"sh", "-c", command + once + deepest + " fsync; sync /; :"});
  INFO(result.out << result.err);
  auto rows = result.rows({{"call", "fsync"}});
  REQUIRE(rows.size() == 5);
  for (int i : {0, 1, 2}) CHECK(rows[i]["path"] == whole[i]);
  std::string cut = rows[3]["path"], end = cut.substr(cut.find('/'));
  CHECK(cut == "…" + end);
  CHECK(deepest.ends_with(end));
  CHECK(std::count(end.begin(), end.end(), '/') == 176);
  CHECK(rows[4]["path"] == "/");
}

TEST_CASE("a file's path leads across mounts, and that of a mount's root is where it is mounted", "[each-kernel]") {
  NEEDS("root");
  test::TemporaryDirectory folder;
  std::string outer = std::filesystem::canonical(folder.path()), inner = live::nested(outer, 30);
  live::Result result = live::trace(
      "syncsnoop", {},
      {"unshare", "-m", "sh", "-c",
       "mount -t tmpfs none " + outer + " && mkdir -p " + inner + " && mount -t tmpfs none " + inner + " && " +
           live::trigger("syncs", {})[0] + " 1 " + inner + "/file fsync; sync " + inner + "; sync " + outer});
  INFO(result.out << result.err);
  auto rows = result.rows({{"call", "fsync"}});
  REQUIRE(rows.size() == 3);
  CHECK(rows[0]["path"] == inner + "/file");
  CHECK(rows[1]["path"] == inner);
  CHECK(rows[2]["path"] == outer);
}

TEST_CASE("a sync of no descriptor failed and has no file") {
  NEEDS("root");
  live::File file;
  Json row = syncs({}, {"1", file.path(), "bad"}).row(Json::object());
  CHECK(row["error"] == "EBADF");
  CHECK(row["path"] == nullptr);
}

TEST_CASE("an msync of memory that is of no file has none; among many mappings the right one is found") {
  NEEDS("root");
  live::File file;
  std::string path = std::filesystem::canonical(file.path());
  live::Result result = syncs({}, {"2", file.path(), "anonymous", "crowd", "msync"});
  INFO(result.out << result.err);
  CHECK(result.rows().size() == 6);
  CHECK(result.rows({{"call", "msync"}, {"path", nullptr}, {"error", nullptr}}).size() == 2);
  CHECK(result.rows({{"call", "msync"}, {"path", path}}).size() == 4);
}

TEST_CASE("a sync's latency is within the time it took, and above nothing") {
  NEEDS("root");
  live::File file;
  auto begin = std::chrono::steady_clock::now();
  auto rows = syncs({}, {"10", file.path(), "fsync"}).rows();
  auto took = std::chrono::steady_clock::now() - begin;
  std::uint64_t sum = 0;
  for (const Json& row : rows) {
    CHECK(row["latency_ns"] > 0);
    sum += row["latency_ns"].get<std::uint64_t>();
  }
  CHECK(rows.size() == 10);
  CHECK(sum < static_cast<std::uint64_t>(took.count()));
}

TEST_CASE("--quick marks and counts syncs that follow at once, not those after a pause") {
  NEEDS("root");
  live::File file;
  auto rows = syncs({"--quick", "250ms"}, {"3", file.path(), "wait", "fdatasync", "fdatasync"}).rows();
  REQUIRE(rows.size() == 6);
  CHECK(rows[0]["since_ns"] == nullptr);
  for (int i : {0, 2, 4}) CHECK(rows[i]["quick"] == nullptr);
  for (int i : {2, 4}) CHECK(rows[i]["since_ns"] >= 300'000'000);
  for (int i : {1, 3, 5}) {
    CHECK(rows[i]["since_ns"] < 250'000'000);
    CHECK(rows[i]["quick"] == i / 2 + 1);
  }
}

TEST_CASE("syncs of the 32-bit kind are seen where every system call is looked at") {
  NEEDS("root");
  NEEDS("compat32");
  live::File file;
  for (const char* way : {"btf", "raw"}) {
    INFO(way);
    Json row = syncs({"--attach", way}, {"1", file.path(), "compat"}).row(Json::object());
    CHECK(row["call"] == "fsync");
    CHECK(row["path"] == std::filesystem::canonical(file.path()).string());
  }
}
