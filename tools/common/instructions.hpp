// SPDX-License-Identifier: BSD-2-Clause
// Where instructions of x86_64 begin, which of them leave a function, and which of them are cheaply probed: no more of
// each is understood than that.
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
  bool calls = false;        // a function, or the kernel
  bool emulated = false;     // a uprobe's: the kernel does itself what it does
  bool pushes = false;       // of those: a register onto the stack
  bool idle = false;         // it changes nothing but flags or vectors, and reads no memory
  bool vector = false;       // of VEX or EVEX
  // Of those the kernel looks at the opcode alone, as if it stood by itself: 70 to 7F are jumps to it, which it "does",
  // and the program goes on without what the instruction would have done.
  bool mistaken = false;
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
  bool calls = false;         // something else: another function, the kernel
};
// Nothing if the bytes are not instructions from their beginning to their end.
std::optional<FunctionEnds> function_ends(std::string_view bytes);

// Where the beginning of a function is probed, in bytes behind it.
struct Beginning {
  std::uint32_t first = 0;  // the first place that may be probed: none of them can be, if it is `harmful`
  std::uint32_t cheap = 0;  // where it costs less, or that again
  bool harmful = false;
};

// Of a function of which these are the bytes.
//
// A probed instruction is run alone, in single step, and stops the program twice, the second time with an exit of a
// virtual machine; not so those that the kernel does itself (branch_setup_xol_ops and push_setup_xol_ops of
// arch/x86/kernel/uprobes.c, alike from 5.10 to 7.x). Such a one will do if it is reached by way of the beginning
// alone, and what leads there (endbr64, tests of registers) leaves all that the caller handed over. So will another if
// the first is mistaken.
Beginning beginning_of(std::string_view bytes);

}  // namespace kit
