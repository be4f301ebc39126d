// SPDX-License-Identifier: BSD-2-Clause
// How the caller of each instruction of a module is found: the compact table for the walker in the kernel
// (kit/unwind.h), made from call frame information, the sections .eh_frame and .debug_frame. Of x86_64 and arm64.
//
// A section is a list of CIEs, what many functions have in common, and FDEs, a function's range of addresses and a
// small program: "from here on the frame begins 16 bytes above the stack pointer". It is run once from end to end, and
// each change of what matters becomes a row. What the walker could not follow, or what cannot be read, becomes a row
// that says so: nothing is guessed. Every byte may be hostile: reads are bounded, each byte is looked at once, and what
// is made of them is at most as long as they are.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kit/elf.hpp"
#include "kit/unwind.h"

namespace kit {

struct CallFrames {
  std::string bytes;
  std::uint64_t address = 0;  // of the section, in the file's own terms
  bool debug = false;         // .debug_frame, whose layout differs
  bool left_out = false;      // larger than is looked at: there are no bytes
  bool arm64 = false;         // else x86_64
};

struct UnwindTable {
  // What a row's start is counted from: the lowest address that is described.
  std::uint64_t base = 0;
  // Sorted, each start once, neighbours with different rules; the last one is a gap.
  std::vector<kit_unwind_row> rows;
  std::size_t functions = 0, unread = 0;  // FDEs that were taken in; that could not be read
  bool whole = true;                      // false: it would have had more rows than it may

  std::size_t unsupported() const;
  // Of an address in the file's own terms; a gap where nothing is said.
  std::uint32_t rule_of(std::uint64_t address) const;
};

constexpr std::size_t most_unwind_rows = std::size_t{4} << 20;

// Where two sections speak of an address, the earlier of them in the list holds.
UnwindTable make_unwind_table(const std::vector<CallFrames>& sections, std::size_t most_rows = most_unwind_rows);
// The sections of a file, as far as they are there; .eh_frame is found without section headers, too.
std::vector<CallFrames> call_frames(const Elf& file);

}  // namespace kit
