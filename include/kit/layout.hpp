// SPDX-License-Identifier: BSD-2-Clause
// How structures lie in memory: members, bit-fields, holes between them, as BTF or DWARF tells.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kit/handle.hpp"

namespace kit {

class Declarations;

// The structures of a kernel, a module or a file.
class TypeFile {
 public:
  // The running kernel's, or of the BTF file that says what it does not say itself (--btf). Throws Failure.
  static TypeFile of_kernel(const std::string& file);
  static TypeFile of_module(const std::string& name, const std::string& kernel);
  // BTF as it is, or an ELF file's, or what its DWARF says. Throws Failure (usage) where there is neither.
  static TypeFile of_file(const std::string& path);

  const btf* types() const { return types_.get(); }
  // Every structure and union of its own, not those that a module has from the kernel.
  void each_structure(const std::function<void(std::uint32_t)>& each) const;
  // All that bear a name: "file", "struct file", "union x", a typedef of one. Throws Failure (usage) with the nearest.
  std::vector<std::uint32_t> find(std::string_view name) const;
  // "struct file"; of one without a name the typedef that stands for it; empty: a part of others.
  std::string name(std::uint32_t structure) const;
  // "int (*)(char *)": a type as C declares it.
  std::string spell(std::uint32_t type) const;

 private:
  TypeFile(Btf base, Btf types);
  Btf base_, types_;
  mutable std::shared_ptr<Declarations> declarations_;  // made when first asked for: that looks at all types
  std::uint32_t first_ = 1;                             // of its own types
  std::vector<std::pair<std::uint32_t, std::uint32_t>> names_of_unnamed_;  // a structure, and its typedef; sorted
};

// A member, or what lies between two or behind the last.
struct LayoutPart {
  enum class Kind { member, hole, padding };
  Kind kind = Kind::member;
  std::string name;                   // whole: "f_path.dentry"; of a structure within that has none, empty
  std::string type;                   // as C declares it
  std::uint64_t offset = 0;           // bytes, from the beginning of the outermost
  std::optional<std::uint64_t> size;  // bytes; of a bit-field those of its type; nothing: not known here
  std::uint32_t bit = 0, bits = 0;    // of a bit-field or less than a byte: the first behind `offset`, and how many
  std::uint32_t structure = 0;        // that it is, or is an array of; 0: none
};

struct Layout {
  std::uint64_t size = 0;  // bytes
  std::uint32_t members = 0;
  std::uint64_t holes = 0, padding = 0;  // whole bytes in them
  std::vector<LayoutPart> parts;
};

enum class Within { unnamed, all };
// With the parts of structures within, after those, where they have no name; or of all.
Layout layout_of(const TypeFile& file, std::uint32_t structure, Within within = Within::unnamed);

// One line about a structure or a part of one.
struct LayoutRow {
  std::string kind;                                   // type, member, hole, padding
  std::string in;                                     // the structure
  LayoutPart part;                                    // of a type, all of it
  std::uint64_t members = 0, holes = 0, padding = 0;  // of a type
  std::string change;                                 // added, removed, moved, resized, retyped
  std::string was;                                    // "offset 8, size 4, int"
};
using LayoutRows = std::vector<LayoutRow>;

// A structure with all its parts, or with those members alone whose name, or the last word of it, matches the glob.
LayoutRows show_layouts(const TypeFile& file, const std::string& name, Within within, const std::string& members);
// The members of all structures that match a glob; that are a structure, or an array of it.
LayoutRows find_members(const TypeFile& file, const std::string& glob);
LayoutRows find_containers(const TypeFile& file, const std::string& name);
// All structures, the largest first.
LayoutRows list_structures(const TypeFile& file);
// What became different in one structure, or in all that have a name.
LayoutRows compare_layouts(const TypeFile& before, const TypeFile& now, const std::string& name);

}  // namespace kit
