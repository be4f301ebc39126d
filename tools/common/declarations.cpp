// SPDX-License-Identifier: BSD-2-Clause
#include "declarations.hpp"

#include <algorithm>
#include <cstdio>

#include "kit/text.hpp"

namespace kit {

Declarations::Declarations(const btf* types) : types_(types), dump_(btf_dump__new(types, take, this, nullptr)) {}

Declarations::~Declarations() { btf_dump__free(dump_); }

std::string Declarations::of(std::uint32_t type, const char* name) {
  if (type == 0) return cat("void", *name ? " " : "", name);
  text_.clear();
  LIBBPF_OPTS(btf_dump_emit_type_decl_opts, options);
  options.field_name = name;
  if (btf_dump__emit_type_decl(dump_, type, &options) != 0) return cat("? ", name);
  return text_;
}

std::string Declarations::parameters(const btf_type* prototype, int first) {
  std::string all;
  for (int i = first; i < btf_vlen(prototype); i++) {
    const btf_param& one = btf_params(prototype)[i];
    bool rest = one.type == 0 && one.name_off == 0;
    all += cat(rest ? "..." : of(one.type, btf__name_by_offset(types_, one.name_off)), '\0');
  }
  return all;
}

void Declarations::take(void* self, const char* format, va_list arguments) {
  char piece[512];
  int size = std::vsnprintf(piece, sizeof piece, format, arguments);
  static_cast<Declarations*>(self)->text_.append(piece, std::clamp<std::size_t>(size, 0, sizeof piece - 1));
}

}  // namespace kit
