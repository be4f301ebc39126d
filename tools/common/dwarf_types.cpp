// SPDX-License-Identifier: BSD-2-Clause
#include "dwarf_types.hpp"

#include <bpf/btf.h>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <fcntl.h>
#include <gelf.h>

#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "kit/text.hpp"

namespace kit {
namespace {

// A type of the debug information that becomes one or more of BTF, the outermost first.
struct Entry {
  Dwarf_Die die;
  std::string name;
};

std::string name_of(Dwarf_Die* die) {
  const char* name = dwarf_diename(die);
  return name ? name : "";
}

bool has(Dwarf_Die* die, unsigned attribute) { return dwarf_hasattr_integrate(die, attribute) != 0; }

// A constant; nothing where the attribute is absent or has to be computed at run time.
std::optional<std::uint64_t> number(Dwarf_Die* die, unsigned name) {
  Dwarf_Attribute attribute;
  Dwarf_Word value;
  if (!dwarf_attr_integrate(die, name, &attribute)) return {};
  if (dwarf_formudata(&attribute, &value) == 0) return value;
  // DWARF 2 and 3 wrote a member's place as an expression: so much behind the structure's address.
  Dwarf_Op* operation;
  std::size_t count;
  if (dwarf_getlocation(&attribute, &operation, &count) == 0 && count == 1 && operation->atom == DW_OP_plus_uconst)
    return operation->number;
  return {};
}

template <typename Each>
void each_child(Dwarf_Die* of, Each each) {
  Dwarf_Die child;
  if (dwarf_child(of, &child) != 0) return;
  do each(child);
  while (dwarf_siblingof(&child, &child) == 0);
}

// The lengths of an array's dimensions; 0 where one is open.
std::vector<std::uint32_t> dimensions(Dwarf_Die* array) {
  std::vector<std::uint32_t> all;
  each_child(array, [&](Dwarf_Die& range) {
    if (dwarf_tag(&range) != DW_TAG_subrange_type) return;
    auto count = number(&range, DW_AT_count), last = number(&range, DW_AT_upper_bound);
    // The last index of an array without elements is -1.
    std::uint64_t length = count ? *count : last ? *last + 1 : 0;
    all.push_back(length <= UINT32_MAX ? static_cast<std::uint32_t>(length) : 0);
  });
  if (all.empty()) all.push_back(0);
  return all;
}

class Conversion {
 public:
  explicit Conversion(btf* types) : types_(types) {
    // What arrays are counted by.
    btf__add_int(types_, "unsigned long", 8, 0);
  }

  void add_unit(Dwarf_Die* unit) { collect(unit, ""); }

  // Adds a type and all that it leads to, which may be of other units; its number.
  std::uint32_t add_type(Dwarf_Die* type) {
    std::uint32_t number = enter(*type, name_of(type));
    for (std::size_t i = written_; i < entries_.size(); i++) {
      Dwarf_Die die = entries_[i].die;
      add_own_type(&die);
      each_child(&die, [&](Dwarf_Die& part) {
        int tag = dwarf_tag(&part);
        if (tag == DW_TAG_member || tag == DW_TAG_inheritance || tag == DW_TAG_formal_parameter) add_own_type(&part);
      });
    }
    write();
    return number;
  }

  // BTF refers by number, so that all numbers are given before the first type is written. What cannot be said in BTF
  // keeps its number as a structure that is declared only.
  void write() {
    for (; written_ < entries_.size(); written_++) {
      write(entries_[written_]);
      std::uint32_t after = written_ + 1 < entries_.size() ? numbers_[entries_[written_ + 1].die.addr] : next_;
      while (btf__type_cnt(types_) < after && btf__add_fwd(types_, "?", BTF_FWD_STRUCT) > 0) continue;
    }
  }

 private:
  static bool is_type(int tag) {
    switch (tag) {
      case DW_TAG_base_type:
      case DW_TAG_structure_type:
      case DW_TAG_class_type:
      case DW_TAG_union_type:
      case DW_TAG_enumeration_type:
      case DW_TAG_typedef:
      case DW_TAG_pointer_type:
      case DW_TAG_reference_type:
      case DW_TAG_rvalue_reference_type:
      case DW_TAG_ptr_to_member_type:
      case DW_TAG_const_type:
      case DW_TAG_volatile_type:
      case DW_TAG_restrict_type:
      case DW_TAG_atomic_type:
      case DW_TAG_array_type:
      case DW_TAG_subroutine_type: return true;
      default: return false;
    }
  }

