// SPDX-License-Identifier: BSD-2-Clause
#include "kit/block.hpp"

#include <linux/btf.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <filesystem>
#include <vector>

#include "filter.hpp"
#include "kernel_types.hpp"
#include "kit/kernel.hpp"
#include "kit/maps.hpp"
#include "kit/text.hpp"

namespace kit {
namespace {

namespace fs = std::filesystem;

constexpr int minor_bits = 20;  // MINORBITS, linux/kdev_t.h

std::string folder_of(std::uint32_t number) {
  return cat("/sys/dev/block/", number >> minor_bits, ':', number & ((1u << minor_bits) - 1));
}

std::uint32_t number_in(const std::string& folder) {
  auto parts = split(read_line(folder + "/dev"), ':');
  if (parts.size() != 2) return 0;
  auto high = parse_number(parts[0]), low = parse_number(parts[1]);
  return high && low ? static_cast<std::uint32_t>(*high << minor_bits | *low) : 0;
}

std::vector<std::string> files_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    names.push_back(at->path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

bool is_partition(std::uint32_t number) { return access((folder_of(number) + "/partition").c_str(), F_OK) == 0; }

// The kernel's name of a disk or partition; that which device-mapper was told, where there is one.
std::string current_name(std::uint32_t number) {
  std::string folder = folder_of(number), mapped = read_line(folder + "/dm/name");
  if (!mapped.empty()) return mapped;
  std::error_code error;
  std::string place = fs::read_symlink(folder, error);
  return error ? "" : fs::path(place).filename().string();
}

// Every name by which --disk can be given, for one that is not there.
std::vector<std::string> all_names() {
  std::vector<std::string> names;
  for (const std::string& name : files_in("/sys/class/block")) {
    names.push_back(name);
    if (std::string mapped = read_line(cat("/sys/class/block/", name, "/dm/name")); !mapped.empty())
      names.push_back(mapped);
  }
  return names;
}

std::uint32_t find_disk(std::string_view text) {
  std::string name(text);
  struct stat status {};
  if (name.find('/') != name.npos) {
    bool found = stat(name.c_str(), &status) == 0 && S_ISBLK(status.st_mode);
    return found ? major(status.st_rdev) << minor_bits | minor(status.st_rdev) : 0;
  }
  if (std::uint32_t number = number_in("/sys/class/block/" + name)) return number;
  for (const std::string& one : files_in("/sys/class/block"))
    if (read_line(cat("/sys/class/block/", one, "/dm/name")) == name) return number_in("/sys/class/block/" + one);
  return 0;
}

// Whether a disk takes bios as they are and makes no requests of them: such have no queues of blk-mq's.
bool without_requests(std::uint32_t number) {
  std::string folder = folder_of(number);
  return !fs::exists(folder + (is_partition(number) ? "/../mq" : "/mq"));
}

// Whether any disk does; one without a size, as zram makes them beforehand, does nothing yet.
bool any_without_requests() {
  for (const std::string& name : files_in("/sys/block")) {
    std::uint32_t number = number_in("/sys/block/" + name);
    if (number && without_requests(number) && read_line(cat("/sys/block/", name, "/size")) != "0") return true;
  }
  return false;
}

// Whether any disk, or that which was named, keeps no statistics. Then of its I/O block_io_done tells only where
// something else wants times, as a scheduler or the kernel's throttling do (blk_mq_need_time_stamp()).
bool any_without_statistics(std::uint32_t named) {
  auto none = [](const std::string& folder) {
    return fs::exists(folder + "/mq") && read_line(folder + "/queue/iostats") == "0";
  };
  if (named) return none(folder_of(named) + (is_partition(named) ? "/.." : ""));
  std::vector<std::string> names = files_in("/sys/block");
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) { return none("/sys/block/" + name); });
}

// "sda, sdb": what a disk lies on.
std::string disks_beneath(std::uint32_t number) {
  std::string names;
  for (const std::string& name : files_in(folder_of(number) + "/slaves")) names += cat(names.empty() ? "" : ", ", name);
  return names;
}

// How many requests the machine's disks have: as many as each hardware queue takes, or its scheduler, and one to flush.
std::size_t count_requests() {
  std::size_t sum = 0;
  for (const std::string& name : files_in("/sys/block")) {
    std::string folder = "/sys/block/" + name;
    std::size_t queues = files_in(folder + "/mq").size();
    std::size_t each = parse_number(read_line(folder + "/queue/nr_requests")).value_or(0);
    sum += queues * (std::max<std::size_t>(each, 256) + 1);
  }
  return sum;
}

// Twice as many, for disks that are yet to come and for bios. Made beforehand, since what a program allocates may be
// refused in a burst; but not where the machine has so many that this is some 10 MB. As many places, up to some 5 MB.
void size_maps(bpf_object* object) {
  auto map = [object](const char* name) { return bpf_object__find_map_by_name(object, name); };
  std::size_t entries = std::clamp<std::size_t>(2 * count_requests(), 8192, 1 << 20);
  bpf_map__set_max_entries(map("block_ios"), static_cast<__u32>(entries));
  if (entries <= 65536) bpf_map__set_map_flags(map("block_ios"), 0);
  std::uint32_t places = std::bit_floor(static_cast<std::uint32_t>(std::min<std::size_t>(entries, 65536)));
  set_knob<std::uint32_t>(object, "block_place_bits", static_cast<std::uint32_t>(std::countr_zero(places)));
  for (const char* name : {"block_places", "block_places_taken"}) bpf_map__set_max_entries(map(name), places);
}

bool filters_processes(const Settings& s) {
  return !s.pids.empty() || !s.tids.empty() || !s.users.empty() || !s.comm.empty() || !s.cgroup.empty() ||
         follows_tree(s);
}

// Else it is a part of its callers, and what bears its name and an underscore is called only for what is counted
// (be6bfe36, 5.16).
bool has_function(std::string_view name) { return KernelTypes::get().find(name, BTF_KIND_FUNC) != 0; }

struct Programs {
  bpf_object* object;
  Part operator()(const char* name) const {
    return Part(bpf_object__find_program_by_name(object, cat("block_", name).c_str()));
  }
};

void add_submit(AttachPlan& plan, const Programs& program, bool can_do_without) {
  plan.event("submit")
      .way("btf", {program("submit_btf")}, {program("merge_btf")})
      .way("raw", {program("submit_raw")}, {program("merge_raw")})
      .way("account", {program("submit_kprobe")}, {program("merge_btf")});
  if (!has_function("blk_account_io_start")) plan.misses("who submits to a disk that keeps no statistics");
  plan.way("getrq", {program("getrq_btf")}, {program("merge_btf")})
      .way("getrq-raw", {program("getrq_raw")}, {program("merge_raw")})
      .way("insert", {program("insert_btf")}, {program("merge_btf")})
      .misses("who submits what goes to the device at once")
      .way("insert-raw", {program("insert_raw")}, {program("merge_raw")})
      .misses("who submits what goes to the device at once");
  if (can_do_without) plan.way("none", {}).misses("who submits, and the time until the issue");
}

constexpr const char* batches = "I/O that is completed in batches, as NVMe does";

constexpr const char* uncounted = "I/O of disks that keep no statistics";

void add_requests(AttachPlan& plan, const Programs& program, bool all_counted) {
  plan.event("issue")
      .way("btf", {program("issue_btf")})
      .way("raw", {program("issue_raw")})
      .way("kprobe", {program("issue_kprobe")});
  plan.event("done");
  if (all_counted) plan.way("btf", {program("done_btf")});
  plan.way("complete", {program("complete_btf")});
  if (all_counted) plan.way("raw", {program("done_raw")});
  plan.way("complete-raw", {program("complete_raw")});
  if (!all_counted)
    plan.way("btf", {program("done_btf")}).misses(uncounted).way("raw", {program("done_raw")}).misses(uncounted);
  plan.way("account", {program("account_kprobe")});
  if (!has_function("blk_account_io_done")) plan.misses(cat(uncounted, "; flushes"));
  plan.way("kprobe", {program("end_kprobe")}, {program("update_kprobe")}).misses(batches);
}

// What was done of a request is told with each part, so that its issue says nothing new.
void add_sizes(AttachPlan& plan, const Programs& program) {
  plan.event("done")
      .way("complete", {program("complete_btf")})
      .way("complete-raw", {program("complete_raw")})
      .way("kprobe", {program("update_kprobe")})
      .misses(batches);
}

void add_bios(AttachPlan& plan, const Programs& program) {
  plan.event("bios")
      .way("btf", {program("bio_queue_btf"), program("bio_complete_btf")})
      .way("raw", {program("bio_queue_raw"), program("bio_complete_raw")})
      .way("none", {})
      .misses("I/O of disks without requests (device-mapper, md, zram)");
}

// Of the disk that was named.
void add_bios_of(AttachPlan& plan, const Programs& program, const Disk& disk) {
  std::string beneath = disks_beneath(disk.number);
  plan.event(cat("I/O of ", disk.name, ", which takes bios and no requests,",
                 beneath.empty() ? "" : cat(" (beneath it: ", beneath, ")")))
      .way("btf", {program("bio_queue_btf"), program("bio_complete_btf")})
      .way("raw", {program("bio_queue_raw"), program("bio_complete_raw")});
}

// Where there is no such disk yet: only what one that comes later does is counted, as lost.
void add_missed_bios(AttachPlan& plan, const Programs& program) {
  plan.event("bios")
      .way("later", {program("bio_missed_btf")})
      .way("later-raw", {program("bio_missed_raw")})
      .way("none", {})
      .misses("I/O of disks without requests (device-mapper, md, zram), if such should come");
}

}  // namespace

