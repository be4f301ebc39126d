// SPDX-License-Identifier: BSD-2-Clause
// Histograms over the buckets of kit/slots.h, with percentiles.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kit/slots.h"

namespace kit {

// The values of a slot: first to last, both in it.
std::uint64_t slot_first(unsigned slot);
std::uint64_t slot_last(unsigned slot);

// Adds what another one of the same values has.
void add(kit_histogram& to, const kit_histogram& more);

class Slots {
 public:
  Slots() : counts_(KIT_SLOTS) {}
  void add(unsigned slot, std::uint64_t count) { counts_[slot] += count; }
  template <typename Number>
  void add_all(const Number* slots) {
    for (unsigned i = 0; i < KIT_SLOTS; i++) counts_[i] += slots[i];
  }
  void add(const kit_histogram& histogram) { add_all(histogram.slots); }
  std::uint64_t count() const;
  // The least that the largest value can be; 0 for an empty histogram.
  std::uint64_t largest_first() const;
  // The value that `fraction` (0 to 1) of all are at or below: where the slot is reached, in proportion through it, so
  // off by at most the slot's width (12.5 % of the value). 0 for an empty histogram.
  std::uint64_t percentile(double fraction) const;
  const std::vector<std::uint64_t>& counts() const { return counts_; }

 private:
  std::vector<std::uint64_t> counts_;
};

}  // namespace kit
