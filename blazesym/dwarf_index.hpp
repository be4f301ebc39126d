// SPDX-License-Identifier: BSD-2-Clause
// Inlined functions and source lines by address, from DWARF 4 and 5. libdw reads the data; its own ways to look an
// address up search a unit from end to end each time, so what it reads is put into sorted arrays here, once for each
// compilation unit that is asked of.
#pragma once

#include <elfutils/libdw.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "elf_symbols.hpp"
#include "texts.hpp"

namespace blazesym {

class DwarfIndex {
 public:
  struct Level {
    std::string_view name;     // empty: not known
    std::string_view mangled;  // the same in the linker's terms
    std::string_view file;
    std::uint32_t line = 0;
    bool inlined = false;
    std::uint64_t start = 0;  // of the function, for the last level
  };
  // The file and the texts are kept by the caller. No DWARF: everything is unknown.
  DwarfIndex(const ElfFile& file, Texts& texts);
  ~DwarfIndex();
  // Fills `levels`, the innermost first; none if nothing is known of the address.
  void find(std::uint64_t address, std::vector<Level>& levels);
  // Makes what is needed for these addresses, in the order in which the file has it, which takes the least memory.
  void prepare(std::vector<std::uint64_t> addresses);
  std::size_t memory() const { return memory_; }

 private:
  // A function's, or an inlined one's, code. A function in several pieces has several. Addresses are from the unit's
  // base, which does with half the memory.
  struct Range {
    std::uint64_t die;  // where its name is to be found, in .debug_info
    std::uint32_t low, high;
    std::uint32_t start;      // of the function, not of the piece
    std::int32_t parent;      // what it is inlined into; -1: nothing
    std::uint32_t call_line;  // where it is called there
    std::uint32_t call_file;  // in paths_
    std::uint16_t depth;
    bool inlined;
  };
  struct Segment {
    std::uint32_t start;
    std::int32_t range;  // the innermost there; -1: none
  };
  struct Row {
    std::uint32_t address;
    std::uint32_t line, file;                         // in paths_
    static constexpr std::uint32_t end = UINT32_MAX;  // as `file`: nothing is known from here on
  };
  struct Unit {
    std::uint64_t die = 0;   // its first one
    std::uint64_t base = 0;  // its lowest address
    bool holds(std::uint64_t address) const { return address >= base && address - base < UINT32_MAX; }
    bool made = false;
    std::vector<Range> ranges;
    std::vector<Segment> segments;
    std::vector<Row> rows;
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
  void read_files(Dwarf_Die* die);
  void read_lines(Dwarf_Die* die, Unit& unit);
  std::uint32_t path_number(const char* path);
  std::uint32_t file_number(std::uint64_t of_unit) const {
    return of_unit < unit_files_.size() ? unit_files_[of_unit] : Row::end;
  }
  static void cut_segments(Unit& unit);
  Unit* unit_of(std::uint64_t address);
  struct Name {
    std::string_view plain, mangled;
  };
  const Name& name_of(std::uint64_t die);
  Name read_name(std::uint64_t die);

  const ElfFile& file_;
  Texts& texts_;
  Dwarf* dwarf_ = nullptr;
  std::vector<Unit> units_;
  std::vector<Extent> extents_;
  std::size_t last_ = 0;  // behind the extent that was found last, in which the next address mostly lies
  std::unordered_map<std::uint64_t, Name> names_;  // by their DIEs
  // Each source file's once: units name the same ones.
  std::vector<std::string_view> paths_;
  std::unordered_map<std::string_view, std::uint32_t> path_numbers_;
  std::vector<std::uint32_t> unit_files_;  // of the unit that is being made, in paths_
  std::size_t memory_ = 0, since_open_ = 0, dies_ = 0;
  bool listed_ = false;
};

}  // namespace blazesym
