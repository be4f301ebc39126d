// SPDX-License-Identifier: BSD-2-Clause
// disksnoop, biolatency and bitesize: exactly the I/O that was made, as the disk's own counters have it.
#include <bpf/bpf.h>

#include <cmath>
#include <map>

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "disks.hpp"
#include "kit/slots.h"

using live::Json;
using live::Words;
using live::operator+;

namespace {

constexpr std::uint64_t sector = 512;

// Of a device-mapper disk, its own of this process.
std::string mapped_name() { return "corekit-test-" + std::to_string(getpid()); }

// How many entries a running tool's map of I/Os has: its hash with keys of eight bytes.
std::size_t room(const live::Process& tool) {
  for (const auto& one : std::filesystem::directory_iterator("/proc/" + tool.number() + "/fdinfo")) {
    std::map<std::string, long> facts;
    std::ifstream file(one.path());
    for (std::string key, value; file >> key >> value;) facts[key] = std::strtol(value.c_str(), nullptr, 0);
    if (facts["map_type:"] == 1 && facts["key_size:"] == 8) return static_cast<std::size_t>(facts["max_entries:"]);
  }
  throw std::runtime_error("the tool has no map of I/Os");
}

// What a tool does once there is a disk without requests before it; such a machine cannot see one that is the first.
bool has_disk_without_requests() {
  for (const auto& disk : std::filesystem::directory_iterator("/sys/block"))
    if (!std::filesystem::exists(disk.path() / "mq") && test::read_file(disk.path() / "size") != "0\n") return true;
  return false;
}

std::uint64_t nanoseconds_since(std::chrono::steady_clock::time_point begin) {
  return static_cast<std::uint64_t>(std::chrono::nanoseconds(std::chrono::steady_clock::now() - begin).count());
}

// A disk's setting for as long as this is there; a loop device would keep it when it is another file's.
class QueueSetting {
 public:
  QueueSetting(const live::Disk& disk, const std::string& name, int value)
      : file_("/sys/block/" + disk.name() + "/queue/" + name), before_(test::read_file(file_)) {
    std::ofstream(file_) << value;
    REQUIRE(test::read_file(file_) == std::to_string(value) + "\n");
  }
  ~QueueSetting() { std::ofstream(file_) << before_; }

 private:
  std::string file_, before_;
};

// A program of a running tool, told of an event about the request at this address, which is nobody's, by this process.
void tell(const live::Tool& tool, const std::string& program, std::uint64_t request, std::uint64_t bytes = 0) {
  for (const auto& one : std::filesystem::directory_iterator("/proc/" + tool.number() + "/fdinfo")) {
    std::string facts = test::read_file(one.path());
    std::size_t at = facts.find("prog_id:");
    if (at == facts.npos) continue;
    live::Fd fd(bpf_prog_get_fd_by_id(static_cast<__u32>(std::stoul(facts.substr(at + 8)))));
    bpf_prog_info info{};
    __u32 size = sizeof info;
    // The kernel keeps 15 letters.
    if (bpf_obj_get_info_by_fd(fd.get(), &info, &size) != 0 || program.substr(0, 15) != info.name) continue;
    std::uint64_t arguments[] = {request, 0, bytes};
    LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = arguments, .ctx_size_in = sizeof arguments);
    REQUIRE(bpf_prog_test_run_opts(fd.get(), &options) == 0);
    return;
  }
  throw std::runtime_error("the tool has no " + program);
}

// The histograms that a tool has shown.
std::vector<Json> histograms(const live::Result& result) {
  std::vector<Json> all;
  for (const std::string& line : result.lines())
    if (line.starts_with("{\"type\":\"histogram\"")) all.push_back(Json::parse(line));
  return all;
}

std::uint64_t sum(const std::vector<Json>& all, const char* key) {
  std::uint64_t sum = 0;
  for (const Json& one : all) sum += one[key].get<std::uint64_t>();
  return sum;
}

std::size_t count(const std::vector<Json>& rows, const std::string& op) {
  return static_cast<std::size_t>(
      std::count_if(rows.begin(), rows.end(), [&](const Json& row) { return row["op"] == op; }));
}

// What one process does to a disk, as each of the three shows it, and as the disk counts it.
struct Seen {
  std::vector<Json> rows, latencies, sizes;
  live::DiskCounts before, after;
  std::uint64_t took = 0;  // ns, from before the first I/O until after the last
};