  void collect(Dwarf_Die* within, const std::string& scope) {
    each_child(within, [&](Dwarf_Die& die) {
      int tag = dwarf_tag(&die);
      std::string own = name_of(&die), name = scope.empty() || own.empty() ? own : cat(scope, "::", own);
      if (is_type(tag)) enter(die, name);
      if (tag == DW_TAG_namespace || tag == DW_TAG_structure_type || tag == DW_TAG_class_type ||
          tag == DW_TAG_union_type || tag == DW_TAG_subprogram || tag == DW_TAG_lexical_block)
        collect(&die, tag == DW_TAG_subprogram || tag == DW_TAG_lexical_block ? scope : name);
    });
  }

  // Gives a type its number, once.
  std::uint32_t enter(const Dwarf_Die& die, const std::string& name) {
    auto [found, fresh] = numbers_.try_emplace(die.addr, next_);
    if (!fresh) return found->second;
    Entry& entry = entries_.emplace_back(die, name);
    next_ += dwarf_tag(&entry.die) == DW_TAG_array_type ? static_cast<std::uint32_t>(dimensions(&entry.die).size()) : 1;
    return found->second;
  }

  void add_own_type(Dwarf_Die* of) {
    Dwarf_Die type;
    if (dwarf_type_of(of, &type) && is_type(dwarf_tag(&type))) enter(type, name_of(&type));
  }

  // What a DIE's type is in BTF; 0, void, where it has none or none that could be followed.
  int type_of(Dwarf_Die* die) {
    Dwarf_Die type;
    if (!dwarf_type_of(die, &type)) return 0;
    auto found = numbers_.find(type.addr);
    return found == numbers_.end() ? 0 : static_cast<int>(found->second);
  }

  void write(Entry& entry) {
    Dwarf_Die* die = &entry.die;
    const char* name = entry.name.c_str();
    switch (dwarf_tag(die)) {
      case DW_TAG_base_type: return write_base(die, name);
      case DW_TAG_structure_type:
      case DW_TAG_class_type:
      case DW_TAG_union_type: return write_structure(die, name);
      case DW_TAG_enumeration_type: return write_enumeration(die, name);
      case DW_TAG_array_type: return write_array(die);
      case DW_TAG_subroutine_type: return write_function(die);
      case DW_TAG_typedef: btf__add_typedef(types_, *name ? name : "?", type_of(die)); return;
      case DW_TAG_const_type: btf__add_const(types_, type_of(die)); return;
      case DW_TAG_atomic_type:
      case DW_TAG_volatile_type: btf__add_volatile(types_, type_of(die)); return;
      case DW_TAG_restrict_type: btf__add_restrict(types_, type_of(die)); return;
      case DW_TAG_ptr_to_member_type: btf__add_struct(types_, "", member_pointer_size(die)); return;
      default: btf__add_ptr(types_, type_of(die));
    }
  }

  void write_base(Dwarf_Die* die, const char* name) {
    auto size = static_cast<std::uint32_t>(number(die, DW_AT_byte_size).value_or(0));
    auto encoding = number(die, DW_AT_encoding).value_or(0);
    bool is_float = encoding == DW_ATE_float && btf__add_float(types_, *name ? name : "?", size) > 0;
    if (is_float) return;
    int how = encoding == DW_ATE_boolean                                    ? BTF_INT_BOOL
              : encoding == DW_ATE_signed || encoding == DW_ATE_signed_char ? BTF_INT_SIGNED
                                                                            : 0;
    // Others, as complex numbers, are as large as they are, and that is all.
    if (btf__add_int(types_, *name ? name : "?", size, how) < 0) btf__add_struct(types_, name, size);
  }

