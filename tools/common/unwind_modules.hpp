// SPDX-License-Identifier: BSD-2-Clause
// The files that processes run, with their unwind tables, and what of a process's memory is which.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kit/elf.hpp"
#include "unwind_pools.hpp"

namespace kit {

// What was made of a build of a file.
struct UnwindModule {
  std::string path, build_id;
  std::vector<ElfSegment> code;     // executable segments
  std::vector<UnwindPiece> pieces;  // none: its stacks are walked by frame pointers
  std::size_t rows = 0, unsupported = 0, bytes = 0, made_us = 0;
  bool whole = true;
  std::uint32_t lacking = 0;  // pages for which there was no room
};
// Who holds one has its table stay in the kernel.
using HeldModule = std::shared_ptr<const UnwindModule>;

// An executable mapping.
struct MappedCode {
  std::uint64_t start = 0, end = 0, offset = 0;
  HeldModule module = {};  // none: no file, or one that cannot be opened
  bool jit = false;        // of no file
};

// Adds what the walker is to know of a mapping.
void add_ranges(const MappedCode& code, std::vector<kit_unwind_range>& ranges);

class UnwindModules {
 public:
  // `forget`: lets go of what only processes hold that have ended; called where room is short.
  UnwindModules(UnwindPools& pools, std::function<void()> forget) : pools_(pools), forget_(std::move(forget)) {}
  // Of the file that is open there, which is taken over; none if it is none.
  HeldModule of_file(Fd file, const std::string& path);
  HeldModule of_image(const std::string& image, const std::string& path);
  // Frees the tables that nobody holds.
  void let_go();

  const std::map<std::string, HeldModule>& all() const { return builds_; }
  // The paths of modules whose tables had no room, or have more rows than a table may; how many tables were let go.
  const std::set<std::string>& roomless() const { return roomless_; }
  const std::set<std::string>& cut() const { return cut_; }
  std::size_t freed() const { return freed_; }

 private:
  struct FileKey {
    dev_t device;
    ino_t inode;
    std::int64_t changed;
    auto operator<=>(const FileKey&) const = default;
  };
  struct Seen {
    std::weak_ptr<const UnwindModule> module;
    bool none = false;  // no program
  };
  HeldModule read(const Fd& file, const std::string& path);
  void put(const UnwindTable& table, UnwindModule& module, std::uint64_t lowest);
  bool is_current(const HeldModule& module) const;

  UnwindPools& pools_;
  std::function<void()> forget_;
  std::map<FileKey, Seen> files_;
  std::map<std::string, std::weak_ptr<const UnwindModule>> images_;
  std::map<std::string, HeldModule> builds_;
  std::set<std::string> roomless_, cut_;
  std::size_t freed_ = 0;
};

}  // namespace kit
