// SPDX-License-Identifier: BSD-2-Clause
#include "dwarf_functions.hpp"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <fcntl.h>

#include <array>
#include <map>

#include "dwarf_types.hpp"
#include "elf_symbols.hpp"
#include "kit/text.hpp"
#include "places.hpp"

namespace kit {
namespace {

// Where pt_regs has the registers that DWARF numbers, in bytes.
#ifdef __aarch64__
// AADWARF64, 4.1: x0 to x30, sp.
constexpr unsigned integer_registers = 32, stack_register = 31;
constexpr std::int32_t place_of(unsigned number) { return static_cast<std::int32_t>(number) * 8; }
constexpr std::int32_t frame_to_stack = 0;  // from the canonical frame address to what sp says when a call begins
#else
// System V ABI for x86-64, figure 3.36: ax dx cx bx si di bp sp r8 to r15.
constexpr std::array<std::int32_t, 16> places = {80, 96, 88, 40, 104, 112, 32, 152, 72, 64, 56, 48, 24, 16, 8, 0};
constexpr unsigned integer_registers = places.size(), stack_register = 7;
constexpr std::int32_t place_of(unsigned number) { return places[number]; }
constexpr std::int32_t frame_to_stack = 8;  // the return address lies between
#endif

std::vector<fetch_step> at_register(unsigned number) {
  fetch_step step{};
  step.op = FETCH_REGISTER;
  step.offset = place_of(number);
  return {step};
}

// The 8 bytes `offset` behind the canonical frame address.
std::vector<fetch_step> on_stack(std::int64_t offset) {
  std::vector<fetch_step> steps = at_register(stack_register);
  fetch_step read{};
  read.op = FETCH_READ_USER;
  read.size = 8;
  read.offset = static_cast<std::int32_t>(offset) + frame_to_stack;
  steps.push_back(read);
  return steps;
}

std::uint64_t size_of(Dwarf_Die* type) {
  Dwarf_Word size = 0;
  return dwarf_aggregate_size(type, &size) == 0 ? size : 0;
}

enum class Class { integer, floating, other, nothing };

Class class_of(Dwarf_Die* of, Dwarf_Die* plain) {
  Dwarf_Die type;
  if (!dwarf_type_of(of, &type) || dwarf_peel_type(&type, plain) != 0) return Class::nothing;
  Dwarf_Attribute attribute;
  Dwarf_Word encoding = 0;
  switch (dwarf_tag(plain)) {
    case DW_TAG_base_type:
      if (dwarf_attr_integrate(plain, DW_AT_encoding, &attribute)) dwarf_formudata(&attribute, &encoding);
      if (encoding == DW_ATE_float) return size_of(plain) <= 8 ? Class::floating : Class::other;
      return size_of(plain) <= 8 && encoding != DW_ATE_complex_float ? Class::integer : Class::other;
    case DW_TAG_enumeration_type:
    case DW_TAG_pointer_type:
    case DW_TAG_reference_type:
    case DW_TAG_rvalue_reference_type: return Class::integer;
    default: return Class::other;
  }
}

constexpr const char* by_value = "it is handed over by value, which is not supported";
constexpr const char* in_float = "it is in a floating-point register, which the kernel does not hand over";
constexpr const char* not_kept = "the compiler says not where it is when a call begins";

// Which register or place on the stack is each parameter's by the calling convention (System V ABI for x86-64, 3.2.3;
// AAPCS64, 6.8.2): for code that is not optimized, whose debug information tells only where parameters are put later.
class Convention {
 public:
  explicit Convention(Dwarf_Die* function) {
    Dwarf_Die plain;
    if (class_of(function, &plain) != Class::other) return;
      // The caller's room for a large result is handed over like a first parameter, on x86_64; whether a small one of
      // C++ is, goes by how it is copied.
#ifndef __aarch64__
    if (size_of(&plain) > 16)
      integers_ = 1;
    else
      known_ = false;
#endif
  }

  void place(Class kind, DwarfValue& value) {
    if (kind == Class::floating) {
      if (++floats_ > 8) known_ = false;
      value.refused = in_float;
      return;
    }
    if (kind != Class::integer) {
      known_ = false;
      value.refused = by_value;
      return;
    }
    auto steps = argument_steps(integers_++, false);
    if (known_ && steps)
      value.steps = *steps;
    else
      value.refused = "it is behind a value that is no number; only optimized code says where";
  }

