// SPDX-License-Identifier: BSD-2-Clause
// Where a program's function returns, instruction by instruction: probed there, nothing of the program is changed,
// while a uretprobe puts another return address onto its stack, which neither exceptions nor Go, when it moves a stack,
// know.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kit/elf.hpp"

namespace kit {

struct FunctionReturns {
  std::string unknown;                // why they cannot be told; empty: they can
  bool never = false;                 // there are none: it ends by others' doing, as exit() and longjmp()
  std::vector<std::uint64_t> places;  // in the file
  std::vector<std::uint64_t> jumps;   // of these, those that jump to other functions, which return in its stead
};

// The code of a file's functions, as its symbols tell; to be made once for many of them. The file stays open.
class FunctionCodes {
 public:
  struct Code {
    std::string name;
    std::uint64_t address = 0, size = 0;
    bool holds(std::uint64_t at) const { return at >= address && at - address < size; }
  };
  explicit FunctionCodes(const Elf& elf);
  // The function whose symbol an address is in; nullptr: none.
  const Code* at(std::uint64_t address) const;
  // Of the function that begins at an address.
  FunctionReturns returns(std::uint64_t address) const;

 private:
  std::vector<Code> parts_of(const Code& code) const;
  const Elf& elf_;
  std::vector<Code> codes_;           // by their addresses
  std::vector<std::uint64_t> reach_;  // where those up to each end
  std::map<std::string, Code> cold_;
};

// Of one function alone.
FunctionReturns function_returns(const Elf& elf, std::uint64_t address);

// Where the instruction begins that holds the byte at an address, as its symbol's code tells; nothing if that is not
// known.
std::optional<std::uint64_t> instruction_at(const Elf& elf, std::uint64_t address);

// Why a uretprobe may kill a program of this file; empty: there is no sign of it.
std::string harm_of_returns(const Elf& elf);
bool moves_stacks(const Elf& elf);

}  // namespace kit