Words io(const live::Disk& disk, const Words& what) { return live::trigger("disk_io", Words{disk.path()} + what); }

Seen watch(const live::Disk& disk, const Words& what, const Words& more = {}, const live::Disk* counted = nullptr) {
  live::Process process(io(disk, what), {.gated = true});
  Words options = Words{"-p", process.number(), "--disk", disk.name()} + more;
  live::Tool snoop("disksnoop", options + Words{"--merges", "-Q"}), latency("biolatency", options + Words{"-O"}),
      size("bitesize", options + Words{"-O"});
  Seen seen{
      .rows = {}, .latencies = {}, .sizes = {}, .before = (counted ? *counted : disk).counts(), .after = {}, .took = 0};
  auto begin = std::chrono::steady_clock::now();
  process.go();
  CHECK(process.wait() == 0);
  seen.took = nanoseconds_since(begin);
  // The last process of -p has ended, and so they do.
  live::Result rows = snoop.finish(), latencies = latency.finish(), sizes = size.finish();
  INFO(rows.out << rows.err << latencies.out << latencies.err << sizes.out << sizes.err);
  CHECK((rows.lost() == 0 && latencies.lost() == 0 && sizes.lost() == 0));
  seen.rows = rows.rows();
  seen.latencies = histograms(latencies);
  seen.sizes = histograms(sizes);
  seen.after = (counted ? *counted : disk).counts();
  for (const Json& row : seen.rows) {
    CHECK(row["pid"] == process.pid());
    CHECK(row["comm"] == "disk_io");
    CHECK(row["disk"] == disk.name());
    CHECK(row["latency_ns"] > 0);
    CHECK(row["latency_ns"].get<std::uint64_t>() + row["queue_ns"].get<std::uint64_t>() < seen.took);
  }
  for (const Json& one : seen.sizes) {
    CHECK(one["key"]["pid"] == process.pid());
    CHECK(one["key"]["comm"] == "disk_io");
  }
  // Each of the operations has as many in all three, and as many bytes.
  std::map<std::string, std::pair<std::size_t, std::uint64_t>> of_rows, of_sizes;
  std::map<std::string, std::size_t> of_latencies;
  for (const Json& row : seen.rows) {
    auto& [number, bytes] = of_rows[row["op"]];
    number++;
    bytes += row["bytes"].get<std::uint64_t>();
  }
  for (const Json& one : seen.sizes) of_sizes[one["key"]["op"]] = {one["count"], one["sum"]};
  for (const Json& one : seen.latencies) of_latencies[one["key"]["op"]] = one["count"];
  CHECK(of_rows == of_sizes);
  for (const auto& [op, number] : of_latencies) CHECK(of_rows[op].first == number);
  CHECK(of_latencies.size() == of_rows.size());
  return seen;
}

// Of the disk's counters: reads and discards are requests, flushes those that it got. A write is counted for each
// request that held data and for each that only asked for a flush.
void agree(const Seen& seen, std::size_t only_flushes = 0) {
  auto rows = [&](const char* op) { return count(seen.rows, op); };
  auto bytes = [&](const char* op) {
    std::uint64_t all = 0;
    for (const Json& row : seen.rows) all += row["op"] == op ? row["bytes"].get<std::uint64_t>() : 0;
    return all / sector;
  };
  const auto &b = seen.before, &a = seen.after;
  CHECK(rows("read") == a.reads - b.reads);
  CHECK(bytes("read") == a.read_sectors - b.read_sectors);
  CHECK(rows("write") + only_flushes == a.writes - b.writes);
  CHECK(bytes("write") == a.write_sectors - b.write_sectors);
  CHECK(rows("discard") == a.discards - b.discards);
  CHECK(bytes("discard") == a.discard_sectors - b.discard_sectors);
  CHECK(rows("flush") == a.flushes - b.flushes);
  CHECK(sum(seen.rows, "merges") == a.read_merges - b.read_merges + a.write_merges - b.write_merges);
}

void check_sizes(const std::vector<Json>& rows, const char* op, std::size_t number, std::uint64_t bytes) {
  CHECK(count(rows, op) == number);
  std::set<std::uint64_t> sectors;
  for (const Json& row : rows) {
    if (row["op"] != op) continue;
    CHECK(row["bytes"] == bytes);
    CHECK(row["sector"].get<std::uint64_t>() % (2 * bytes / sector) == 0);
    sectors.insert(row["sector"].get<std::uint64_t>());
  }
  CHECK(sectors.size() == number);
}

