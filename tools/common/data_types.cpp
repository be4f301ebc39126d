// SPDX-License-Identifier: BSD-2-Clause
#include "data_types.hpp"

#include <algorithm>
#include <filesystem>
#include <map>

#include "kit/handle.hpp"
#include "kit/text.hpp"
#include "loader.hpp"

namespace kit {
namespace {

constexpr int deepest_layout = 4;
constexpr std::size_t most_fields = 64;

const btf_type* plain(const btf* types, std::uint32_t id) { return btf__type_by_id(types, plain_type(types, id)); }

std::vector<Btf>& module_types() {
  static std::vector<Btf> all;
  return all;
}

// A text for a layout: ' ' and ';' part its words.
std::string layout_word(char how, std::uint32_t bit_at, std::uint32_t bits, const std::string& name) {
  return cat(how, ' ', bit_at, ' ', bits, ' ', name, ';');
}

class Layout {
 public:
  explicit Layout(const btf* types) : types_(types) {}

  void add(std::uint32_t type, const std::string& name, std::uint32_t bit_at, std::uint32_t bit_size, int depth) {
    if (fields_ >= most_fields || depth > deepest_layout) return;
    std::uint32_t bits = bit_size ? bit_size : data_size(types_, type) * 8;
    switch (data_kind(types_, type)) {
      case DataKind::number:
      case DataKind::enumeration: {
        NumberType number = number_of_type(types_, type);
        return put(number.is_signed ? 'd' : 'u', bit_at, bits, name);
      }
      case DataKind::pointer: return put('x', bit_at, bits, name);
      case DataKind::structure: return members(type, name, bit_at, depth);
      case DataKind::array: return elements(type, name, bit_at, depth);
      case DataKind::none: return;
    }
  }
  std::string text;

 private:
  void put(char how, std::uint32_t bit_at, std::uint32_t bits, const std::string& name) {
    if (bits == 0 || (how != 's' && bits > 64)) return;
    text += layout_word(how, bit_at, bits, name);
    fields_++;
  }

  void members(std::uint32_t type, const std::string& name, std::uint32_t bit_at, int depth) {
    const btf_type* structure = plain(types_, type);
    for (std::uint32_t i = 0; i < btf_vlen(structure); i++) {
      const btf_member& one = btf_members(structure)[i];
      std::string part = btf__name_by_offset(types_, one.name_off);
      std::string whole = part.empty() ? name : name.empty() ? part : cat(name, '.', part);
      add(one.type, whole, bit_at + btf_member_bit_offset(structure, i), btf_member_bitfield_size(structure, i),
          depth + 1);
    }
  }

  void elements(std::uint32_t type, const std::string& name, std::uint32_t bit_at, int depth) {
    const struct btf_array* array = btf_array(plain(types_, type));
    std::uint32_t step = data_size(types_, array->type) * 8;
    if (is_char(types_, array->type)) return put('s', bit_at, array->nelems * 8, name);
    for (std::uint32_t i = 0; i < array->nelems && fields_ < most_fields; i++)
      add(array->type, cat(name, '[', i, ']'), bit_at + i * step, 0, depth + 1);
  }

  const btf* types_;
  std::size_t fields_ = 0;
};

DataFunction function_of(const btf* types, std::uint32_t id, const btf_type* prototype, std::uint32_t skip) {
  DataFunction function{.types = types, .id = id, .parameters = {}, .returns = prototype->type};
  for (std::uint32_t i = skip; i < btf_vlen(prototype); i++) {
    const btf_param& one = btf_params(prototype)[i];
    function.parameters.push_back({btf__name_by_offset(types, one.name_off), one.type});
  }
  return function;
}

}  // namespace

const btf* kernel_data_types() {
  static const Btf types(btf__parse(kernel_types_file().c_str(), nullptr));
  if (!types)
    throw Failure(Exit::unsupported, cat("the kernel offers no types: ", kernel_types_file(), ": ", error_text(errno),
                                         " (CONFIG_DEBUG_INFO_BTF)"));
  return types.get();
}

const std::vector<const btf*>& all_data_types() {
  static const std::vector<const btf*> all = [] {
    std::vector<const btf*> found = {kernel_data_types()};
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator("/sys/kernel/btf", none)) {
      if (entry.path().filename() == "vmlinux") continue;
      Btf split(btf__parse_split(entry.path().c_str(), const_cast<btf*>(found[0])));
      if (!split) continue;  // a module that has gone meanwhile
      found.push_back(split.get());
      module_types().push_back(std::move(split));
    }
    return found;
  }();
  return all;
}

