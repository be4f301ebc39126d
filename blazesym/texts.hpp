// SPDX-License-Identifier: BSD-2-Clause
// Names and paths that answers tell of: each text once, at a place that stays until all are let go.
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
    memory_ += text.size() + of_one;
    return *known_.insert(all_.emplace_back(text)).first;
  }
  std::string_view demangled(std::string_view name) {
    return name.starts_with("_Z") || name.starts_with("_R") ? keep(demangle(name)) : keep(name);
  }
  std::size_t memory() const { return memory_; }
  // All that were given so far end.
  void clear() {
    known_.clear();
    all_.clear();
    memory_ = 0;
  }

 private:
  static constexpr std::size_t of_one = sizeof(std::string) + sizeof(std::string_view) + 3 * sizeof(void*);  // bytes
  std::deque<std::string> all_;
  std::unordered_set<std::string_view> known_;
  std::size_t memory_ = 0;
};

}  // namespace blazesym
