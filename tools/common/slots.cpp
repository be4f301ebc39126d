// SPDX-License-Identifier: BSD-2-Clause
#include "kit/slots.hpp"

#include <algorithm>

namespace kit {

std::uint64_t slot_first(unsigned slot) {
  if (slot < KIT_SLOTS_PER_POWER) return slot;
  unsigned power = slot / KIT_SLOTS_PER_POWER + KIT_SLOT_BITS - 1;
  std::uint64_t step = slot % KIT_SLOTS_PER_POWER;
  return (KIT_SLOTS_PER_POWER + step) << (power - KIT_SLOT_BITS);
}

std::uint64_t slot_last(unsigned slot) { return slot + 1 < KIT_SLOTS ? slot_first(slot + 1) - 1 : UINT64_MAX; }

void add(kit_histogram& to, const kit_histogram& more) {
  to.sum += more.sum;
  to.max = std::max(to.max, more.max);
  for (unsigned slot = 0; slot < KIT_SLOTS; slot++) to.slots[slot] += more.slots[slot];
}

std::uint64_t Slots::count() const {
  std::uint64_t sum = 0;
  for (std::uint64_t count : counts_) sum += count;
  return sum;
}

std::uint64_t Slots::largest_first() const {
  for (unsigned slot = KIT_SLOTS; slot-- > 0;)
    if (counts_[slot]) return slot_first(slot);
  return 0;
}

Slots::Reached Slots::reach(double fraction) const {
  double share = fraction * static_cast<double>(count());
  auto rank = static_cast<std::uint64_t>(share);
  if (static_cast<double>(rank) < share || rank == 0) rank++;
  std::uint64_t below = 0;
  for (unsigned slot = 0; slot < KIT_SLOTS; slot++) {
    if (below + counts_[slot] >= rank)
      return {slot, static_cast<double>(rank - below) / static_cast<double>(counts_[slot])};
    below += counts_[slot];
  }
  return {0, 0};
}

std::uint64_t Slots::percentile(double fraction) const {
  auto [slot, through] = reach(fraction);
  // The widest slots are rounded up by a double, so the last value is the bound.
  std::uint64_t size = slot_last(slot) - slot_first(slot);
  return slot_first(slot) + std::min(size, static_cast<std::uint64_t>(static_cast<double>(size) * through));
}

std::optional<std::int64_t> Slots::equal_percentile(double fraction) const {
  auto [slot, through] = reach(fraction);
  auto first = equal_->first(slot);
  if (!first || !equal_->last(slot)) return {};
  return *first + static_cast<std::int64_t>(static_cast<double>(equal_->step - 1) * through);
}

std::optional<std::int64_t> EqualBuckets::first(unsigned slot) const {
  if (slot == 0) return {};
  return min + static_cast<std::int64_t>((slot - 1) * step);
}

std::optional<std::int64_t> EqualBuckets::last(unsigned slot) const {
  if (slot > buckets) return {};
  return min + static_cast<std::int64_t>(slot * step) - 1;
}

}  // namespace kit