std::uint32_t plain_type(const btf* types, std::uint32_t id) {
  for (const btf_type* type; (type = btf__type_by_id(types, id));) {
    switch (btf_kind(type)) {
      case BTF_KIND_TYPEDEF:
      case BTF_KIND_VOLATILE:
      case BTF_KIND_CONST:
      case BTF_KIND_RESTRICT:
      case BTF_KIND_TYPE_TAG: id = type->type; break;
      default: return id;
    }
  }
  return 0;
}

DataKind data_kind(const btf* types, std::uint32_t id) {
  const btf_type* type = plain(types, id);
  switch (type ? btf_kind(type) : __u16{BTF_KIND_UNKN}) {
    case BTF_KIND_INT: return DataKind::number;
    case BTF_KIND_ENUM:
    case BTF_KIND_ENUM64: return DataKind::enumeration;
    case BTF_KIND_PTR: return DataKind::pointer;
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION: return DataKind::structure;
    case BTF_KIND_ARRAY: return DataKind::array;
    default: return DataKind::none;
  }
}

NumberType number_of_type(const btf* types, std::uint32_t id) {
  const btf_type* type = plain(types, id);
  if (!type) return {64, false};
  if (btf_is_int(type))
    return {static_cast<int>(std::min<std::uint32_t>(type->size, 8) * 8),
            (btf_int_encoding(type) & BTF_INT_SIGNED) != 0};
  // An enumeration's own sign is told since 6.1 only; small ones with negative values are read as C does.
  if (btf_is_any_enum(type)) return {static_cast<int>(std::min<std::uint32_t>(type->size, 8) * 8), true};
  return {64, false};
}

bool is_char(const btf* types, std::uint32_t id) {
  const btf_type* type = plain(types, id);
  return type && btf_is_int(type) && type->size == 1 && !(btf_int_encoding(type) & BTF_INT_BOOL);
}

std::uint32_t data_size(const btf* types, std::uint32_t id) {
  __s64 size = btf__resolve_size(types, id);
  return size > 0 ? static_cast<std::uint32_t>(size) : 0;
}

std::optional<DataMember> data_member(const btf* types, std::uint32_t id, std::string_view name) {
  const btf_type* structure = plain(types, id);
  if (!structure || !btf_is_composite(structure)) return {};
  for (std::uint32_t i = 0; i < btf_vlen(structure); i++) {
    const btf_member& one = btf_members(structure)[i];
    std::string_view called = btf__name_by_offset(types, one.name_off);
    std::uint32_t at = btf_member_bit_offset(structure, i);
    if (called == name) return DataMember{one.type, at, btf_member_bitfield_size(structure, i)};
    if (!called.empty()) continue;
    if (auto inner = data_member(types, one.type, name)) {
      inner->bit_at += at;
      return inner;
    }
  }
  return {};
}

std::vector<std::string> member_names(const btf* types, std::uint32_t id) {
  std::vector<std::string> names;
  const btf_type* structure = plain(types, id);
  for (std::uint32_t i = 0; structure && btf_is_composite(structure) && i < btf_vlen(structure); i++) {
    const btf_member& one = btf_members(structure)[i];
    std::string name = btf__name_by_offset(types, one.name_off);
    if (!name.empty())
      names.push_back(std::move(name));
    else
      for (std::string& inner : member_names(types, one.type)) names.push_back(std::move(inner));
  }
  return names;
}

std::optional<NamedType> named_type(const btf* types, std::string_view text) {
  NamedType found;
  std::string words;
  for (std::string_view word : split(text, ' ')) {
    for (; word.ends_with('*'); word.remove_suffix(1)) found.stars++;
    if (!word.empty() && word != "const" && word != "volatile") words += cat(words.empty() ? "" : " ", word);
  }
  auto find = [&](std::string_view name, std::uint32_t kind) {
    int id = btf__find_by_name_kind(types, std::string(name).c_str(), kind);
    return id > 0 ? static_cast<std::uint32_t>(id) : 0;
  };
  std::string_view name = words;
  for (auto [prefix, kind] :
       {std::pair{"struct ", BTF_KIND_STRUCT}, {"union ", BTF_KIND_UNION}, {"enum ", BTF_KIND_ENUM}})
    if (name.starts_with(prefix)) found.type = find(name.substr(std::string_view(prefix).size()), kind);
  if (!found.type) found.type = find(name, BTF_KIND_TYPEDEF);
  if (!found.type) found.type = find(name, BTF_KIND_INT);
  if (!found.type && name == "unsigned") found.type = find("unsigned int", BTF_KIND_INT);
  // As compilers name them.
  if (!found.type && name == "unsigned long") found.type = find("long unsigned int", BTF_KIND_INT);
  if (!found.type && name == "long") found.type = find("long int", BTF_KIND_INT);
  return found.type ? std::optional(found) : std::nullopt;
}

