// SPDX-License-Identifier: BSD-2-Clause
// Names as their language writes them: C++ (Itanium ABI) and Rust, both of its manglings.
#pragma once

#include <string>
#include <string_view>

namespace blazesym {

// The name itself where it is not mangled, or not well.
std::string demangle(std::string_view name);

}  // namespace blazesym
