// SPDX-License-Identifier: BSD-2-Clause
// What can be probed, kind by kind: each kind is one function that finds what matches. Another kind is another
// function.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kit/elf.hpp"

namespace kit {

struct ListedProbe {
  std::string kind;       // "tracepoint", "function", "usdt"
  std::string name;       // "sched:sched_switch", "vfs_read", "postgresql:query__start"
  std::string place;      // where it is: a kernel module, a file; "vmlinux" is the kernel itself
  std::string returns;    // a type; empty: none, or nobody knows
  std::string arguments;  // declarations, "struct file *file", or where they are, "-4@%edi", each ended by a NUL
  std::string symbol;     // of a file's function: as the file names it, for whoever probes it
};

// Globs (* ? [a-z]), any of which suffices; none match everything. A name with a category, "sched:sched_switch", is
// also matched by what matches the part behind the colon.
class ProbeNames {
 public:
  explicit ProbeNames(std::vector<std::string> globs) : globs_(std::move(globs)) {}
  bool match(std::string_view name) const;

 private:
  std::vector<std::string> globs_;
};

// The kernel's tracepoints with their fields, from tracefs. Where that cannot be read, from the kernel's types, which
// know neither the categories nor, instead of fields, more than what the kernel's code hands over; `notice` says so
// then.
std::vector<ListedProbe> list_tracepoints(const ProbeNames& names, std::string& notice);
// The functions of the kernel and its modules with their prototypes, from the types of both. Throws Failure where the
// kernel offers none.
std::vector<ListedProbe> list_functions(const ProbeNames& names);

// A program or library, by path or name, and all libraries that it needs, and those need. Throws Failure (usage) if
// there is no such file; a library that is not found is in `notice`.
std::vector<ElfPlace> with_libraries(const std::string& name, std::string& notice);
// What files have: functions by their symbols, by the names that C++ has for them; USDT probes. A glob matches either
// name of a function. Files that are no ELF files have none.
std::vector<ListedProbe> list_user_functions(const ProbeNames& names, const std::vector<ElfPlace>& files);
std::vector<ListedProbe> list_user_marks(const ProbeNames& names, const std::vector<ElfPlace>& files);

// "long vfs_read(struct file *file, ...)" without the name: "(struct file *file, ...) long".
std::string prototype_text(const ListedProbe& probe);

}  // namespace kit
