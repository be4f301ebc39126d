// SPDX-License-Identifier: BSD-2-Clause
// Histograms over the buckets of kit/slots.h, with percentiles.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kit/slots.h"

namespace kit {

// The values of a slot: first to last, both in it.
std::uint64_t slot_first(unsigned slot);
std::uint64_t slot_last(unsigned slot);

// Adds what another one of the same values has.
void add(kit_histogram& to, const kit_histogram& more);

// Equal buckets instead: slot 0 is for what is below `min`, then `buckets` of `step` each, one more for what is beyond.
struct EqualBuckets {
  std::int64_t min = 0;
  std::uint64_t step = 1;
  std::uint32_t buckets = 0;
  // Of a slot; nothing where it has no end.
  std::optional<std::int64_t> first(unsigned slot) const;
  std::optional<std::int64_t> last(unsigned slot) const;
};
inline constexpr std::uint32_t most_equal_buckets = KIT_SLOTS - 2;

class Slots {
 public:
  Slots() : Slots(std::nullopt) {}
  explicit Slots(std::optional<EqualBuckets> equal) : counts_(KIT_SLOTS), equal_(equal) {}
  const std::optional<EqualBuckets>& equal() const { return equal_; }
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
  // The same of equal buckets; nothing where it is before the first or behind the last.
  std::optional<std::int64_t> equal_percentile(double fraction) const;
  const std::vector<std::uint64_t>& counts() const { return counts_; }

 private:
  struct Reached {
    unsigned slot;
    double through;  // the share of the slot's values
  };
  Reached reach(double fraction) const;
  std::vector<std::uint64_t> counts_;
  std::optional<EqualBuckets> equal_;
};

}  // namespace kit
