// SPDX-License-Identifier: BSD-2-Clause
// Inlined functions and source lines by address, from DWARF 4 and 5. libdw reads the data; its own ways to look an
// address up search a unit from end to end each time, so what it reads is put into sorted arrays here, once for each
// compilation unit that is asked of.
#pragma once

#include <elfutils/libdw.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "elf_symbols.hpp"

namespace blazesym {

class DwarfIndex {
 public:
  struct Level {
    std::string_view name;  // as it is mangled; empty: not known
    std::string_view file;
    std::uint32_t line = 0;
    bool inlined = false;
    std::uint64_t start = 0;  // of the function, for the last level
  };
  // The file is kept by the caller. No DWARF: everything is unknown.
  explicit DwarfIndex(const ElfFile& file);
  ~DwarfIndex();
  // Fills `levels`, the innermost first; none if nothing is known of the address.
  void find(std::uint64_t address, std::vector<Level>& levels);
  // Makes what is needed for these addresses, in the order in which the file has it, which takes the least memory.
  void prepare(std::vector<std::uint64_t> addresses);
  std::size_t memory() const { return memory_; }

 private:
  // A function's, or an inlined one's, code. A function in several pieces has several.
  struct Range {
    std::uint64_t low, high;
    std::uint64_t die;        // where its name is to be found, in .debug_info
    std::uint64_t start;      // of the function, not of the piece
    std::int32_t parent;      // what it is inlined into; -1: nothing
    std::uint32_t call_line;  // where it is called there
    std::uint32_t call_file;  // one of the unit's files
    std::uint16_t depth;
    bool inlined;
  };
  struct Segment {
    std::uint64_t start;
    std::int32_t range;  // the innermost there; -1: none
  };
  struct Row {
    std::uint64_t address;
    std::uint32_t line, file;
    static constexpr std::uint32_t end = UINT32_MAX;  // as `file`: nothing is known from here on
  };
  struct Unit {
    std::uint64_t die = 0;  // its first one
    bool made = false;
    std::vector<Range> ranges;
    std::vector<Segment> segments;
    std::vector<Row> rows;
    std::vector<std::string> files;
  };
  struct Extent {
    std::uint64_t low, high;
    std::uint32_t unit;
  };

  bool open();
  void close();
  void list_units();
  void make(Unit& unit);
  void walk(Dwarf_Die* first, Unit& unit, std::int32_t parent, std::uint16_t depth);
  std::int32_t add_ranges(Dwarf_Die* die, Unit& unit, std::int32_t parent, std::uint16_t depth, bool inlined);
  void read_lines(Dwarf_Die* die, Unit& unit);
  static void cut_segments(Unit& unit);
  Unit* unit_of(std::uint64_t address);
  std::string_view name_of(std::uint64_t die);

  const ElfFile& file_;
  Dwarf* dwarf_ = nullptr;
  std::vector<Unit> units_;
  std::vector<Extent> extents_;
  std::map<std::uint64_t, std::string> names_;
  std::size_t memory_ = 0, since_open_ = 0, dies_ = 0;
  bool listed_ = false;
};

}  // namespace blazesym