// A histogram's bucket in which a share of the latencies lies, by all of them.
unsigned slot_of(std::vector<std::uint64_t> latencies, double share) {
  std::sort(latencies.begin(), latencies.end());
  auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(latencies.size())));
  return kit_slot(latencies.at(std::max<std::size_t>(rank, 1) - 1));
}

}  // namespace

TEST_CASE("direct I/O, one at a time and 32 at once", "[each-kernel]") {
  NEEDS("root");
  NEEDS("loop");
  live::LoopDisk disk;
  for (const char* depth : {"1", "32"}) {
    INFO(depth << " at once");
    Seen reads = watch(disk, {"read", "4096", "96", depth});
    check_sizes(reads.rows, "read", 96, 4096);
    CHECK(reads.rows.size() == 96);
    agree(reads);
    // One by one they are within the time that all took together.
    if (std::string(depth) == "1") CHECK(sum(reads.rows, "latency_ns") + sum(reads.rows, "queue_ns") < reads.took);
    Seen writes = watch(disk, {"write", "65536", "64", depth});
    check_sizes(writes.rows, "write", 64, 65536);
    CHECK(writes.rows.size() == 64);
    agree(writes);
    for (const Json& row : writes.rows) CHECK(row["rwbs"].get<std::string>().starts_with("W"));
  }
}

TEST_CASE("writes that go through, are flushed, and discards") {
  NEEDS("root");
  NEEDS("loop");
  live::LoopDisk disk;
  // A loop device cannot write through: each write has a flush behind it, and O_SYNC of a disk asks for one more.
  Seen through = watch(disk, {"osync", "4096", "20"});
  check_sizes(through.rows, "write", 20, 4096);
  CHECK(count(through.rows, "flush") >= 20);
  agree(through, 20);
  Seen flushed = watch(disk, {"fsync", "4096", "20"});
  check_sizes(flushed.rows, "write", 20, 4096);
  CHECK(count(flushed.rows, "flush") == 20);
  agree(flushed, 20);
  for (const Json& row : flushed.rows)
    if (row["op"] == "flush") CHECK((row["bytes"] == 0 && row["sector"].is_null()));
  Seen discarded = watch(disk, {"discard", "65536", "20"});
  check_sizes(discarded.rows, "discard", 20, 65536);
  CHECK(discarded.rows.size() == 20);
  agree(discarded);
}

TEST_CASE("a sequential write that was buffered: what was joined counts once") {
  NEEDS("root");
  NEEDS("loop");
  live::LoopDisk disk;
  Seen seen = watch(disk, {"sequential", "4096", "256"});
  std::uint64_t bytes = 0;
  for (const Json& row : seen.rows) bytes += row["op"] == "write" ? row["bytes"].get<std::uint64_t>() : 0;
  CHECK(bytes == 256 * 4096);
  CHECK(count(seen.rows, "write") <= 256);  // 5.10 joins none of them
  agree(seen, 1);
}

TEST_CASE("a partition is shown as such, and with its disk") {
  NEEDS("root");
  NEEDS("loop");
  live::LoopDisk disk;
  live::Partition partition(disk);
  Seen seen = watch(partition, {"read", "4096", "40"}, {}, &disk);
  CHECK(seen.rows.size() == 40);
  std::set<std::uint64_t> sectors;
  for (const Json& row : seen.rows) sectors.insert(row["sector"].get<std::uint64_t>());
  CHECK(*sectors.begin() == live::Partition::start / sector);
  CHECK(*sectors.rbegin() == live::Partition::start / sector + 39 * 16);
  agree(seen);
  auto rows_of = [&](const live::Disk& only) {
    auto rows = live::trace("disksnoop", {"--disk", only.name()}, io(partition, {"read", "4096", "7"})).rows();
    for (const Json& row : rows) CHECK(row["disk"] == partition.name());
    return rows.size();
  };
  CHECK(rows_of(partition) == 7);
  CHECK(rows_of(disk) == 7);
  // Not that of the whole disk.
  CHECK(live::trace("disksnoop", {"--disk", partition.name()}, io(disk, {"read", "4096", "7"})).row_lines() == 0);
  CHECK(live::trace("disksnoop", {"--disk", "/dev/" + disk.name()}, io(disk, {"read", "4096", "7"})).row_lines() == 7);
}

