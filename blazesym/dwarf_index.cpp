// SPDX-License-Identifier: BSD-2-Clause
#include "dwarf_index.hpp"

#include <dwarf.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace blazesym {
namespace {

constexpr std::uint16_t deepest = 200;  // of nested DIEs
// libdw keeps all it has read until it is closed; after this many rows and DIEs it is, and opened anew.
constexpr std::size_t most_since_open = 12'000;

std::uint64_t number_of(Dwarf_Die* die, unsigned attribute) {
  Dwarf_Attribute found;
  Dwarf_Word value = 0;
  return dwarf_attr(die, attribute, &found) && dwarf_formudata(&found, &value) == 0 ? value : 0;
}

// The DIE that holds the name: what this one is an instance of. Attributes that lead in a circle end after a few steps.
std::uint64_t origin_of(Dwarf_Die* die) {
  Dwarf_Die at = *die;
  for (int steps = 0; steps < 8; steps++) {
    Dwarf_Attribute found;
    Dwarf_Die next;
    unsigned link = dwarf_hasattr(&at, DW_AT_abstract_origin) ? DW_AT_abstract_origin : DW_AT_specification;
    if (dwarf_hasattr(&at, DW_AT_linkage_name) || !dwarf_attr(&at, link, &found) || !dwarf_formref_die(&found, &next))
      break;
    at = next;
  }
  return dwarf_dieoffset(&at);
}

}  // namespace

DwarfIndex::DwarfIndex(const ElfFile& file, Texts& texts) : file_(file), texts_(texts) {}
DwarfIndex::~DwarfIndex() { close(); }

// libdw unpacks all sections at once; where variables are is not asked here.
bool DwarfIndex::open() {
  if (dwarf_ || !file_) return dwarf_ != nullptr;
  for (const char* name : {".debug_loclists", ".debug_loc", ".debug_macro"}) file_.hide(name);
  dwarf_ = dwarf_begin_elf(file_.get(), DWARF_C_READ, nullptr);
  return dwarf_ != nullptr;
}

void DwarfIndex::close() {
  if (dwarf_) dwarf_end(dwarf_);
  dwarf_ = nullptr;
  since_open_ = 0;
  file_.forget_pages();
}

// All units, with where their code is; their contents are read only when asked of.
void DwarfIndex::list_units() {
  if (std::exchange(listed_, true) || !open()) return;
  Dwarf_CU* cu = nullptr;
  Dwarf_Half version;
  std::uint8_t type;
  Dwarf_Die die, sub;
  while (dwarf_get_units(dwarf_, cu, &cu, &version, &type, &die, &sub) == 0) {
    if (dwarf_tag(&die) != DW_TAG_compile_unit && dwarf_tag(&die) != DW_TAG_skeleton_unit) continue;
    Dwarf_Addr base, low, high;
    auto number = static_cast<std::uint32_t>(units_.size());
    std::size_t before = extents_.size();
    for (std::ptrdiff_t at = 0; (at = dwarf_ranges(&die, at, &base, &low, &high)) > 0;)
      if (low < high) extents_.push_back({low, high, number});
    if (extents_.size() == before) continue;
    Unit& unit = units_.emplace_back();
    unit.die = dwarf_dieoffset(&die);
    unit.base = UINT64_MAX;
    for (std::size_t i = before; i < extents_.size(); i++) unit.base = std::min(unit.base, extents_[i].low);
  }
  std::sort(extents_.begin(), extents_.end(), [](const Extent& a, const Extent& b) { return a.low < b.low; });
  extents_.shrink_to_fit();
  units_.shrink_to_fit();
  memory_ += extents_.capacity() * sizeof(Extent) + units_.capacity() * sizeof(Unit);
  close();
}

DwarfIndex::Unit* DwarfIndex::unit_of(std::uint64_t address) {
  list_units();
  if (last_ && last_ < extents_.size() && extents_[last_ - 1].low <= address && address < extents_[last_].low &&
      address < extents_[last_ - 1].high)
    return &units_[extents_[last_ - 1].unit];
  auto after = std::upper_bound(extents_.begin(), extents_.end(), address,
                                [](std::uint64_t wanted, const Extent& e) { return wanted < e.low; });
  last_ = static_cast<std::size_t>(after - extents_.begin());
  for (int tries = 0; after != extents_.begin() && tries < 8; tries++) {
    --after;
    if (address < after->high) return &units_[after->unit];
  }
  return nullptr;
}