std::string parse_value(std::string_view text, Disk& value) {
  value.number = find_disk(text);
  if (!value.number) return cat("there is no disk ", text, suggestion(text, all_names()));
  value.name = current_name(value.number);
  return "";
}

void BlockGroups::declare(Options& options) {
  options.flag('D', "per-disk", per_disk, "apart for each disk or partition")
      .flag('O', "per-operation", per_operation, "apart for each operation: read, write, flush, discard...")
      .option(0, "disk", "NAME", disk, "only this disk, with its partitions, or only this partition");
}

void BlockGroups::add_keys(Histogram::Key& to, const Session& session, std::uint32_t number,
                           std::uint32_t operation) const {
  if (per_disk) to.emplace_back("disk", disk_cell(session, number));
  if (per_operation) to.emplace_back("op", Cell::owned(block_operation(operation)));
}

AttachPlan block_plan(bpf_object* object, const Session& session, const BlockNeeds& needs) {
  bool filtered = filters_processes(session.settings()), process = needs.process || needs.queue || filtered;
  // With the request's queue as their first argument: until 5.11, and stable kernels changed, too.
  set_knob(object, "block_queue_first", tracepoint_arguments("block_rq_issue") == 2);
  set_knob(object, "block_bio_queue_first", tracepoint_arguments("block_bio_queue") == 2);
  set_knob(object, "block_submitters", process);
  set_knob(object, "block_from_bios", !tracepoint_arguments("block_io_start") || !session.settings().attach.empty());
  set_knob(object, "block_threads", needs.thread);
  set_knob(object, "block_filtered", filtered);
  set_knob(object, "block_timed", needs.latency);
  set_knob(object, "block_disks", needs.disks || needs.disk.number);
  set_knob(object, "block_merges", needs.merges);
  set_knob(object, "block_only", needs.disk.number);
  set_knob(object, "block_only_partition", needs.disk.number && is_partition(needs.disk.number));
  size_maps(object);

  AttachPlan plan;
  Programs program{object};
  if (needs.disk.number && without_requests(needs.disk.number)) {
    add_bios_of(plan, program, needs.disk);
    return plan;
  }
  if (process) add_submit(plan, program, !filtered && !needs.queue);
  needs.latency ? add_requests(plan, program, !any_without_statistics(needs.disk.number)) : add_sizes(plan, program);
  if (!needs.disk.number) any_without_requests() ? add_bios(plan, program) : add_missed_bios(plan, program);
  return plan;
}

