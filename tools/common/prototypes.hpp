// SPDX-License-Identifier: BSD-2-Clause
// What the C library's well-known functions take and return, for where no debug information tells. Inside the library
// alone.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kit/probe.hpp"

namespace kit {

struct PrototypeValue {
  std::string name;
  NumberType number;   // 0 bits: it is an address
  bool text = false;   // of a string
  bool flags = false;  // those of open(2)
};

struct Prototype {
  std::vector<PrototypeValue> parameters;
  std::optional<PrototypeValue> result;
};

// Of a function of the C library; nothing where it is not among them.
std::optional<Prototype> libc_prototype(std::string_view function);

}  // namespace kit