  void write_structure(Dwarf_Die* die, const char* name) {
    bool is_union = dwarf_tag(die) == DW_TAG_union_type;
    auto size = number(die, DW_AT_byte_size);
    if (!size || has(die, DW_AT_declaration)) {
      btf__add_fwd(types_, *name ? name : "?", is_union ? BTF_FWD_UNION : BTF_FWD_STRUCT);
      return;
    }
    auto bytes = static_cast<std::uint32_t>(*size);
    is_union ? btf__add_union(types_, name, bytes) : btf__add_struct(types_, name, bytes);
    each_child(die, [&](Dwarf_Die& member) { write_member(&member, is_union); });
  }

  void write_member(Dwarf_Die* member, bool in_union) {
    int tag = dwarf_tag(member);
    if ((tag != DW_TAG_member && tag != DW_TAG_inheritance) || has(member, DW_AT_external)) return;
    auto bits = static_cast<std::uint32_t>(number(member, DW_AT_bit_size).value_or(0));
    auto at = bit_offset(member, bits);
    if (!at && !in_union) return;
    std::string name = name_of(member);
    Dwarf_Die base;
    if (tag == DW_TAG_inheritance && dwarf_type_of(member, &base)) name = name_of(&base);
    btf__add_field(types_, name.c_str(), type_of(member), static_cast<std::uint32_t>(at.value_or(0)), bits);
  }

  // From the beginning of the structure.
  std::optional<std::uint64_t> bit_offset(Dwarf_Die* member, std::uint32_t bits) {
    if (auto at = number(member, DW_AT_data_bit_offset)) return at;
    auto place = number(member, DW_AT_data_member_location);
    if (!place) return bits || has(member, DW_AT_data_member_location) ? std::nullopt : std::optional<std::uint64_t>(0);
    auto from_top = number(member, DW_AT_bit_offset);
    if (!bits || !from_top) return *place * 8;
    // Up to DWARF 3: from the highest bit of a unit of so many bytes, on little-endian machines too.
    Dwarf_Die type;
    auto unit = number(member, DW_AT_byte_size);
    if (!unit && dwarf_type_of(member, &type)) {
      Dwarf_Die plain;
      if (dwarf_peel_type(&type, &plain) == 0) unit = number(&plain, DW_AT_byte_size);
    }
    if (!unit) return {};
    return *place * 8 + *unit * 8 - *from_top - bits;
  }

  void write_enumeration(Dwarf_Die* die, const char* name) {
    auto size = static_cast<std::uint32_t>(number(die, DW_AT_byte_size).value_or(4));
    if (btf__add_enum(types_, name, size) < 0) {
      btf__add_struct(types_, name, size);
      return;
    }
    each_child(die, [&](Dwarf_Die& one) {
      Dwarf_Attribute attribute;
      Dwarf_Sword value;
      if (dwarf_tag(&one) != DW_TAG_enumerator || !dwarf_attr(&one, DW_AT_const_value, &attribute)) return;
      if (dwarf_formsdata(&attribute, &value) == 0) btf__add_enum_value(types_, name_of(&one).c_str(), value);
    });
  }

  void write_array(Dwarf_Die* die) {
    auto all = dimensions(die);
    std::uint32_t self = numbers_[die->addr];
    for (std::size_t i = 0; i < all.size(); i++) {
      bool innermost = i + 1 == all.size();
      btf__add_array(types_, 1, innermost ? type_of(die) : static_cast<int>(self + i + 1), all[i]);
    }
  }

  void write_function(Dwarf_Die* die) {
    btf__add_func_proto(types_, type_of(die));
    each_child(die, [&](Dwarf_Die& parameter) {
      int tag = dwarf_tag(&parameter);
      if (tag == DW_TAG_formal_parameter) btf__add_func_param(types_, "", type_of(&parameter));
      if (tag == DW_TAG_unspecified_parameters) btf__add_func_param(types_, "", 0);
    });
  }

  // The Itanium C++ ABI, 2.3: to data a ptrdiff_t, to functions two.
  std::uint32_t member_pointer_size(Dwarf_Die* die) {
    Dwarf_Die type;
    bool function = dwarf_type_of(die, &type) && dwarf_tag(&type) == DW_TAG_subroutine_type;
    return function ? 16 : 8;
  }

