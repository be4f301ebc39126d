// SPDX-License-Identifier: BSD-2-Clause
// What writers of JSON share.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kit/text.hpp"

namespace kit {

inline std::string quoted(std::string_view text) {
  std::string out;
  append_json(out, text);
  return out;
}

// "[1,2,3]" of what each(item) gives.
template <typename Items, typename Each>
std::string list(const Items& items, Each each) {
  std::string out = "[";
  for (const auto& item : items) {
    if (out.size() > 1) out += ',';
    append(out, each(item));
  }
  return out + ']';
}

// Micro- or milliseconds with all digits of the ns.
inline std::string decimal(std::uint64_t ns, std::uint64_t unit, int digits) {
  std::string out = cat(ns / unit, '.');
  append_padded(out, ns % unit, digits);
  return out;
}

}  // namespace kit