Cell disk_cell(const Session& session, std::uint32_t number) {
  std::string name = session.name("disk", number, [number] { return current_name(number); });
  return name.empty() ? Cell::owned(cat(number >> minor_bits, ':', number & ((1u << minor_bits) - 1)))
                      : Cell::owned(std::move(name));
}

namespace {

struct Operation {
  std::uint32_t number;
  const char* letters;
  const char* name;
};
// enum req_op, the same on all kernels but for those that open and close zones, which are all "N" to blk_fill_rwbs().
constexpr Operation operations[] = {{0, "R", "read"},         {1, "W", "write"},         {2, "F", "flush"},
                                    {3, "D", "discard"},      {5, "DE", "secure_erase"}, {9, "N", "write_zeroes"},
                                    {34, "N", "driver_read"}, {35, "N", "driver_write"}};

struct Flag {
  std::uint32_t bit;
  char letter;
};
constexpr Flag flags_after[] = {{17, 'F'}, {19, 'A'}, {11, 'S'}, {12, 'M'}};  // FUA, RAHEAD, SYNC, META
constexpr std::uint32_t preflush = 18;

const Operation* find_operation(std::uint32_t flags) {
  auto found = std::find_if(std::begin(operations), std::end(operations),
                            [&](const Operation& one) { return one.number == (flags & 0xff); });
  return found == std::end(operations) ? nullptr : found;
}

}  // namespace

std::string block_rwbs(std::uint32_t flags) {
  const Operation* operation = find_operation(flags);
  std::string out = flags >> preflush & 1 ? "F" : "";
  out += operation ? operation->letters : "N";
  for (const Flag& flag : flags_after)
    if (flags >> flag.bit & 1) out += flag.letter;
  return out;
}

std::string block_operation(std::uint32_t flags) {
  const Operation* operation = find_operation(flags);
  return operation ? operation->name : cat("operation_", flags & 0xff);
}

}  // namespace kit
