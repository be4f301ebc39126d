// SPDX-License-Identifier: BSD-2-Clause
// Histograms: every bucket's bounds, and percentiles.
#include "kit/slots.hpp"

#include "case.hpp"

TEST_CASE("every slot begins where the one before ends, and holds its own bounds") {
  CHECK(kit::slot_first(0) == 0);
  for (unsigned slot = 0; slot < KIT_SLOTS; slot++) {
    INFO(slot);
    std::uint64_t first = kit::slot_first(slot), last = kit::slot_last(slot);
    CHECK(first <= last);
    CHECK(kit_slot(first) == slot);
    CHECK(kit_slot(last) == slot);
    if (slot + 1 < KIT_SLOTS) CHECK(kit::slot_first(slot + 1) == last + 1);
    // At most an eighth wide.
    if (first >= KIT_SLOTS_PER_POWER) CHECK(last - first < first / KIT_SLOTS_PER_POWER + 1);
  }
  CHECK(kit::slot_last(KIT_SLOTS - 1) == UINT64_MAX);
}

TEST_CASE("the logarithm agrees with the compiler's") {
  CHECK(kit_log2(0) == 0);
  for (unsigned power = 0; power < 64; power++) {
    std::uint64_t one = std::uint64_t{1} << power;
    CHECK(kit_log2(one) == power);
    CHECK(kit_log2(one | (one - 1)) == power);
  }
}

TEST_CASE("percentiles are off by at most a slot's width") {
  kit::Slots slots;
  for (std::uint64_t value = 1; value <= 100000; value++) slots.add(kit_slot(value), 1);
  CHECK(slots.count() == 100000);
  for (double fraction : {0.01, 0.5, 0.9, 0.99, 0.999}) {
    double exact = fraction * 100000, got = static_cast<double>(slots.percentile(fraction));
    INFO(fraction << " " << got);
    CHECK(got >= exact * 0.875);
    CHECK(got <= exact * 1.125);
  }
}

TEST_CASE("percentiles of nothing, of one value and at the ends") {
  kit::Slots slots;
  CHECK(slots.percentile(0.5) == 0);
  slots.add(kit_slot(7), 1);
  CHECK(slots.percentile(0) == 7);
  CHECK(slots.percentile(0.5) == 7);
  CHECK(slots.percentile(1) == 7);
  slots.add(kit_slot(1000), 1);
  CHECK(slots.percentile(0.5) == 7);
  CHECK(kit_slot(slots.percentile(1)) == kit_slot(1000));
}

TEST_CASE("the highest slot counts like the others") {
  kit::Slots slots;
  slots.add(kit_slot(UINT64_MAX), 3);
  CHECK(kit_slot(slots.percentile(0.5)) == KIT_SLOTS - 1);
  CHECK(slots.percentile(1) >= kit::slot_first(KIT_SLOTS - 1));
}

TEST_CASE("counts of several histograms add up") {
  std::uint32_t counts[KIT_SLOTS] = {};
  counts[3] = 2;
  counts[KIT_SLOTS - 1] = UINT32_MAX;
  kit::Slots slots;
  slots.add_all(counts);
  slots.add_all(counts);
  CHECK(slots.counts()[3] == 4);
  CHECK(slots.counts()[KIT_SLOTS - 1] == 2ull * UINT32_MAX);
}
