// SPDX-License-Identifier: BSD-2-Clause
// Functions of the kernel whose calls are followed. Inside the library alone.
#pragma once

#include <string>
#include <vector>

#include "places.hpp"

namespace kit {

// Those that match, or without globs all that do not run for the tracing itself or at every corner. Throws Failure
// (usage) with the nearest name where a glob matches none.
std::vector<std::string> traced_kernel_functions(const std::vector<std::string>& globs);
// One of them, and the cookies that tell of its beginnings and its returns.
struct KernelFunction {
  std::string name;
  std::uint64_t enter = 0, leave = 0;
};
// Whether any can be probed, one by one at least.
bool has_kprobes();
// What it takes to attach to those, at once where the kernel has kprobe.multi, beginnings and returns together where it
// has kprobe.session and `session` says that `leave` differs by its flags alone. Throws Failure where the kernel
// cannot.
std::vector<Attachment> kernel_attachments(const std::vector<KernelFunction>& functions, bool session);

}  // namespace kit
