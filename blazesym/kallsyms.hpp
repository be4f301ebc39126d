// SPDX-License-Identifier: BSD-2-Clause
// The running kernel's symbols, as /proc/kallsyms lists them.
#pragma once

#include <functional>
#include <string_view>

namespace blazesym {

// Calls `each` with the name of every function of the kernel and its modules. False if the list cannot be read.
bool each_kernel_function(const std::function<void(std::string_view name)>& each);

}  // namespace blazesym