TEST_CASE("zram, a disk without requests, under its name", "[each-kernel]") {
  NEEDS("root");
  NEEDS("zram");
  live::ZramDisk disk;
  Seen writes = watch(disk, {"write", "4096", "50"}), reads = watch(disk, {"read", "4096", "50"});
  check_sizes(writes.rows, "write", 50, 4096);
  check_sizes(reads.rows, "read", 50, 4096);
  CHECK(writes.rows.size() == 50);
  CHECK(reads.rows.size() == 50);
}

TEST_CASE("the first disk without requests, if it comes after the start: what it does is lost, not silent") {
  NEEDS("root");
  NEEDS("zram");
  if (has_disk_without_requests()) SKIP_CASE("this machine has a disk without requests", "no disk without requests");
  for (const char* tool : {"disksnoop", "biolatency", "bitesize"}) {
    INFO(tool);
    live::Tool running(tool, {});
    live::ZramDisk disk;
    auto before = disk.counts();
    live::Process process(io(disk, {"write", "4096", "50"}));
    CHECK(process.wait() == 0);
    auto after = disk.counts();
    live::Result result = running.stop();
    INFO(result.out << result.err);
    CHECK(result.end()["lost"]["disk_came_later"] == after.reads + after.writes - before.reads - before.writes);
    // Started anew it sees them.
    CHECK(live::trace(tool, {"--disk", disk.name()}, io(disk, {"read", "4096", "50"})).lost() == 0);
  }
}

TEST_CASE("a device-mapper disk under its name, and the one beneath") {
  NEEDS("root");
  NEEDS("loop");
  NEEDS("device-mapper");
  live::LoopDisk beneath;
  live::MappedDisk disk(mapped_name(), beneath, 32 << 11);
  Seen reads = watch(disk, {"read", "4096", "50", "8"});
  check_sizes(reads.rows, "read", 50, 4096);
  CHECK(reads.rows.size() == 50);
  auto both = live::trace("disksnoop", {}, io(disk, {"write", "4096", "30"}));
  CHECK(both.rows({{"disk", mapped_name()}}).size() == 30);
  CHECK(both.rows({{"disk", beneath.name()}}).size() == 30);
}

TEST_CASE("what is in flight when a run ends is not shown; starts without room are counted") {
  NEEDS("root");
  NEEDS("loop");
  NEEDS("device-mapper");
  live::LoopDisk beneath(512 << 20);
  live::MappedDisk disk(mapped_name(), beneath, 500 << 11);
  disk.suspend();
  std::size_t entries = room(live::Tool("disksnoop", {})), made = entries + 5000;
  live::Process process(io(disk, {"read", "512", std::to_string(made), std::to_string(made)}), {.gated = true});
  Words options = {"-p", process.number(), "--disk", disk.name()};
  live::Tool early("disksnoop", options), late("disksnoop", options);
  auto begin = std::chrono::steady_clock::now();
  process.go();
  CHECK(process.says() == "submitted");
  auto submitted = std::chrono::steady_clock::now();
  live::Result none = early.stop();
  CHECK(none.row_lines() == 0);
  std::uint64_t held = nanoseconds_since(submitted);
  disk.resume();
  CHECK(process.wait() == 0);
  std::uint64_t took = nanoseconds_since(begin);
  live::Result result = late.finish();
  for (const Json& row : result.rows()) {
    CHECK(row["latency_ns"].get<std::uint64_t>() > held);
    CHECK(row["latency_ns"].get<std::uint64_t>() < took);
  }
  std::size_t lost = result.end()["lost"]["map_full.block_ios"];
  // Entries that others' I/O used before it was over, or the kernel keeps in reserve, may be missing.
  CHECK(lost >= 5000);
  CHECK(lost < made);
  CHECK(result.row_lines() + result.lost() == made);
}

