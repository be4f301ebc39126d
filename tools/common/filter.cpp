// SPDX-License-Identifier: BSD-2-Clause
#include "filter.hpp"

#include <bpf/bpf.h>
#include <dirent.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <map>
#include <set>

#include "kit/failure.hpp"
#include "kit/kernel.hpp"
#include "kit/maps.hpp"
#include "kit/text.hpp"

namespace kit {
namespace {

constexpr std::uint32_t initial_pidns = 0xEFFFFFFC;  // PROC_PID_INIT_INO, include/linux/proc_ns.h
constexpr std::uint8_t tree_waits = 1, tree_in = 2;  // bpf/lib/filter.bpf.h

// The bytes that one bracket expression takes; `at` is moved behind it.
std::array<bool, 256> bracket(std::string_view glob, std::size_t& at) {
  std::array<bool, 256> set{};
  std::size_t i = at + 1;
  bool inverted = i < glob.size() && (glob[i] == '!' || glob[i] == '^');
  if (inverted) i++;
  for (bool first = true; i < glob.size() && (first || glob[i] != ']'); first = false) {
    auto low = static_cast<unsigned char>(glob[i]), high = low;
    if (i + 2 < glob.size() && glob[i + 1] == '-' && glob[i + 2] != ']') {
      high = static_cast<unsigned char>(glob[i + 2]);
      i += 2;
    }
    for (unsigned byte = low; byte <= high; byte++) set[byte] = true;
    i++;
  }
  if (i >= glob.size()) throw Failure(Exit::usage, cat(glob, ": a [ is not closed"));
  at = i + 1;
  if (inverted)
    for (bool& in : set) in = !in;
  return set;
}

void add_glob(GlobMachine& machine, std::string_view glob, unsigned& position) {
  auto room = [&] {
    if (position > 62) throw Failure(Exit::usage, "the globs are too long together (62 positions at most)");
    return std::uint64_t{1} << position;
  };
  std::uint64_t start = room();
  bool after_star = false;
  machine.starts |= start;
  for (std::size_t i = 0; i < glob.size();) {
    std::uint64_t bit = room();
    if (glob[i] == '*') {
      i++;
      if (std::exchange(after_star, true)) continue;
      machine.stars |= bit;
      if (bit == start) machine.starts |= bit << 1;
    } else if (after_star = false; glob[i] == '?') {
      i++;
      for (auto& accepts : machine.accepts) accepts |= bit;
    } else if (glob[i] == '[') {
      auto set = bracket(glob, i);
      for (unsigned byte = 0; byte < 256; byte++)
        if (set[byte]) machine.accepts[byte] |= bit;
    } else {
      machine.accepts[static_cast<unsigned char>(glob[i++])] |= bit;
    }
    position++;
  }
  machine.ends |= room();
  position++;
}

void size_set(bpf_object* object, const char* name, std::size_t entries) {
  bpf_map* map = bpf_object__find_map_by_name(object, name);
  if (map && entries) bpf_map__set_max_entries(map, static_cast<__u32>(entries));
  leave_out(entries == 0, {map});
}

void put(bpf_object* object, const char* name, std::uint32_t key, std::uint8_t value) {
  bpf_map* map = bpf_object__find_map_by_name(object, name);
  if (map && bpf_map_update_elem(bpf_map__fd(map), &key, &value, BPF_ANY) != 0)
    throw Failure(Exit::failed, cat("cannot fill ", name, ": ", error_text(errno)));
}

// Puts a process and all beneath it into the tree. Forks are being followed already, so what is added once brings its
// future children itself; looking again until nothing is new finds those of whom a child was born in between.
void seed_tree(bpf_object* object, std::uint32_t root) {
  std::set<std::uint32_t> in = {root};
  put(object, "filter_tree", root, tree_in);
  for (bool grew = true; grew;) {
    grew = false;
    for (auto [pid, parent] : process_parents()) {
      if (!in.contains(parent) || !in.insert(pid).second) continue;
      put(object, "filter_tree", pid, tree_in);
      grew = true;
    }
  }
}

template <typename Append>
void append_list(std::string& out, std::string_view key, const std::vector<std::uint32_t>& list, Append append_one) {
  if (list.empty()) return;
  out += cat(out.size() > 1 ? "," : "", "\"", key, "\":[");
  for (std::size_t i = 0; i < list.size(); i++) {
    if (i) out += ',';
    append_one(out, list[i]);
  }
  out += ']';
}

}  // namespace

std::uint64_t cgroup_id(const std::string& given) {
  std::string path = given;
  struct statfs system {};
  if (given[0] != '/') path = cat("/sys/fs/cgroup/", given);
  if (statfs(path.c_str(), &system) != 0)
    throw Failure(Exit::usage,
                  cat("--cgroup ", given, ": ", error_text(errno), "; give its path beneath the cgroup2 mount"));
  if (system.f_type != CGROUP2_SUPER_MAGIC)
    throw Failure(Exit::usage,
                  cat("--cgroup ", given, ": is not a cgroup v2 directory (mount -t cgroup2 shows where they are)"));
  struct stat status {};
  stat(path.c_str(), &status);
  return status.st_ino;  // the cgroup's id on 64-bit machines (kernfs, 5.5)
}

std::map<std::uint32_t, std::uint32_t> process_parents() {
  std::map<std::uint32_t, std::uint32_t> all;
  std::unique_ptr<DIR, int (*)(DIR*)> proc(opendir("/proc"), closedir);
  while (dirent* entry = proc ? readdir(proc.get()) : nullptr) {
    auto pid = parse_number(entry->d_name);
    if (!pid) continue;
    std::string line = read_line(cat("/proc/", *pid, "/stat"));
    // "PID (COMM) STATE PPID ..."; the name may hold parentheses itself.
    auto fields = split(std::string_view(line).substr(std::min(line.size(), line.rfind(')') + 2)), ' ');
    if (fields.size() < 2) continue;
    if (auto parent = parse_number(fields[1]))
      all[static_cast<std::uint32_t>(*pid)] = static_cast<std::uint32_t>(*parent);
  }
  return all;
}

std::uint32_t pid_namespace() {
  struct stat pidns {};
  bool ours = stat("/proc/self/ns/pid", &pidns) == 0 && pidns.st_ino != initial_pidns;
  return ours ? static_cast<std::uint32_t>(pidns.st_ino) : 0;
}

bool GlobMachine::matches(std::string_view text) const {
  std::uint64_t state = starts;
  for (char c : text) {
    state = ((state & accepts[static_cast<unsigned char>(c)]) << 1) | (state & stars);
    state |= (state & stars) << 1;
  }
  return state & ends;
}

GlobMachine compile_globs(std::string_view globs) {
  GlobMachine machine;
  unsigned position = 0;
  try {
    for (std::string_view glob : split(globs, ',')) add_glob(machine, glob, position);
  } catch (const Failure& failure) {
    throw Failure(failure.code(), cat("--comm ", failure.what()));
  }
  return machine;
}

GlobMachine compile_glob(std::string_view glob) {
  GlobMachine machine;
  unsigned position = 0;
  add_glob(machine, glob, position);
  return machine;
}

bool follows_tree(const Settings& settings) { return settings.tree || !settings.command.empty(); }

void check_filters(const Settings& settings) {
  if (!settings.comm.empty()) compile_globs(settings.comm);
  if (!settings.cgroup.empty()) cgroup_id(settings.cgroup);
}

void set_filters(bpf_object* object, const Settings& settings) {
  if (!find_global(object, "filter_self", 4)) return;
  set_knob(object, "filter_self", static_cast<std::uint32_t>(getpid()));
  if (std::uint32_t inode = pid_namespace()) set_knob(object, "filter_pidns", inode);
  set_knob(object, "filter_by_pid", !settings.pids.empty());
  set_knob(object, "filter_by_tid", !settings.tids.empty());
  set_knob(object, "filter_by_user", !settings.users.empty());
  set_knob(object, "filter_by_tree", follows_tree(settings));
  size_set(object, "filter_pids", settings.pids.size());
  size_set(object, "filter_tids", settings.tids.size());
  size_set(object, "filter_users", settings.users.size());
  size_set(object, "filter_tree", follows_tree(settings) ? 65536 : 0);
  if (!settings.cgroup.empty()) set_knob(object, "filter_cgroup", cgroup_id(settings.cgroup));
  if (settings.comm.empty()) return;
  GlobMachine machine = compile_globs(settings.comm);
  set_knob(object, "filter_by_comm", true);
  set_knob(object, "filter_comm_accepts", machine.accepts);
  set_knob(object, "filter_comm_stars", machine.stars);
  set_knob(object, "filter_comm_starts", machine.starts);
  set_knob(object, "filter_comm_ends", machine.ends);
}

void fill_filters(bpf_object* object, const Settings& settings, std::uint32_t command) {
  for (std::uint32_t pid : settings.pids) put(object, "filter_pids", pid, 1);
  for (std::uint32_t tid : settings.tids) put(object, "filter_tids", tid, 1);
  for (std::uint32_t user : settings.users) put(object, "filter_users", user, 1);
  if (settings.tree) seed_tree(object, *settings.tree);
  if (command) put(object, "filter_tree", command, tree_waits);
}

bool may_be_wanted(bpf_object* object, const Settings& settings, std::uint32_t pid) {
  if (pid == static_cast<std::uint32_t>(getpid())) return false;
  std::uint8_t state = 0;
  bpf_map* tree = bpf_object__find_map_by_name(object, "filter_tree");
  if (follows_tree(settings) &&
      (!tree || bpf_map_lookup_elem(bpf_map__fd(tree), &pid, &state) != 0 || state != tree_in))
    return false;
  return settings.comm.empty() || compile_globs(settings.comm).matches(read_line(cat("/proc/", pid, "/comm")));
}

std::string filters_json(const Settings& settings) {
  std::string out = "{";
  auto number = [](std::string& to, std::uint32_t value) { append(to, value); };
  append_list(out, "pid", settings.pids, number);
  append_list(out, "tid", settings.tids, number);
  append_list(out, "user", settings.users, number);
  auto member = [&](std::string_view key) { out += cat(out.size() > 1 ? "," : "", "\"", key, "\":"); };
  if (!settings.comm.empty()) member("comm"), append_json(out, settings.comm);
  if (!settings.cgroup.empty()) member("cgroup"), append_json(out, settings.cgroup);
  if (settings.tree) member("tree"), append(out, *settings.tree);
  if (!settings.command.empty()) {
    member("command");
    for (std::size_t i = 0; i < settings.command.size(); i++) {
      out += i ? ',' : '[';
      append_json(out, settings.command[i]);
    }
    out += ']';
  }
  return out + '}';
}

}  // namespace kit
