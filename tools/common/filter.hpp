// SPDX-License-Identifier: BSD-2-Clause
// The frontend's side of bpf/lib/filter.bpf.h: turns --pid and its kin into knobs and sets.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "kit/handle.hpp"
#include "kit/options.hpp"

namespace kit {

// Globs, compiled for the machine in the program: a bit for each position of each glob, end included.
struct GlobMachine {
  std::array<std::uint64_t, 256> accepts{};  // by byte: the positions that take it
  std::uint64_t stars = 0, starts = 0, ends = 0;
  // What the program does, for tests and for what is decided here.
  bool matches(std::string_view text) const;
};
// "a*,b?,[x-z]*": any of them. Throws Failure for an unclosed bracket or more than 63 positions in all.
GlobMachine compile_globs(std::string_view globs);

// One glob, commas and all.
GlobMachine compile_glob(std::string_view glob);

// Every process with its parent, by PID.
std::map<std::uint32_t, std::uint32_t> process_parents();

// Of the PID namespace that we are in, its inode; 0 of the initial one.
std::uint32_t pid_namespace();

// The id of a cgroup, by its path or what follows the usual mount; 1 is the root, which everybody is in. Throws Failure
// (usage).
std::uint64_t cgroup_id(const std::string& given);

// Throws Failure (usage) for what is wrong with --comm or --cgroup, before anything else happens.
void check_filters(const Settings& settings);
// Sets the knobs, before load. Objects without filter.bpf.h are left alone.
void set_filters(bpf_object* object, const Settings& settings);
// Fills the sets, after load. `command` is the traced command's PID or 0. The tree's own programs must be attached.
void fill_filters(bpf_object* object, const Settings& settings, std::uint32_t command);
// Whether the tree's programs are needed.
bool follows_tree(const Settings& settings);
// Whether a process may be asked for, by its PID as seen from here: by its name and ancestors alone.
bool may_be_wanted(bpf_object* object, const Settings& settings, std::uint32_t pid);
// The filters in force, as a JSON object.
std::string filters_json(const Settings& settings);

}  // namespace kit