TEST_CASE("each way shows the same I/O") {
  NEEDS("root");
  NEEDS("loop");
  live::LoopDisk disk;
  std::size_t taken = 0;
  for (const char* way : {"raw", "complete", "complete-raw", "getrq", "getrq-raw", "account", "kprobe"}) {
    INFO(way);
    if (live::run("disksnoop", {"--attach", way, "--explain"}).status != 0) continue;  // not on this kernel
    live::Process process(io(disk, {"write", "262144", "120", "4"}), {.gated = true});
    live::Process flushes(io(disk, {"osync", "4096", "10"}), {.gated = true});
    Words options = {"-p", process.number() + "," + flushes.number(), "--disk", disk.name()};
    live::Tool one("disksnoop", options), other("disksnoop", options + Words{"--attach", way});
    process.go();
    CHECK(process.wait() == 0);
    flushes.go();
    CHECK(flushes.wait() == 0);
    taken++;
    using Key = std::tuple<int, std::string, std::string, std::uint64_t, std::string>;
    std::map<Key, std::vector<std::uint64_t>> latencies[2];
    int index = 0;
    for (live::Tool* tool : {&one, &other}) {
      live::Result result = tool->finish();
      CHECK(result.lost() == 0);
      CHECK(result.rows({{"pid", process.pid()}, {"bytes", 262144}}).size() == 120);
      CHECK(result.rows({{"pid", flushes.pid()}, {"op", "write"}, {"bytes", 4096}}).size() == 10);
      for (const Json& row : result.rows())
        latencies[index][{row["pid"], row["disk"], row["rwbs"], row["bytes"], row["sector"].dump()}].push_back(
            row["latency_ns"]);
      index++;
    }
    std::uint64_t all[2] = {};
    CHECK(latencies[0].size() == latencies[1].size());
    for (const auto& [key, of_one] : latencies[0]) {
      const auto& of_other = latencies[1][key];
      CHECK(of_one.size() == of_other.size());
      for (std::uint64_t latency : of_one) all[0] += latency;
      for (std::uint64_t latency : of_other) all[1] += latency;
    }
    bool same_ends = std::string(way).find("raw") == 0 || std::string(way).find("getrq") == 0;
    if (same_ends) {
      CHECK(static_cast<double>(all[0]) <= 1.05 * static_cast<double>(all[1]));
      CHECK(static_cast<double>(all[1]) <= 1.05 * static_cast<double>(all[0]));
    }
  }
  CHECK(taken > 0);
}

TEST_CASE("a disk that keeps no statistics", "[each-kernel]") {
  NEEDS("root");
  NEEDS("loop");
  live::LoopDisk disk;
  QueueSetting uncounted(disk, "iostats", 0);
  Json plan = Json::parse(live::run("disksnoop", {"--disk", disk.name(), "--explain"}).out), way;
  for (const Json& event : plan["events"])
    if (event["event"] == "done") way = event["way"];
  CHECK(way == "complete");
  live::Result rows = live::trace("disksnoop", {"--disk", disk.name()}, io(disk, {"read", "4096", "300", "8"}));
  live::Result latencies = live::trace("biolatency", {"--disk", disk.name()}, io(disk, {"read", "4096", "300"}));
  CHECK(rows.row_lines() == 300);
  CHECK(sum(histograms(latencies), "count") == 300);
  CHECK((rows.lost() == 0 && latencies.lost() == 0));
}

// A bio that is refused ends, but was no I/O; nor is it one of a disk that came later and takes bios as they are.
TEST_CASE("reads that the kernel refuses rather than wait are none, and none is lost", "[each-kernel]") {
  NEEDS("root");
  NEEDS("loop");
  live::LoopDisk disk;
  QueueSetting narrow(disk, "nr_requests", 4);
  live::Process process(io(disk, {"refusable", "4096", "512", "512"}), {.gated = true});
  Words options = {"-p", process.number()};
  live::Tool snoop("disksnoop", options), latencies("biolatency", options), sizes("bitesize", options);
  std::uint64_t before = disk.counts().reads;
  process.go();
  CHECK(process.wait() == 0);
  std::uint64_t made = disk.counts().reads - before;
  CHECK((made > 0 && made < 512));
  live::Result rows = snoop.finish(), histogram = latencies.finish(), of_sizes = sizes.finish();
  CHECK(rows.rows({{"disk", disk.name()}}).size() == made);
  CHECK(sum(histograms(histogram), "count") == made);
  CHECK(sum(histograms(of_sizes), "count") == made);
  for (const live::Result* result : {&rows, &histogram, &of_sizes}) CHECK(result->lost() == 0);
}

