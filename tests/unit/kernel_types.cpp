// SPDX-License-Identifier: BSD-2-Clause
// The kernel's types: looking names up in BTF data, and cutting it to what is asked for.
#include "kernel_types.hpp"

#include <bpf/btf.h>

#include "case.hpp"
#include "kit/handle.hpp"

namespace {

// struct inner { int deep; }; struct outer { struct inner whole; struct inner *behind; number list[4]; };
struct Sample {
  kit::Btf types{btf__new_empty()};
  std::uint32_t integer, inner, outer;

  Sample() {
    btf* b = types.get();
    integer = static_cast<std::uint32_t>(btf__add_int(b, "int", 4, BTF_INT_SIGNED));
    inner = static_cast<std::uint32_t>(btf__add_struct(b, "inner", 4));
    btf__add_field(b, "deep", static_cast<int>(integer), 0, 0);
    int pointer = btf__add_ptr(b, static_cast<int>(inner));
    int number = btf__add_typedef(b, "number", static_cast<int>(integer));
    int list = btf__add_array(b, static_cast<int>(integer), number, 4);
    outer = static_cast<std::uint32_t>(btf__add_struct(b, "outer", 32));
    btf__add_field(b, "whole", static_cast<int>(inner), 0, 0);
    btf__add_field(b, "behind", pointer, 64, 0);
    btf__add_field(b, "list", list, 128, 0);
    btf__add_struct(b, "stranger", 8);
    btf__add_enum(b, "kinds", 4);
    btf__add_enum_value(b, "KIND_ONE", 1);
  }

  std::string_view raw() const {
    __u32 size = 0;
    auto* data = static_cast<const char*>(btf__raw_data(types.get(), &size));
    return {data, size};
  }
};

}  // namespace

TEST_CASE("A type is found by its name and kind", "[kernel_types]") {
  Sample sample;
  kit::Types types(sample.raw());
  REQUIRE_FALSE(types.empty());
  CHECK(types.find("outer", BTF_KIND_STRUCT) == sample.outer);
  CHECK(types.find("inner", BTF_KIND_STRUCT) == sample.inner);
  CHECK(types.find("outer", BTF_KIND_TYPEDEF) == 0);
  CHECK(types.find("oute", BTF_KIND_STRUCT) == 0);
  CHECK(types.find("deep", BTF_KIND_STRUCT) == 0);
  CHECK(types.name(sample.integer) == "int");
  CHECK(types.name(9999).empty());
}

TEST_CASE("What is cut out holds what the wanted types contain, and no more", "[kernel_types]") {
  Sample sample;
  std::string cut = kit::Types(sample.raw()).cut({"outer", "kinds", "nothing"});
  kit::Btf read(btf__new(cut.data(), static_cast<__u32>(cut.size())));
  REQUIRE(read);
  auto id = [&](const char* name, __u32 kind) { return btf__find_by_name_kind(read.get(), name, kind); };
  REQUIRE(id("outer", BTF_KIND_STRUCT) > 0);
  CHECK(id("inner", BTF_KIND_STRUCT) > 0);
  CHECK(id("number", BTF_KIND_TYPEDEF) > 0);
  CHECK(id("kinds", BTF_KIND_ENUM) > 0);
  CHECK(id("stranger", BTF_KIND_STRUCT) < 0);
  const btf_type* outer = btf__type_by_id(read.get(), static_cast<__u32>(id("outer", BTF_KIND_STRUCT)));
  REQUIRE(btf_vlen(outer) == 3);
  const btf_member* members = btf_members(outer);
  CHECK(std::string(btf__name_by_offset(read.get(), members[2].name_off)) == "list");
  CHECK(btf__resolve_size(read.get(), members[2].type) == 16);
  CHECK(btf__type_by_id(read.get(), members[1].type)->type == 0);
}

TEST_CASE("What is behind a pointer is left out", "[kernel_types]") {
  Sample sample;
  btf* b = sample.types.get();
  int pointer = btf__add_ptr(b, static_cast<int>(sample.outer));
  btf__add_struct(b, "holder", 8);
  btf__add_field(b, "far", pointer, 0, 0);
  std::string cut = kit::Types(sample.raw()).cut({"holder"});
  kit::Btf read(btf__new(cut.data(), static_cast<__u32>(cut.size())));
  REQUIRE(read);
  CHECK(btf__find_by_name_kind(read.get(), "holder", BTF_KIND_STRUCT) > 0);
  CHECK(btf__find_by_name_kind(read.get(), "outer", BTF_KIND_STRUCT) < 0);
}

TEST_CASE("Damaged data has no types, wherever it is cut off", "[kernel_types]") {
  Sample sample;
  std::string raw(sample.raw());
  for (std::size_t size = 0; size < raw.size(); size++) {
    std::string part = raw.substr(0, size);
    kit::Types types(part);
    CHECK(types.empty());
    CHECK(types.find("outer", BTF_KIND_STRUCT) == 0);
  }
  // Counts that reach beyond the end, and references to nowhere.
  for (std::size_t at = 0; at < raw.size(); at++) {
    std::string broken = raw;
    broken[at] = '\xff';
    kit::Types types(broken);
    types.find("outer", BTF_KIND_STRUCT);
    types.cut({"outer", "kinds"});
  }
}

TEST_CASE("What is no object asks for no types", "[kernel_types]") {
  CHECK(kit::core_types("").empty());
  CHECK(kit::core_types("not an ELF file").empty());
}
