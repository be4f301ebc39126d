// SPDX-License-Identifier: BSD-2-Clause
// The parameters and results of functions whose calls are followed: what is known of them, and the plans that fetch
// them. Inside the library alone.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "dwarf_functions.hpp"
#include "kit/elf.hpp"
#include "kit/probe.hpp"
#include "kit/traced.hpp"

namespace kit {

// For a cookie, from FGRAPH_PLAN_AT on: 0 where there is nothing to fetch.
struct ValuePlans {
  std::uint64_t enter = 0, leave = 0;
};

// A value of a place.
struct TracedValue {
  std::string name;
  Fetched fetched;
  Format format = {};
};

class TracedValues {
 public:
  // By the file's debug information; of the C library's functions else by what they are known to take. `function` is
  // told how the values are shown.
  ValuePlans of_program(const Elf& elf, std::uint64_t address, std::string_view symbol, TracedFunction& function);
  // By the kernel's types.
  ValuePlans of_kernel(TracedFunction& function);
  FetchPlans plans;

 private:
  std::uint64_t plan(const std::vector<TracedValue>& values, std::vector<ShownValue>& shown);
  std::map<std::string, DwarfFunctions> described_;  // by file
};

}  // namespace kit
