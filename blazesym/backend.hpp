// SPDX-License-Identifier: BSD-2-Clause
// How a backend makes itself known.
#pragma once

#include <memory>
#include <vector>

#include "symbols.hpp"

namespace blazesym {

struct Backend {
  const char* name;  // as --symbols has it
  std::unique_ptr<Symbolizer> (*make)(const Settings& settings);
};

// Best first. The Makefile compiles backend_*.cpp where the library that it stands on is there; each defines one.
std::vector<Backend>& all_backends();

std::unique_ptr<Symbolizer> make_native(const Settings& settings);

}  // namespace blazesym
