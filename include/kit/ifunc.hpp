// SPDX-License-Identifier: BSD-2-Clause
// Functions that are chosen when a program starts (STT_GNU_IFUNC): which one was chosen, by reading it in a process.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kit/elf.hpp"
#include "kit/uprobe.hpp"

namespace kit {

// The place of a function's first instruction. Of an indirect one, that of the function which was chosen on this
// machine, as a process tells that has this very file mapped: `pid`, or any; if there is none, one is started under the
// file's own loader. Throws Failure (usage) where it cannot be known.
UserPlace function_place(const Elf& elf, std::string_view name, std::optional<std::uint32_t> pid = {});
// Of one of several that share a name.
UserPlace function_place(const Elf& elf, const ElfSymbol& symbol, std::optional<std::uint32_t> pid = {});

}  // namespace kit
