// SPDX-License-Identifier: BSD-2-Clause
// Names and paths that answers tell of: each text once, at a place that stays as long as the symbolizer.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <unordered_set>

#include "demangle.hpp"

namespace blazesym {

class Texts {
 public:
  std::string_view keep(std::string_view text) {
    if (auto found = known_.find(text); found != known_.end()) return *found;
    return *known_.insert(all_.emplace_back(text)).first;
  }
  std::string_view demangled(std::string_view name) {
    return name.starts_with("_Z") || name.starts_with("_R") ? keep(demangle(name)) : keep(name);
  }

 private:
  std::deque<std::string> all_;
  std::unordered_set<std::string_view> known_;
};

}  // namespace blazesym