// A kernel that runs no programs while certain processes do cannot be made to on demand: here the events come from us.
TEST_CASE("an I/O whose end nobody is told of is counted when its request is used anew") {
  NEEDS("root");
  if (live::run("disksnoop", {"--attach", "raw", "--explain"}).out.find("raw_tp/block_io_start") == std::string::npos)
    SKIP_CASE("this kernel has no tracepoint where a request begins", "block_io_start");
  constexpr std::uint64_t one = 0x1000, other = 0x2000;
  NEEDS("loop");
  live::LoopDisk disk;
  Words own = {"--attach", "raw", "-p", std::to_string(getpid())};
  live::Tool snoop("disksnoop", own), sizes("bitesize", own), of_disk("bitesize", own + Words{"--disk", disk.name()});
  for (const live::Tool* tool : {&snoop, &sizes, &of_disk}) {
    tell(*tool, "block_submit_raw", one);
    tell(*tool, "block_submit_raw", other);
  }
  for (int i = 0; i < 3; i++) {
    tell(snoop, "block_issue_raw", one);
    tell(snoop, "block_issue_raw", one);  // once more, as after a requeue
    tell(snoop, "block_submit_raw", one);
    for (const live::Tool* tool : {&sizes, &of_disk}) tell(*tool, "block_submit_raw", one);
  }
  // Joined to another it has no end of its own, and once it was seen it is not missed.
  for (const live::Tool* tool : {&snoop, &sizes}) {
    tell(*tool, "block_merge_raw", other);
    tell(*tool, "block_submit_raw", other);
  }
  tell(snoop, "block_issue_raw", other);
  tell(snoop, "block_done_raw", other);
  tell(snoop, "block_submit_raw", other);
  live::Result rows = snoop.stop(), none = sizes.stop(), of_others = of_disk.stop();
  INFO(rows.out << none.out);
  // This process may read what it runs from a disk meanwhile; what it told of here has no size.
  CHECK(rows.rows({{"bytes", 0}}).size() == 1);
  for (const Json& histogram : histograms(none)) CHECK(histogram["buckets"][0]["min"] > 0);
  for (const live::Result* result : {&rows, &none}) {
    CHECK(result->end()["lost"]["end_unseen"] == 3);
    CHECK(result->lost() == 3 + result->skipped());
  }
  CHECK(of_others.end()["lost"]["end_unseen"] == 0);
}

TEST_CASE("biolatency 1 3 gives three reports, and what was made is in them once", "[each-kernel]") {
  NEEDS("root");
  NEEDS("loop");
  live::LoopDisk disk;
  live::Process first(io(disk, {"read", "4096", "20"}), {.gated = true});
  live::Process second(io(disk, {"read", "4096", "10"}), {.gated = true});
  live::Tool tool("biolatency", {"--comm", "disk_io", "--disk", disk.name(), "1", "3"});
  first.go();
  CHECK(first.wait() == 0);
  CHECK(tool.shows("\"interval\":1,"));
  second.go();
  CHECK(second.wait() == 0);
  auto reports = histograms(tool.finish());
  REQUIRE(reports.size() == 3);
  for (std::size_t i = 0; i < 3; i++) CHECK(reports[i]["interval"] == i + 1);
  CHECK(sum(reports, "count") == 30);
  CHECK(reports[0]["count"] > 0);
}

// bitesize has a place for each of 256, some of which two of these come to; who finds none is in a map.
TEST_CASE("sizes of more processes than there are places are each process's own, interval by interval",
          "[any-kernel]") {
  NEEDS("root");
  NEEDS("loop");
  live::LoopDisk disk;
  live::Tool tool("bitesize", {"--disk", disk.name(), "-i", "300ms"});
  live::Tool kernel("count", {"tracepoint:block:block_rq_complete", "dev", "nr_sector"});
  std::map<int, int> made, shown;
  for (int i = 0; i < 400; i++) {
    live::Process process(io(disk, {"read", "4096", std::to_string(1 + i % 3)}));
    made[process.pid()] = 1 + i % 3;
    CHECK(process.wait() == 0);
  }
  live::Result result = tool.stop();
  INFO(result.end()["lost"].dump());
  for (const Json& one : histograms(result)) {
    REQUIRE(one["key"]["comm"] == "disk_io");
    shown[one["key"]["pid"]] += one["count"].get<int>();
    CHECK(one["sum"] == one["count"].get<int>() * 4096);
  }
  // Some kernels tell of one in thousands nobody: then another tool, by another way, has not seen it either.
  struct stat status {};
  REQUIRE(stat(("/dev/" + disk.name()).c_str(), &status) == 0);
  Json told =
      kernel.stop().row({{"values", {{"dev", major(status.st_rdev) << 20 | minor(status.st_rdev)}, {"nr_sector", 8}}}});
  int sum_made = 0, sum_shown = 0;
  for (const auto& [pid, count] : made) {
    INFO("process " << pid);
    CHECK(shown[pid] <= count);
    sum_made += count;
    sum_shown += shown[pid];
  }
  CHECK(sum_shown == told["count"]);
  CHECK(sum_shown >= sum_made - 2);
  CHECK(sum_shown + static_cast<int>(result.end()["lost"]["end_unseen"]) <= sum_made);
  CHECK(result.lost() == result.end()["lost"]["end_unseen"]);
  CHECK(shown.size() == made.size());
}

