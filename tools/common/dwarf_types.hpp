// SPDX-License-Identifier: BSD-2-Clause
// The types that a program's debug information (DWARF 2 to 5) tells of, as BTF, so that both are read in one way.
#pragma once

#include <string>

#include "kit/handle.hpp"

namespace kit {

// Of a program, a library, an object file or a separate debug file; types that several units repeat are joined. What
// DWARF can say and BTF cannot (virtual bases, variant parts) is left out; names of C++ and Rust are whole
// ("ns::Type"). Empty where there is no debug information.
Btf dwarf_types(const std::string& path);

}  // namespace kit