std::int32_t DwarfIndex::add_ranges(Dwarf_Die* die, Unit& unit, std::int32_t parent, std::uint16_t depth,
                                    bool inlined) {
  Dwarf_Addr base, low, high;
  std::int32_t first = -1;
  Range range{.die = 0,
              .low = 0,
              .high = 0,
              .start = 0,
              .parent = parent,
              .call_line = 0,
              .call_file = 0,
              .depth = depth,
              .inlined = inlined};
  for (std::ptrdiff_t at = 0; (at = dwarf_ranges(die, at, &base, &low, &high)) > 0;) {
    if (low >= high || !unit.holds(low) || !unit.holds(high)) continue;
    range.low = static_cast<std::uint32_t>(low - unit.base);
    range.high = static_cast<std::uint32_t>(high - unit.base);
    if (first < 0) {
      range.die = origin_of(die);
      range.start = range.low;
      if (inlined) {
        range.call_line = static_cast<std::uint32_t>(number_of(die, DW_AT_call_line));
        range.call_file = file_number(number_of(die, DW_AT_call_file));
      }
      first = static_cast<std::int32_t>(unit.ranges.size());
    }
    unit.ranges.push_back(range);
  }
  return first;
}

// This DIE, its siblings and what is beneath them. Each lies behind the one before, or the data goes in circles.
void DwarfIndex::walk(Dwarf_Die* first, Unit& unit, std::int32_t parent, std::uint16_t depth) {
  Dwarf_Die die = *first, child;
  if (depth > deepest) return;
  for (;;) {
    dies_++;
    since_open_++;
    std::int32_t inside = parent;
    bool descend = true;
    switch (dwarf_tag(&die)) {
      case DW_TAG_subprogram:
        inside = add_ranges(&die, unit, -1, depth, false);
        descend = inside >= 0;
        break;
      case DW_TAG_inlined_subroutine: {
        std::int32_t own = add_ranges(&die, unit, parent, depth, true);
        inside = own >= 0 ? own : parent;
        break;
      }
      case DW_TAG_lexical_block:
      case DW_TAG_namespace:
      case DW_TAG_module:
      case DW_TAG_class_type:
      case DW_TAG_structure_type:
      case DW_TAG_union_type: break;
      default: descend = false;
    }
    if (descend && dwarf_child(&die, &child) == 0) walk(&child, unit, inside, depth + 1);
    Dwarf_Off before = dwarf_dieoffset(&die);
    if (dwarf_siblingof(&die, &die) != 0 || dwarf_dieoffset(&die) <= before) return;
  }
}

std::uint32_t DwarfIndex::path_number(const char* path) {
  if (!path) return Row::end;
  if (auto found = path_numbers_.find(path); found != path_numbers_.end()) return found->second;
  auto number = static_cast<std::uint32_t>(paths_.size());
  path_numbers_.emplace(paths_.emplace_back(texts_.keep(path)), number);
  memory_ += sizeof paths_[0] + 64;
  return number;
}

void DwarfIndex::read_files(Dwarf_Die* die) {
  Dwarf_Files* files;
  std::size_t count = 0;
  unit_files_.clear();
  if (dwarf_getsrcfiles(die, &files, &count) != 0) return;
  for (std::size_t i = 0; i < std::min<std::size_t>(count, 65536); i++)
    unit_files_.push_back(path_number(dwarf_filesrc(files, i, nullptr, nullptr)));
}

void DwarfIndex::read_lines(Dwarf_Die* die, Unit& unit) {
  Dwarf_Lines* lines;
  std::size_t count = 0;
  if (dwarf_getsrclines(die, &lines, &count) != 0) return;
  since_open_ += count;
  unit.rows.reserve(count);
  for (std::size_t i = 0; i < count; i++) {
    Dwarf_Line* line = dwarf_onesrcline(lines, i);
    Dwarf_Addr address = 0;
    bool end = false;
    int number = 0;
    if (!line || dwarf_lineaddr(line, &address) != 0) continue;
    dwarf_lineendsequence(line, &end);
    dwarf_lineno(line, &number);
    Dwarf_Files* files;
    std::size_t file = 0;
    bool known = !end && dwarf_line_file(line, &files, &file) == 0;
    if (!unit.holds(address)) continue;
    Row row{static_cast<std::uint32_t>(address - unit.base), static_cast<std::uint32_t>(number),
            known ? file_number(file) : Row::end};
    // Of several rows of one address the last one counts, but the end of one piece is not that of the next.
    if (!unit.rows.empty() && unit.rows.back().address == row.address) {
      if (row.file != Row::end) unit.rows.back() = row;
    } else {
      unit.rows.push_back(row);
    }
  }
  unit.rows.shrink_to_fit();
}