// On an emulated machine the largest differ: one tool looks at the clock while the other has been stopped.
TEST_CASE("percentiles are those of disksnoop's rows, to a bucket", "[any-kernel]") {
  NEEDS("root");
  NEEDS("loop");
  live::LoopDisk disk;
  live::Process process(io(disk, {"read", "65536", "400", "8"}), {.gated = true});
  Words options = {"-p", process.number(), "--disk", disk.name()};
  live::Tool snoop("disksnoop", options), tool("biolatency", options);
  process.go();
  CHECK(process.wait() == 0);
  std::vector<std::uint64_t> latencies;
  for (const Json& row : snoop.finish().rows()) latencies.push_back(row["latency_ns"]);
  auto all = histograms(tool.finish());
  REQUIRE(all.size() == 1);
  CHECK(all[0]["count"] == 400);
  REQUIRE(latencies.size() == 400);
  for (auto [key, share] : {std::pair{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}, {"max", 1.0}}) {
    auto mine = static_cast<int>(kit_slot(all[0][key].get<std::uint64_t>()));
    auto theirs = static_cast<int>(slot_of(latencies, share));
    INFO(key << " " << mine << " " << theirs);
    CHECK(std::abs(mine - theirs) <= 1);
  }
  std::uint64_t in_buckets = 0;
  for (const Json& bucket : all[0]["buckets"]) {
    in_buckets += bucket["count"].get<std::uint64_t>();
    CHECK(bucket["min"].get<std::uint64_t>() <= bucket["max"].get<std::uint64_t>());
  }
  CHECK(in_buckets == 400);
}

TEST_CASE("filters speak of the process that submits") {
  NEEDS("root");
  NEEDS("loop");
  live::LoopDisk disk;
  Words command = io(disk, {"write", "4096", "25", "5"});
  for (const char* tool : {"disksnoop", "biolatency", "bitesize"}) {
    INFO(tool);
    auto shown = [&](const Words& options) {
      live::Result result = live::trace(tool, options + Words{"--disk", disk.name()}, command);
      CHECK(result.status == 0);
      return std::string(tool) == "disksnoop" ? result.row_lines() : sum(histograms(result), "count");
    };
    CHECK(shown({}) == 25);
    CHECK(shown({"--comm", "disk_*"}) == 25);
    CHECK(shown({"--comm", "other"}) == 0);
    CHECK(shown({"-u", "0"}) == 25);
    CHECK(shown({"-u", std::to_string(live::nobody)}) == 0);
  }
}

TEST_CASE("a disk that is not there: 64, with the nearest name", "[any-kernel]") {
  NEEDS("root");
  NEEDS("loop");
  live::LoopDisk disk;
  for (const char* tool : {"disksnoop", "biolatency", "bitesize"}) {
    live::Result result = live::run(tool, {"--disk", disk.name() + "x"});
    CHECK(result.status == 64);
    CHECK(result.err.find("there is no disk " + disk.name() + "x") != result.err.npos);
    CHECK(result.err.find("did you mean " + disk.name()) != result.err.npos);
    CHECK(live::count_lines(result.err) == 1);
    CHECK(live::run(tool, {"--disk", "/dev/null"}).status == 64);
  }
}

TEST_CASE("only I/O that took as long as --min") {
  NEEDS("root");
  NEEDS("loop");
  live::LoopDisk disk;
  Words command = io(disk, {"read", "4096", "20"});
  CHECK(live::trace("disksnoop", {"--disk", disk.name(), "--min", "1h"}, command).row_lines() == 0);
  live::Result all = live::trace("disksnoop", {"--disk", disk.name(), "--min", "1ns"}, command);
  INFO(all.out << all.err);
  CHECK(all.row_lines() + all.lost() == 20);
}
