// SPDX-License-Identifier: BSD-2-Clause
#include "kit/histograms.hpp"

#include <cstring>

#include "kit/maps.hpp"

namespace kit {

Histograms::Histograms(Probing& probing, bpf_object* object, bool by_place, std::optional<EqualBuckets> equal)
    : probing_(probing), by_place_(by_place), equal_(equal) {
  set_knob(object, "value_by_place", by_place);
  if (!equal) return;
  set_knob(object, "value_buckets", equal->buckets);
  set_knob(object, "value_step", equal->step);
  set_knob(object, "value_min", equal->min);
}

void Histograms::look() {
  for (const ProbePlace& place : probing_.places()) {
    keyed_ |= place.values.size() > 1;
    signed_ |= !equal_ && !place.values.empty() && place.values[0].how == 'd';
  }
}

void Histograms::show_all(Report& report, std::vector<std::pair<fetch_key, const kit_histogram*>> all) {
  look();
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    auto order = std::memcmp(&a.first, &b.first, sizeof a.first);
    return a.second->sum != b.second->sum ? a.second->sum > b.second->sum : order < 0;
  });
  std::vector<const fetch_key*> shown;
  for (const auto& one : all) shown.push_back(&one.first);
  probing_.look_up(report, shown);
  for (const auto& [of, histogram] : all) {
    const ProbePlace* place = probing_.place(of.place);
    if (!place || place->values.empty()) continue;
    Histogram::Key keys;
    if (by_place_ && probing_.places().size() > 1) keys.emplace_back("probe", probing_.name(of));
    // The same keys for each, as CSV has one table.
    if (keyed_) keys.emplace_back("values", probing_.values(of, 1));
    if (signed_) keys.emplace_back("sign", Cell::borrowed(of.negative ? "negative" : "positive"));
    bool duration = place->values[0].how == 'l';
    report.histogram(duration ? "latency" : place->values[0].name, duration ? "ns" : "", keys, *histogram, equal_);
  }
  probing_.tally(report);
}

}  // namespace kit
