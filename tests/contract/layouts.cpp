// SPDX-License-Identifier: BSD-2-Clause
// Records and map values lie in memory as both sides read them: the programs' BTF against C++'s own DWARF.
#include <bpf/btf.h>
#include <dwarf.h>
#include <elfutils/libdwfl.h>

#include <filesystem>
#include <map>
#include <memory>

#include "case.hpp"

namespace {

struct Member {
  std::string name;
  std::uint64_t offset, size;
  bool operator==(const Member&) const = default;
};
struct Layout {
  std::uint64_t size = 0;
  std::vector<Member> members;
  bool operator==(const Layout&) const = default;
};
using Layouts = std::map<std::string, Layout>;

std::string text(const Layout& layout) {
  std::string out = "size " + std::to_string(layout.size);
  for (const Member& member : layout.members)
    out += "\n  " + member.name + " at " + std::to_string(member.offset) + ", size " + std::to_string(member.size);
  return out;
}

// As the BPF side has them.
Layouts read_btf(const std::string& path) {
  std::unique_ptr<btf, void (*)(btf*)> types(btf__parse_elf(path.c_str(), nullptr), btf__free);
  if (!types) throw std::runtime_error("no BTF in " + path);
  Layouts all;
  for (__u32 id = 1; id < btf__type_cnt(types.get()); id++) {
    const btf_type* type = btf__type_by_id(types.get(), id);
    std::string name = btf__name_by_offset(types.get(), type->name_off);
    if (!btf_is_struct(type) || name.empty()) continue;
    Layout& layout = all[name];
    layout.size = type->size;
    for (__u16 i = 0; i < btf_vlen(type); i++) {
      const btf_member& member = btf_members(type)[i];
      layout.members.push_back({btf__name_by_offset(types.get(), member.name_off), btf_member_bit_offset(type, i) / 8,
                                static_cast<std::uint64_t>(btf__resolve_size(types.get(), member.type))});
    }
  }
  return all;
}

std::uint64_t size_of(Dwarf_Die* die) {
  Dwarf_Word size = 0;
  return dwarf_aggregate_size(die, &size) == 0 ? size : 0;
}

Member read_member(Dwarf_Die* die) {
  Dwarf_Attribute attribute;
  Dwarf_Word offset = 0;
  Dwarf_Die type{};
  if (dwarf_attr(die, DW_AT_data_member_location, &attribute)) dwarf_formudata(&attribute, &offset);
  if (dwarf_attr_integrate(die, DW_AT_type, &attribute)) dwarf_formref_die(&attribute, &type);
  const char* name = dwarf_diename(die);
  return {name ? name : "", offset, size_of(&type)};
}

void read_unit(Dwarf_Die* unit, Layouts& all) {
  Dwarf_Die die;
  if (dwarf_child(unit, &die) != 0) return;
  do {
    const char* name = dwarf_diename(&die);
    if (dwarf_tag(&die) != DW_TAG_structure_type || !name) continue;
    Layout& layout = all[name];
    layout = {size_of(&die), {}};
    Dwarf_Die member;
    if (dwarf_child(&die, &member) != 0) continue;
    do {
      if (dwarf_tag(&member) == DW_TAG_member) layout.members.push_back(read_member(&member));
    } while (dwarf_siblingof(&member, &member) == 0);
  } while (dwarf_siblingof(&die, &die) == 0);
}

// As C++ has them: an object that includes every bpf/NAME.h.
Layouts read_dwarf(const std::string& path) {
  static const Dwfl_Callbacks callbacks = {dwfl_build_id_find_elf, dwfl_standard_find_debuginfo,
                                           dwfl_offline_section_address, nullptr};
  std::unique_ptr<Dwfl, void (*)(Dwfl*)> session(dwfl_begin(&callbacks), dwfl_end);
  Dwfl_Module* module = dwfl_report_offline(session.get(), "layouts", path.c_str(), -1);
  dwfl_report_end(session.get(), nullptr, nullptr);
  if (!module) throw std::runtime_error("cannot read " + path);
  Layouts all;
  Dwarf_Addr bias = 0;
  for (Dwarf_Die* unit = nullptr; (unit = dwfl_module_nextcu(module, unit, &bias));) read_unit(unit, all);
  return all;
}

}  // namespace

TEST_CASE("every record has one layout on both sides") {
  Layouts ours = read_dwarf(test::build_dir() + "/tests/layouts.o");
  REQUIRE(ours.contains("kit_head"));
  int programs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(test::source_dir() + "/bpf")) {
    std::string file = entry.path().filename();
    if (!file.ends_with(".bpf.c")) continue;
    std::string tool = file.substr(0, file.size() - 6);
    INFO(tool);
    programs++;
    int compared = 0;
    for (const auto& [name, theirs] : read_btf(test::build_dir() + "/gen/" + tool + ".bpf.o")) {
      if (!name.starts_with(tool + "_") && name != "kit_head") continue;
      INFO(name << ": BTF says " << text(theirs));
      REQUIRE(ours.contains(name));
      INFO("C++ says " << text(ours[name]));
      CHECK(ours[name] == theirs);
      compared += name != "kit_head";
    }
    CHECK(compared > 0);
  }
  CHECK(programs > 0);
}

TEST_CASE("what C++ sees is read right") {
  Layouts ours = read_dwarf(test::build_dir() + "/tests/layouts.o");
  Layout head = {
      24,
      {{"time", 0, 8}, {"tail_at", 8, 4}, {"tail_size", 12, 4}, {"fixed", 16, 2}, {"kind", 18, 2}, {"zero", 20, 4}}};
  INFO(text(ours["kit_head"]));
  CHECK(ours["kit_head"] == head);
}