std::string type_name(const btf* types, std::uint32_t id) {
  const btf_type* type = plain(types, id);
  if (!type) return "void";
  std::string name = btf__name_by_offset(types, type->name_off);
  switch (btf_kind(type)) {
    case BTF_KIND_STRUCT: return cat("struct ", name);
    case BTF_KIND_UNION: return cat("union ", name);
    case BTF_KIND_ENUM:
    case BTF_KIND_ENUM64: return cat("enum ", name);
    case BTF_KIND_PTR: return cat(type_name(types, type->type), " *");
    case BTF_KIND_ARRAY: return cat(type_name(types, btf_array(type)->type), "[]");
    default: return name.empty() ? "?" : name;
  }
}

std::string enum_names(const btf* types, std::uint32_t id) {
  const btf_type* type = plain(types, id);
  std::string all;
  for (std::uint32_t i = 0; type && btf_is_enum(type) && i < btf_vlen(type); i++)
    all +=
        cat(all.empty() ? "" : ",", btf_enum(type)[i].val, '=', btf__name_by_offset(types, btf_enum(type)[i].name_off));
  return all;
}

std::string structure_layout(const btf* types, std::uint32_t type) {
  Layout layout(types);
  layout.add(type, "", 0, 0, 0);
  return layout.text;
}

std::uint32_t parameter_slot(const DataFunction& function, std::size_t number) {
  std::uint32_t slot = 0;
  for (std::size_t i = 0; i < std::min(number, function.parameters.size()); i++)
    slot += std::max(1u, (data_size(function.types, function.parameters[i].type) + 7) / 8);
  return slot;
}

bool is_moved(const DataFunction& function, std::size_t number) {
  return std::any_of(function.parameters.begin(), function.parameters.begin() + static_cast<std::ptrdiff_t>(number),
                     [&](const DataFunction::Parameter& one) {
                       std::uint32_t size = data_size(function.types, one.type);
                       return size > 8 || size == 0;
                     });
}

std::optional<DataFunction> data_function(std::string_view name) {
  for (const btf* types : all_data_types()) {
    int id = btf__find_by_name_kind(types, std::string(name).c_str(), BTF_KIND_FUNC);
    if (id <= 0) continue;
    const btf_type* prototype = btf__type_by_id(types, btf__type_by_id(types, static_cast<__u32>(id))->type);
    return function_of(types, static_cast<std::uint32_t>(id), prototype, 0);
  }
  return {};
}

std::optional<DataFunction> data_tracepoint(std::string_view name) {
  for (const btf* types : all_data_types()) {
    int id = btf__find_by_name_kind(types, cat("btf_trace_", name).c_str(), BTF_KIND_TYPEDEF);
    const btf_type* type = id > 0 ? btf__type_by_id(types, static_cast<__u32>(id)) : nullptr;
    type = type ? btf__type_by_id(types, type->type) : nullptr;
    type = type && btf_is_ptr(type) ? btf__type_by_id(types, type->type) : nullptr;
    if (!type || !btf_is_func_proto(type)) continue;
    DataFunction found = function_of(types, static_cast<std::uint32_t>(id), type, 1);
    // That type leaves the names out; the function that calls the tracepoint's programs has them.
    for (const char* prefix : {"__probestub_", "__traceiter_", "__bpf_trace_"}) {
      auto named = data_function(cat(prefix, name));
      if (!named || named->parameters.size() != found.parameters.size() + 1) continue;
      for (std::size_t i = 0; i < found.parameters.size(); i++)
        found.parameters[i].name = named->parameters[i + 1].name;
      break;
    }
    return found;
  }
  return {};
}

}  // namespace kit
