// SPDX-License-Identifier: BSD-2-Clause
// A program's functions as its debug information tells: what their parameters are called, their types, and where each
// is when a call begins.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kit/probe.hpp"

namespace kit {

// A parameter, or what a function returns.
struct DwarfValue {
  std::string name;
  std::uint32_t type = 0;  // 0: none
  std::vector<fetch_step> steps;
  std::string refused;  // why it cannot be fetched; empty: it can
};

struct DwarfFunction {
  const btf* types = nullptr;  // as long as the DwarfFunctions that it is of
  std::vector<DwarfValue> parameters;
  DwarfValue result;  // neither steps nor why there are none: nothing is known of it
};

// Of one file, or of what was stripped from it (by build id or .gnu_debuglink), which is looked for when first asked.
class DwarfFunctions {
 public:
  explicit DwarfFunctions(std::string path);
  ~DwarfFunctions();
  // The function that begins at an address, in the file's own terms; nothing where nothing tells of it.
  std::optional<DwarfFunction> at(std::uint64_t address);

 private:
  struct State;
  std::string path_;
  std::unique_ptr<State> state_;
};

}  // namespace kit