  btf* types_;
  std::vector<Entry> entries_;
  std::map<const void*, std::uint32_t> numbers_;  // by where a type is described
  std::uint32_t next_ = 2;                        // 1 is the arrays' own
  std::size_t written_ = 0;                       // of entries_
};

Btf convert(Dwarf* debug) {
  Btf types(btf__new_empty());
  Conversion conversion(types.get());
  Dwarf_CU* unit = nullptr;
  Dwarf_Die die, sub;
  std::uint8_t kind;
  while (dwarf_get_units(debug, unit, &unit, nullptr, &kind, &die, &sub) == 0)
    if (kind != DW_UT_type) conversion.add_unit(&die);
  conversion.write();
  return types;
}

struct End {
  void operator()(Elf* file) const { elf_end(file); }
  void operator()(Dwarf* debug) const { dwarf_end(debug); }
};

// How many bytes a relocation writes; 0: of no kind that debug information has.
std::size_t width_of(unsigned machine, std::uint64_t type) {
  bool wide = machine == EM_X86_64 ? type == R_X86_64_64 : type == R_AARCH64_ABS64;
  bool narrow = machine == EM_X86_64 ? type == R_X86_64_32 || type == R_X86_64_32S : type == R_AARCH64_ABS32;
  return wide ? 8 : narrow ? 4 : 0;
}

// Writes into the debug sections of an object file, in memory, what the linker would have. (libdwfl does so, too, but
// brings with it a client that loads libraries, which no static program should.)
void relocate(Elf* file) {
  GElf_Ehdr header;
  std::size_t names;
  if (!gelf_getehdr(file, &header) || header.e_type != ET_REL || elf_getshdrstrndx(file, &names) != 0) return;
  for (Elf_Scn* one = nullptr; (one = elf_nextscn(file, one));) {
    GElf_Shdr table, target;
    if (!gelf_getshdr(one, &table) || table.sh_type != SHT_RELA) continue;
    Elf_Scn* section = elf_getscn(file, table.sh_info);
    const char* name = section && gelf_getshdr(section, &target) ? elf_strptr(file, names, target.sh_name) : nullptr;
    if (!name || !std::string_view(name).starts_with(".debug_")) continue;
    Elf_Data *data = elf_rawdata(section, nullptr), *entries = elf_getdata(one, nullptr);
    Elf_Data* symbols = elf_getdata(elf_getscn(file, table.sh_link), nullptr);
    GElf_Rela entry;
    GElf_Sym symbol;
    for (int i = 0; data && entries && symbols && gelf_getrela(entries, i, &entry); i++) {
      std::size_t width = width_of(header.e_machine, GELF_R_TYPE(entry.r_info));
      if (!gelf_getsym(symbols, static_cast<int>(GELF_R_SYM(entry.r_info)), &symbol)) continue;
      std::uint64_t value = symbol.st_value + static_cast<std::uint64_t>(entry.r_addend);
      if (width && entry.r_offset + width <= data->d_size)
        std::memcpy(static_cast<char*>(data->d_buf) + entry.r_offset, &value, width);
    }
  }
}

}  // namespace

bool dwarf_type_of(Dwarf_Die* die, Dwarf_Die* type) {
  Dwarf_Attribute attribute;
  return dwarf_attr_integrate(die, DW_AT_type, &attribute) && dwarf_formref_die(&attribute, type);
}

struct DwarfTypes::State {
  Btf types{btf__new_empty()};
  Conversion conversion{types.get()};
};

DwarfTypes::DwarfTypes() : state_(std::make_unique<State>()) {}
DwarfTypes::~DwarfTypes() = default;
const btf* DwarfTypes::types() const { return state_->types.get(); }
std::uint32_t DwarfTypes::add(Dwarf_Die* type) { return state_->conversion.add_type(type); }

Btf dwarf_types(const std::string& path) {
  elf_version(EV_CURRENT);
  Fd descriptor(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  // A private copy, which relocations may change.
  std::unique_ptr<Elf, End> file(elf_begin(descriptor.get(), ELF_C_READ_MMAP_PRIVATE, nullptr));
  if (!file) return nullptr;
  relocate(file.get());
  std::unique_ptr<Dwarf, End> debug(dwarf_begin_elf(file.get(), DWARF_C_READ, nullptr));
  if (!debug) return nullptr;
  Btf types = convert(debug.get());
  // Where they cannot be joined, each unit's stay.
  if (types && btf__dedup(types.get(), nullptr) != 0) types = convert(debug.get());
  return types;
}

}  // namespace kit
