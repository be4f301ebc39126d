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
// What it takes to attach to their beginnings and returns, at once where the kernel has kprobe.multi; the cookies name
// them from `first` on, with `flags` at beginnings and, besides, `at_return` at returns. Throws Failure where the
// kernel cannot.
std::vector<Attachment> kernel_attachments(const std::vector<std::string>& functions, std::uint64_t first,
                                           std::uint64_t flags, std::uint64_t at_return);

}  // namespace kit
