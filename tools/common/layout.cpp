// SPDX-License-Identifier: BSD-2-Clause
#include "kit/layout.hpp"

#include <bpf/btf.h>

#include <unistd.h>

#include <algorithm>
#include <map>

#include "declarations.hpp"
#include "dwarf_types.hpp"
#include "kit/failure.hpp"
#include "kit/text.hpp"

namespace kit {
namespace {

constexpr const char* folder = "/sys/kernel/btf/";

// Without its other names (typedef, const...).
std::uint32_t plain(const btf* types, std::uint32_t id) {
  for (int step = 0; step < 64; step++) {
    const btf_type* type = btf__type_by_id(types, id);
    if (!type || !(btf_is_mod(type) || btf_is_typedef(type))) break;
    id = type->type;
  }
  return id;
}

bool is_structure(const btf* types, std::uint32_t id) {
  const btf_type* type = id ? btf__type_by_id(types, id) : nullptr;
  return type && btf_is_composite(type);
}

// What a member is, or is an array of, if that is a structure; else 0.
std::uint32_t structure_in(const btf* types, std::uint32_t id) {
  id = plain(types, id);
  for (const btf_type* type; (type = btf__type_by_id(types, id)) && btf_is_array(type);)
    id = plain(types, btf_array(type)->type);
  return is_structure(types, id) ? id : 0;
}

std::string_view name_in(const btf* types, std::uint32_t place) {
  const char* name = btf__name_by_offset(types, place);
  return name ? name : "";
}

// A structure that is written where it is used has its whole text there; what it is called will do.
std::string shorten(std::string text) {
  std::size_t open = text.find('{'), close = text.rfind('}');
  if (open != text.npos && close != text.npos) text.replace(open, close - open + 1, "{...}");
  return text;
}

// Where a bit-field lies: in which unit of its type, and at which of its bits (the x86-64 and arm64 ABIs).
void place_bits(LayoutPart& part, std::uint64_t bit_offset) {
  std::uint64_t unit = part.size.value_or(1) * 8;
  if (unit == 0) unit = 8;
  part.offset = bit_offset / unit * part.size.value_or(1);
  part.bit = static_cast<std::uint32_t>(bit_offset % unit);
}

// Collects the parts of a structure and of those within.
class Layouting {
 public:
  Layouting(const TypeFile& file, Within within) : file_(file), types_(file.types()), within_(within) {}

  Layout of(std::uint32_t id) {
    layout_.size = btf__type_by_id(types_, id)->size;
    walk(id, 0, "", true);
    return std::move(layout_);
  }

 private:
  struct Member {
    std::string_view name;
    std::uint32_t type;
    std::uint64_t at;  // in bits
    std::uint32_t bits;
  };

  std::vector<Member> members_of(const btf_type* type) const {
    std::vector<Member> all;
    for (int i = 0; i < btf_vlen(type); i++) {
      const btf_member& one = btf_members(type)[i];
      all.push_back(
          {name_in(types_, one.name_off), one.type, btf_member_bit_offset(type, i), btf_member_bitfield_size(type, i)});
    }
    std::stable_sort(all.begin(), all.end(), [](const Member& a, const Member& b) { return a.at < b.at; });
    return all;
  }

  void walk(std::uint32_t id, std::uint64_t base, const std::string& prefix, bool outermost) {
    const btf_type* type = btf__type_by_id(types_, id);
    bool is_union = btf_is_union(type);
    std::uint64_t end = 0;
    for (const Member& member : members_of(type)) {
      if (!is_union && member.at > end) gap(LayoutPart::Kind::hole, base + end, base + member.at, outermost);
      std::uint64_t bits = add(member, base, prefix);
      layout_.members += outermost;
      end = std::max(end, member.at + bits);
    }
    std::uint64_t whole = std::uint64_t{type->size} * 8;
    if (!is_union && whole > end) gap(LayoutPart::Kind::padding, base + end, base + whole, outermost);
  }

  // Returns how many bits it takes.
  std::uint64_t add(const Member& member, std::uint64_t base, const std::string& prefix) {
    LayoutPart part;
    part.name = member.name.empty() ? "" : cat(prefix, member.name);
    std::int64_t size = member.type ? btf__resolve_size(types_, member.type) : -1;
    if (size >= 0) part.size = static_cast<std::uint64_t>(size);
    part.bits = member.bits;
    part.offset = (base + member.at) / 8;
    if (member.bits) place_bits(part, base + member.at);
    part.structure = structure_in(types_, member.type);
    std::uint32_t written = written_here(member.type);
    part.type = written && member.name.empty() ? keyword(written) : shorten(file_.spell(member.type));
    std::uint64_t bits = member.bits ? member.bits : part.size.value_or(0) * 8;
    bool array = btf_is_array(btf__type_by_id(types_, plain(types_, member.type)));
    std::uint32_t inner = written ? written : within_ == Within::all && !array ? part.structure : 0;
    layout_.parts.push_back(std::move(part));
    if (inner)
      walk(inner, base + member.at, member.name.empty() ? prefix : cat(prefix, member.name, array ? "[]." : "."),
           false);
    return bits;
  }

  // The structure without a name that a member is, or is an array of: nothing else tells what is in it.
  std::uint32_t written_here(std::uint32_t id) const {
    for (const btf_type* type; (type = btf__type_by_id(types_, id));) {
      if (btf_is_mod(type))
        id = type->type;
      else if (btf_is_array(type))
        id = btf_array(type)->type;
      else
        return btf_is_composite(type) && !type->name_off ? id : 0;
    }
    return 0;
  }

  std::string keyword(std::uint32_t id) const {
    const btf_type* type = btf__type_by_id(types_, id);
    std::string word = btf_is_union(type) ? "union" : "struct";
    return type->name_off ? cat(word, " ", name_in(types_, type->name_off)) : word;
  }

