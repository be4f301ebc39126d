// SPDX-License-Identifier: BSD-2-Clause
// Histograms of the first value of probes: the other side of bpf/lib/values.bpf.h.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "kit/probing.hpp"

namespace kit {

class Histograms {
 public:
  // Sets the knobs, before load; `by_place` tells places apart, `equal` are the buckets, if not those of kit/slots.h.
  Histograms(Probing& probing, bpf_object* object, bool by_place, std::optional<EqualBuckets> equal = {});
  // Those with the most values first.
  template <typename Key>
  void show(Report& report, const std::vector<std::pair<Key, kit_histogram>>& entries) {
    std::vector<std::pair<fetch_key, const kit_histogram*>> all;
    for (const auto& [key, histogram] : entries) all.emplace_back(key.of, &histogram);
    show_all(report, std::move(all));
  }

 private:
  void show_all(Report& report, std::vector<std::pair<fetch_key, const kit_histogram*>> all);
  // Which keys there are; the places are known once the run has begun.
  void look();
  Probing& probing_;
  bool by_place_, keyed_ = false, signed_ = false;
  std::optional<EqualBuckets> equal_;
};

}  // namespace kit
