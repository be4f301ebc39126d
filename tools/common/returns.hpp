// SPDX-License-Identifier: BSD-2-Clause
// Where a program's function returns, instruction by instruction: probed there, nothing of the program is changed,
// while a uretprobe puts another return address onto its stack, which neither exceptions nor Go, when it moves a stack,
// know.
#pragma once

#include <string>
#include <vector>

#include "kit/elf.hpp"

namespace kit {

struct FunctionReturns {
  std::string unknown;                // why they cannot be told; empty: they can
  std::vector<std::uint64_t> places;  // in the file
  bool jumps = false;                 // of the places some are jumps to other functions, which return in its stead
};

// Of the function that begins at an address.
FunctionReturns function_returns(const Elf& elf, std::uint64_t address);

// Where the instruction begins that holds the byte at an address, as its symbol's code tells; nothing if that is not
// known.
std::optional<std::uint64_t> instruction_at(const Elf& elf, std::uint64_t address);

// Why a uretprobe may kill a program of this file; empty: there is no sign of it.
std::string harm_of_returns(const Elf& elf);
bool moves_stacks(const Elf& elf);

}  // namespace kit