  // What is less than a byte first, and then the whole bytes.
  void gap(LayoutPart::Kind kind, std::uint64_t from, std::uint64_t to, bool outermost) {
    std::uint64_t byte = std::min((from + 7) / 8 * 8, to);
    if (byte > from) {
      LayoutPart part{.kind = kind, .offset = from / 8, .size = {}};
      part.bit = static_cast<std::uint32_t>(from % 8);
      part.bits = static_cast<std::uint32_t>(byte - from);
      layout_.parts.push_back(part);
    }
    std::uint64_t bytes = (to - byte) / 8, rest = (to - byte) % 8;
    if (bytes) layout_.parts.push_back({.kind = kind, .offset = byte / 8, .size = bytes});
    if (rest) {
      LayoutPart part{.kind = kind, .offset = byte / 8 + bytes, .size = {}};
      part.bits = static_cast<std::uint32_t>(rest);
      layout_.parts.push_back(part);
    }
    if (outermost) (kind == LayoutPart::Kind::hole ? layout_.holes : layout_.padding) += bytes;
  }

  const TypeFile& file_;
  const btf* types_;
  Within within_;
  Layout layout_;
};

std::string why(int error) { return error == ENOENT ? "there is none" : error_text(error); }

}  // namespace

TypeFile::TypeFile(Btf base, Btf types) : base_(std::move(base)), types_(std::move(types)) {
  if (base_) first_ = btf__type_cnt(base_.get());
  for (std::uint32_t id = first_; id < btf__type_cnt(types_.get()); id++) {
    const btf_type* type = btf__type_by_id(types_.get(), id);
    if (!btf_is_typedef(type) || !is_structure(types_.get(), type->type)) continue;
    if (!btf__type_by_id(types_.get(), type->type)->name_off) names_of_unnamed_.emplace_back(type->type, id);
  }
  std::sort(names_of_unnamed_.begin(), names_of_unnamed_.end());
}

TypeFile TypeFile::of_kernel(const std::string& file) {
  std::string path = file.empty() ? cat(folder, "vmlinux") : file;
  Btf types(btf__parse(path.c_str(), nullptr));
  if (!types)
    throw Failure(Exit::unsupported, cat("the kernel's types (CONFIG_DEBUG_INFO_BTF) cannot be read from ", path, ": ",
                                         why(errno), "; --file or --btf takes them from elsewhere"));
  return TypeFile({}, std::move(types));
}

TypeFile TypeFile::of_module(const std::string& name, const std::string& kernel) {
  TypeFile base = of_kernel(kernel);
  std::string path = cat(folder, name);
  std::replace(path.begin(), path.end(), '-', '_');
  Btf types(name.find('/') == name.npos ? btf__parse_split(path.c_str(), base.types_.get()) : nullptr);
  if (!types)
    throw Failure(Exit::usage,
                  cat("no types of a module ", name, " in ", folder, ": load it, or give its file to --file"));
  return TypeFile(std::move(base.types_), std::move(types));
}

TypeFile TypeFile::of_file(const std::string& path) {
  Btf types(btf__parse(path.c_str(), nullptr));
  if (!types && errno == ENOENT && access(path.c_str(), F_OK) != 0)
    throw Failure(Exit::usage, cat("cannot read ", path, ": ", error_text(ENOENT)));
  if (!types) types = dwarf_types(path);
  if (!types)
    throw Failure(Exit::usage, cat(path,
                                   " tells of no types: neither BTF nor DWARF; compile with -g, or name the "
                                   "separate debug file"));
  return TypeFile({}, std::move(types));
}

void TypeFile::each_structure(const std::function<void(std::uint32_t)>& each) const {
  for (std::uint32_t id = first_; id < btf__type_cnt(types()); id++)
    if (is_structure(types(), id)) each(id);
}

std::string TypeFile::name(std::uint32_t structure) const {
  const btf_type* type = btf__type_by_id(types(), structure);
  if (type->name_off) return cat(btf_is_union(type) ? "union " : "struct ", name_in(types(), type->name_off));
  auto found = std::lower_bound(names_of_unnamed_.begin(), names_of_unnamed_.end(), std::pair(structure, 0u));
  if (found == names_of_unnamed_.end() || found->first != structure) return "";
  return std::string(name_in(types(), btf__type_by_id(types(), found->second)->name_off));
}

std::vector<std::uint32_t> TypeFile::find(std::string_view name) const {
  std::vector<std::uint32_t> all;
  std::vector<std::string> others;
  for (std::uint32_t id = 1; id < btf__type_cnt(types()); id++) {
    const btf_type* type = btf__type_by_id(types(), id);
    std::uint32_t structure = btf_is_typedef(type) ? plain(types(), id) : id;
    if (!type->name_off || !is_structure(types(), structure)) continue;
    std::string bare(name_in(types(), type->name_off));
    bool same = bare == name || (!btf_is_typedef(type) && this->name(id) == name);
    if (same && std::find(all.begin(), all.end(), structure) == all.end()) all.push_back(structure);
    if (!same) others.push_back(std::move(bare));
  }
  if (!all.empty()) return all;
  std::string_view bare = name.substr(name.find(' ') == name.npos ? 0 : name.find(' ') + 1);
  throw Failure(Exit::usage, cat("there is no structure ", name, suggestion(bare, others)));
}

std::string TypeFile::spell(std::uint32_t type) const {
  if (!declarations_) declarations_ = std::make_shared<Declarations>(types());
  return declarations_->of(type, "");
}

Layout layout_of(const TypeFile& file, std::uint32_t structure, Within within) {
  return Layouting(file, within).of(structure);
}

}  // namespace kit
