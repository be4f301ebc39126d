// SPDX-License-Identifier: BSD-2-Clause
// The types that a program's debug information (DWARF 2 to 5) tells of, as BTF, so that both are read in one way.
#pragma once

#include <elfutils/libdw.h>

#include <memory>
#include <string>

#include "kit/handle.hpp"

namespace kit {

// Of a program, a library, an object file or a separate debug file; types that several units repeat are joined. What
// DWARF can say and BTF cannot (virtual bases, variant parts) is left out; names of C++ and Rust are whole
// ("ns::Type"). Empty where there is no debug information.
Btf dwarf_types(const std::string& path);

// The same of debug information that is open, only those that are asked for with all that they lead to: each unit's
// own.
class DwarfTypes {
 public:
  DwarfTypes();
  ~DwarfTypes();
  // Grows with add(), and may move: what libbpf returned of it before is no longer valid.
  const btf* types() const;
  std::uint32_t add(Dwarf_Die* type);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// What DW_AT_type names, also by way of a declaration; false where it names nothing.
bool dwarf_type_of(Dwarf_Die* die, Dwarf_Die* type);

}  // namespace kit
