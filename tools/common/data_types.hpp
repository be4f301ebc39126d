// SPDX-License-Identifier: BSD-2-Clause
// The types of data that probes hand over: members, elements, sizes and names, from the kernel's BTF or a module's.
#pragma once

#include <bpf/btf.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kit/probe.hpp"

namespace kit {

// The kernel's own; parsed at the first call. Throws Failure where there are none.
const btf* kernel_data_types();
// All that there are: the kernel's own and then each module's on top of it.
const std::vector<const btf*>& all_data_types();

// What a type is once its other names (typedefs, const...) are left out.
enum class DataKind { none, number, enumeration, pointer, structure, array };
std::uint32_t plain_type(const btf* types, std::uint32_t type);
DataKind data_kind(const btf* types, std::uint32_t type);
NumberType number_of_type(const btf* types, std::uint32_t type);
bool is_char(const btf* types, std::uint32_t type);
std::uint32_t data_size(const btf* types, std::uint32_t type);

struct DataMember {
  std::uint32_t type = 0;
  std::uint32_t bit_at = 0;    // from the beginning of the structure
  std::uint32_t bit_size = 0;  // of a bit-field, else 0
};
// Also one of a structure without a name within.
std::optional<DataMember> data_member(const btf* types, std::uint32_t structure, std::string_view name);
std::vector<std::string> member_names(const btf* types, std::uint32_t structure);

// "struct file *": the type's id and how many pointers lead to it; nothing where there is none of that name.
struct NamedType {
  std::uint32_t type = 0;
  int stars = 0;
};
std::optional<NamedType> named_type(const btf* types, std::string_view text);
// "struct file", for messages.
std::string type_name(const btf* types, std::uint32_t type);

// "1=A,2=B" of an enumeration.
std::string enum_names(const btf* types, std::uint32_t type);
// How the bytes of a structure or an array are shown: its numbers, texts and pointers, one after another.
std::string structure_layout(const btf* types, std::uint32_t type);

// A function of the kernel or of a module: its parameters and what it returns. The types live as long as the process.
struct DataFunction {
  const btf* types = nullptr;
  std::uint32_t id = 0;  // of the function itself
  struct Parameter {
    std::string name;
    std::uint32_t type = 0;
  };
  std::vector<Parameter> parameters;
  std::uint32_t returns = 0;  // 0: nothing
};
// Where a typed program finds a parameter, or behind the last the result: in words of 8 bytes, of which one that is
// handed over by value may take two.
std::uint32_t parameter_slot(const DataFunction& function, std::size_t number);
// Whether a parameter's register, or place on the stack, cannot be told by its number: one before it is larger than a
// register, or nothing at all.
bool is_moved(const DataFunction& function, std::size_t number);
std::optional<DataFunction> data_function(std::string_view name);
// The arguments of a tracepoint as its raw programs get them.
std::optional<DataFunction> data_tracepoint(std::string_view name);

}  // namespace kit
