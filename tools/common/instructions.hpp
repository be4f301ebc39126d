// SPDX-License-Identifier: BSD-2-Clause
// Where instructions of x86_64 begin and which of them leave a function: no more of each is understood than that.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace kit {

struct Instruction {
  enum class Kind { other, returns, jumps, jumps_if, jumps_anywhere } kind = Kind::other;
  unsigned size = 0;
  std::int64_t to = 0;       // of a jump: from the instruction's beginning
  bool in_function = false;  // of a jump anywhere: it is marked (notrack) as one into a table of the function's own
};

// The instruction at the beginning of these bytes; nothing if it is none that is known, or not whole.
std::optional<Instruction> decode_instruction(std::string_view bytes);

// A jump out of a function.
struct Leave {
  std::uint64_t at = 0;  // from the function's beginning, as `to`
  std::int64_t to = 0;
  bool always = false;  // not only under a condition
};

// How a function ends.
struct FunctionEnds {
  std::vector<std::uint64_t> starts;   // of instructions, from the function's beginning
  std::vector<std::uint64_t> returns;  // of those that return
  std::vector<Leave> leaves;
  bool unknown_jump = false;  // one may lead anywhere
};
// Nothing if the bytes are not instructions from their beginning to their end.
std::optional<FunctionEnds> function_ends(std::string_view bytes);

}  // namespace kit