// Cuts nested ranges into pieces that do not overlap, each with its innermost range.
void DwarfIndex::cut_segments(Unit& unit) {
  std::vector<std::int32_t> order(unit.ranges.size()), open;
  for (std::size_t i = 0; i < order.size(); i++) order[i] = static_cast<std::int32_t>(i);
  const auto& ranges = unit.ranges;
  std::sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    return ranges[a].low != ranges[b].low       ? ranges[a].low < ranges[b].low
           : ranges[a].depth != ranges[b].depth ? ranges[a].depth < ranges[b].depth
                                                : a < b;
  });
  auto mark = [&](std::uint32_t start, std::int32_t range) {
    if (!unit.segments.empty() && unit.segments.back().start == start)
      unit.segments.back().range = range;
    else
      unit.segments.push_back({start, range});
  };
  auto close_until = [&](std::uint32_t address) {
    while (!open.empty() && ranges[open.back()].high <= address) {
      std::uint32_t end = ranges[open.back()].high;
      open.pop_back();
      while (!open.empty() && ranges[open.back()].high <= end) open.pop_back();
      mark(end, open.empty() ? -1 : open.back());
    }
  };
  for (std::int32_t next : order) {
    close_until(ranges[next].low);
    open.push_back(next);
    mark(ranges[next].low, next);
  }
  close_until(UINT32_MAX);
  unit.segments.shrink_to_fit();
}

void DwarfIndex::make(Unit& unit) {
  if (std::exchange(unit.made, true)) return;
  if (since_open_ > most_since_open) close();
  Dwarf_Die die, child, sub;
  if (!open() || !dwarf_offdie(dwarf_, unit.die, &die)) return;
  Dwarf_Half version;
  std::uint8_t type;
  // Of split DWARF (.dwo) the code is in the other file, if it is there.
  bool split = dwarf_cu_info(die.cu, &version, &type, nullptr, &sub, nullptr, nullptr, nullptr) == 0 &&
               type == DW_UT_skeleton && dwarf_tag(&sub) == DW_TAG_compile_unit;
  read_files(&die);
  if (dwarf_child(split ? &sub : &die, &child) == 0) walk(&child, unit, -1, 0);
  read_lines(&die, unit);
  unit.ranges.shrink_to_fit();
  cut_segments(unit);
  memory_ += unit.ranges.capacity() * sizeof(Range) + unit.segments.capacity() * sizeof(Segment) +
             unit.rows.capacity() * sizeof(Row);
}

void DwarfIndex::prepare(std::vector<std::uint64_t> addresses) {
  std::vector<Unit*> wanted;
  for (std::uint64_t address : addresses)
    if (Unit* unit = unit_of(address); unit && !unit->made) wanted.push_back(unit);
  std::sort(wanted.begin(), wanted.end());
  wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
  for (Unit* unit : wanted) make(*unit);
}

const DwarfIndex::Name& DwarfIndex::name_of(std::uint64_t offset) {
  auto [found, fresh] = names_.try_emplace(offset);
  if (fresh) {
    found->second = read_name(offset);
    memory_ += sizeof *found + 16;
  }
  return found->second;
}

DwarfIndex::Name DwarfIndex::read_name(std::uint64_t offset) {
  Dwarf_Die die;
  if (!open() || !dwarf_offdie(dwarf_, offset, &die)) return {};
  Dwarf_Attribute attribute;
  const char* name = nullptr;
  if (dwarf_attr_integrate(&die, DW_AT_linkage_name, &attribute) ||
      dwarf_attr_integrate(&die, DW_AT_MIPS_linkage_name, &attribute))
    name = dwarf_formstring(&attribute);
  if (!name) name = dwarf_diename(&die);
  if (!name) return {};
  return {texts_.demangled(name), name};  // libdw's text is the file's, which stays
}

void DwarfIndex::find(std::uint64_t address, std::vector<Level>& levels) {
  levels.clear();
  Unit* unit = unit_of(address);
  if (!unit || !unit->holds(address)) return;
  make(*unit);
  auto place = static_cast<std::uint32_t>(address - unit->base);
  auto row = std::upper_bound(unit->rows.begin(), unit->rows.end(), place,
                              [](std::uint32_t wanted, const Row& r) { return wanted < r.address; });
  std::string_view file;
  std::uint32_t line = 0;
  auto file_name = [&](std::uint32_t number) {
    return number < paths_.size() ? std::string_view(paths_[number]) : std::string_view();
  };
  if (row != unit->rows.begin() && (row - 1)->file != Row::end) {
    file = file_name((row - 1)->file);
    line = (row - 1)->line;
  }
  auto segment = std::upper_bound(unit->segments.begin(), unit->segments.end(), place,
                                  [](std::uint32_t wanted, const Segment& s) { return wanted < s.start; });
  std::int32_t at = segment == unit->segments.begin() ? -1 : (segment - 1)->range;
  for (int depth = 0; at >= 0 && depth < deepest; depth++) {
    const Range& range = unit->ranges[static_cast<std::size_t>(at)];
    const Name& name = name_of(range.die);
    levels.push_back({name.plain, name.mangled, file, line, range.inlined, unit->base + range.start});
    if (!range.inlined) return;
    file = file_name(range.call_file);
    line = range.call_line;
    at = range.parent;
  }
  if (levels.empty() && line) levels.push_back({{}, {}, file, line, false, 0});
}

}  // namespace blazesym
