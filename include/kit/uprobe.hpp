// SPDX-License-Identifier: BSD-2-Clause
// Probes in user space: attaches a program to places of files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kit/elf.hpp"
#include "kit/handle.hpp"

namespace kit {

// A place in a file. The kernel goes by the file itself: whoever has mapped it, under whatever name, is probed.
struct UserPlace {
  std::string path, shown;
  std::uint64_t offset = 0, semaphore = 0;  // in the file; 0: no semaphore
  bool at_return = false;
  std::string name;  // of what is there, for messages
};

// Where the beginning of the function at `place` is probed: its first instruction, or one soon behind it that costs
// less and is reached by way of the first alone, with arguments in their places. Throws Failure (unsupported) if the
// kernel would break the program there.
UserPlace beginning_place(const Elf& elf, UserPlace place);

// To be called before a program whose runs are to know their cookies is loaded. Kernels before 5.15 do not tell them:
// there each cookie has a copy of the program (SEC("hit/probe")), and more than 64 are refused. Throws Failure.
void prepare_user(bpf_program* program, std::size_t cookies);
// Attaches `program`, whose runs know `cookie`. With `pid` no other process is disturbed. The kernel raises the
// semaphore while the probe is there and lowers it when we end, however we end. Throws Failure.
Link attach_user(bpf_program* program, const UserPlace& place, std::uint64_t cookie,
                 std::optional<std::uint32_t> pid = {});
// Whether programs know by which attachment they run (5.15).
bool has_cookies();

}  // namespace kit
