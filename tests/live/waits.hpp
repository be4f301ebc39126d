// SPDX-License-Identifier: BSD-2-Clause
// What the trigger waits(1) said of itself, and what a tool showed of it.
#pragma once

#include "harness.hpp"

namespace live {

// For how long each of its threads waited, in ns.
inline Json waits_said(const Result& result) {
  std::size_t at = result.err.find("{\"sleeping\"");
  if (at == result.err.npos) throw std::runtime_error("the program did not say what it did: " + result.err);
  return Json::parse(result.err.substr(at, result.err.find('\n', at) - at));
}

inline bool has_function(const Json& stack, const std::string& function) {
  for (const Json& frame : stack)
    if (frame["name"] == function) return true;
  return false;
}

// Of rows whose stack under this key has such a function.
inline double total_ns(const std::vector<Json>& rows, const std::string& function, const char* key = "stack") {
  double sum = 0;
  for (const Json& row : rows)
    if (has_function(row[key], function)) sum += row["total_ns"].get<double>();
  return sum;
}

}  // namespace live
