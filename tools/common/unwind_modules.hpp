// SPDX-License-Identifier: BSD-2-Clause
// The files that processes run, with their unwind tables, and what of a process's memory is which.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
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
};

// An executable mapping.
struct MappedCode {
  std::uint64_t start = 0, end = 0, offset = 0;
  UnwindModule* module = nullptr;  // none: no file, or one that cannot be opened
  bool jit = false;                // of no file
};

// Adds what the walker is to know of a mapping.
void add_ranges(const MappedCode& code, std::vector<kit_unwind_range>& ranges);

class UnwindModules {
 public:
  explicit UnwindModules(UnwindPools& pools) : pools_(pools) {}
  // Of the file that is open there, which is taken over; none if it is none.
  UnwindModule* of_file(Fd file, const std::string& path);
  UnwindModule* of_image(const std::string& image, const std::string& path);
  const std::map<std::string, UnwindModule>& all() const { return builds_; }
  bool full() const { return full_; }

 private:
  struct FileKey {
    dev_t device;
    ino_t inode;
    std::int64_t changed;
    auto operator<=>(const FileKey&) const = default;
  };
  UnwindModule* read(const Fd& file, const std::string& path);

  UnwindPools& pools_;
  std::map<FileKey, UnwindModule*> files_;
  std::map<std::string, UnwindModule*> images_;
  std::map<std::string, UnwindModule> builds_;
  bool full_ = false;
};

}  // namespace kit
