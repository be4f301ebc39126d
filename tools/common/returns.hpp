// SPDX-License-Identifier: BSD-2-Clause
// Where a program's function returns, instruction by instruction: probed there, nothing of the program is changed,
// while a uretprobe puts another return address onto its stack, which neither exceptions nor Go, when it moves a stack,
// know.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "instructions.hpp"
#include "kit/elf.hpp"

namespace kit {

struct FunctionReturns {
  std::string unknown;                // why they cannot be told; empty: they can
  bool leaf = false;                  // it calls nothing: whatever unwinds a stack does not come by
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
  // Where that is probed. Of one whose size is not known, where its first instruction is.
  Beginning beginning(std::uint64_t address) const;

 private:
  std::vector<Code> parts_of(const Code& code) const;
  const Elf& elf_;
  std::vector<Code> codes_;           // by their addresses
  std::vector<std::uint64_t> reach_;  // where those up to each end
  std::map<std::string, Code> cold_;
};

// Whether the kernel would mistake the instruction at an address, if it were probed; and what is said of it.
constexpr const char* mistaken_text =
    "an instruction of AVX that the kernel takes for another and would leave out: the program would be broken";
bool is_mistaken(const Elf& elf, std::uint64_t address);
// How long a function without a symbol of its own is, as its call frame information says; 0: it does not. A table of
// beginnings and entries, sorted, both counted from where it is (.eh_frame_hdr, Linux Standard Base 10.6.2); only in
// the encodings that linkers write, 4 bytes each.
std::uint64_t described_size(const Elf& elf, std::uint64_t address);
// Whether it is worth asking where a function is probed: functions mostly begin with what is as good as any.
bool may_begin_elsewhere(const Elf& elf, std::uint64_t address);
// Whether it is of VEX or EVEX, most of which the kernel cannot probe.
bool begins_with_vector(const Elf& elf, std::uint64_t address);
// Whether code at an address makes a frame first: there the kernel's own walk of the stack, when it is probed, does not
// miss the caller (6.12, cfa7f3d2c526).
bool makes_frame(const Elf& elf, std::uint64_t address);

// Where the instruction begins that holds the byte at an address, as its symbol's code tells; nothing if that is not
// known.
std::optional<std::uint64_t> instruction_at(const Elf& elf, std::uint64_t address);

// By a function's name: those return twice, or otherwise than to where they were called from, or look who calls them,
// and no uretprobe may be there.
bool returns_oddly(std::string_view name);

// Why a uretprobe may kill a program of this file; empty: there is no sign of it.
std::string harm_of_returns(const Elf& elf);
bool moves_stacks(const Elf& elf);

}  // namespace kit