 private:
  unsigned integers_ = 0, floats_ = 0;
  bool known_ = true;
};

// Whether the function was written in a language that keeps to it, and has one result.
bool follows_convention(Dwarf_Die* function) {
  Dwarf_Die unit;
  if (!dwarf_diecu(function, &unit, nullptr, nullptr)) return false;
  switch (dwarf_srclang(&unit)) {
    case DW_LANG_C:
    case DW_LANG_C89:
    case DW_LANG_C99:
    case DW_LANG_C11:
    case DW_LANG_C_plus_plus:
    case DW_LANG_C_plus_plus_03:
    case DW_LANG_C_plus_plus_11:
    case DW_LANG_C_plus_plus_14: return true;
    default: return false;
  }
}

// What the debug information says of where a parameter is at the function's first instruction.
enum class Told { nothing, place, later };

Told told_place(Dwarf_Die* function, Dwarf_Die* parameter, std::uint64_t entry, bool usual, DwarfValue& value) {
  Dwarf_Attribute attribute;
  Dwarf_Op* operations = nullptr;
  std::size_t count = 0;
  if (!dwarf_attr_integrate(parameter, DW_AT_location, &attribute)) return Told::nothing;
  if (dwarf_getlocation_addr(&attribute, entry, &operations, &count, 1) != 1 || count == 0) return Told::nothing;
  unsigned atom = operations[0].atom;
  if (count == 1 && atom >= DW_OP_reg0 && atom <= DW_OP_reg31) {
    unsigned number = atom - DW_OP_reg0;
    if (number < integer_registers)
      value.steps = at_register(number);
    else
      value.refused = in_float;
    return Told::place;
  }
  if (count == 1 && atom == DW_OP_regx) {
    value.refused = in_float;
    return Told::place;
  }
  if (count != 1 || atom != DW_OP_fbreg)
    return atom >= DW_OP_breg0 && atom <= DW_OP_breg31 ? Told::later : Told::nothing;
  auto offset = static_cast<std::int64_t>(operations[0].number);
  Dwarf_Op* frame = nullptr;
  std::size_t parts = 0;
  bool canonical = dwarf_attr_integrate(function, DW_AT_frame_base, &attribute) &&
                   dwarf_getlocation_addr(&attribute, entry, &frame, &parts, 1) == 1 && parts == 1 &&
                   frame[0].atom == DW_OP_call_frame_cfa;
  // Below that address is the function's own frame, which is not there yet; Go has room above it, too.
  if (!canonical || offset < 0 || !usual) return Told::later;
  value.steps = on_stack(offset);
  return Told::place;
}

}  // namespace

struct DwarfFunctions::State {
  struct End {
    void operator()(Dwarf* debug) const { dwarf_end(debug); }
  };
  blazesym::ElfFile file;
  std::unique_ptr<Dwarf, End> debug;
  DwarfTypes types;
  std::map<std::uint64_t, Dwarf_Die> functions;  // by their first instruction, of the units that were read
  std::map<const void*, bool> units;
  bool all = false;

  explicit State(const std::string& path) : file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    if (file && !file.has_dwarf()) file = blazesym::find_debug_file(file, path, "", {"/usr/lib/debug"});
    if (file) debug.reset(dwarf_begin_elf(file.get(), DWARF_C_READ, nullptr));
  }

  void read(Dwarf_Die* unit) {
    if (!units.emplace(unit->addr, true).second) return;
    auto keep = [](Dwarf_Die* function, void* self) {
      Dwarf_Addr entry;
      if (dwarf_entrypc(function, &entry) == 0) static_cast<State*>(self)->functions.try_emplace(entry, *function);
      return static_cast<int>(DWARF_CB_OK);
    };
    dwarf_getfuncs(unit, keep, this, 0);
  }

  // Not every compiler tells which unit an address is of (.debug_aranges): then all are read, once.
  Dwarf_Die* find(std::uint64_t address) {
    Dwarf_Die unit, sub;
    if (dwarf_addrdie(debug.get(), address, &unit)) read(&unit);
    auto found = functions.find(address);
    Dwarf_CU* next = nullptr;
    std::uint8_t kind;
    if (found == functions.end() && !std::exchange(all, true))
      while (dwarf_get_units(debug.get(), next, &next, nullptr, &kind, &unit, &sub) == 0) read(&unit);
    found = functions.find(address);
    return found == functions.end() ? nullptr : &found->second;
  }

  void add_type(Dwarf_Die* of, DwarfValue& value) {
    Dwarf_Die type;
    if (dwarf_type_of(of, &type)) value.type = types.add(&type);
  }

  DwarfFunction describe(Dwarf_Die* function, std::uint64_t entry) {
    DwarfFunction described;
    // A copy that the compiler made of it, with other parameters, is its own function of the same origin.
    bool usual = follows_convention(function), changed = dwarf_hasattr(function, DW_AT_abstract_origin) != 0;
    // clang says so of what it has taken parameters from.
    Dwarf_Attribute how;
    Dwarf_Word convention_told = DW_CC_normal;
    if (dwarf_attr(function, DW_AT_calling_convention, &how)) dwarf_formudata(&how, &convention_told);
    changed = changed || convention_told == DW_CC_nocall;
    Convention convention(function);
    Dwarf_Die child, plain;
    bool more = dwarf_child(function, &child) == 0;
    for (; more; more = dwarf_siblingof(&child, &child) == 0) {
      if (dwarf_tag(&child) != DW_TAG_formal_parameter) continue;
      DwarfValue& value = described.parameters.emplace_back();
      const char* name = dwarf_diename(&child);
      value.name = name ? name : "";
      add_type(&child, value);
      DwarfValue agreed = value;
      Class kind = class_of(&child, &plain);
      convention.place(kind, agreed);
      Told told = told_place(function, &child, entry, usual, value);
      if (told == Told::later && usual && !changed)
        value = agreed;
      else if (told != Told::place)
        value.refused = kind == Class::other ? by_value : not_kept;
    }
    described.types = types.types();
    if (usual) describe_result(function, described.result);
    return described;
  }

  void describe_result(Dwarf_Die* function, DwarfValue& value) {
    Dwarf_Die plain;
    Class result = class_of(function, &plain);
    if (result == Class::nothing) value.refused = "the function returns nothing";
    if (result == Class::floating) value.refused = in_float;
    if (result == Class::other) value.refused = "the function returns what is no number and no address";
    add_type(function, value);
    value.steps = result_steps();
  }
};

DwarfFunctions::DwarfFunctions(std::string path) : path_(std::move(path)) {}
DwarfFunctions::~DwarfFunctions() = default;

std::optional<DwarfFunction> DwarfFunctions::at(std::uint64_t address) {
  if (!state_) state_ = std::make_unique<State>(path_);
  Dwarf_Die* function = state_->debug ? state_->find(address) : nullptr;
  return function ? std::optional(state_->describe(function, address)) : std::nullopt;
}

}  // namespace kit
