// SPDX-License-Identifier: BSD-2-Clause
#include "kit/histograms.hpp"

#include <cstring>

#include "kit/maps.hpp"

namespace kit {

Histograms::Histograms(const Probing& probing, bpf_object* object, bool by_place)
    : probing_(probing), by_place_(by_place) {
  set_knob(object, "value_by_place", by_place);
  set_knob(object, "value_signed", probing.first_is_signed());
}

void Histograms::show_all(Report& report, std::vector<std::pair<fetch_key, const kit_histogram*>> all) const {
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    auto order = std::memcmp(&a.first, &b.first, sizeof a.first);
    return a.second->sum != b.second->sum ? a.second->sum > b.second->sum : order < 0;
  });
  for (const auto& [of, histogram] : all) {
    const ProbePlace* place = probing_.place(of.place);
    if (!place || place->values.empty()) continue;
    Histogram::Key keys;
    if (by_place_ && probing_.places().size() > 1) keys.emplace_back("probe", probing_.name(of));
    fetch_result result = Probing::result_of(of);
    for (std::size_t i = 1; i < place->values.size(); i++)
      keys.emplace_back(place->values[i].name, value_cell(place->values[i], result, i, {of.text, sizeof of.text}));
    if (of.negative) keys.emplace_back("sign", Cell::borrowed("negative"));
    bool duration = place->values[0].how == 'l';
    report.histogram(duration ? "latency" : place->values[0].name, duration ? "ns" : "", keys, *histogram);
  }
}

}  // namespace kit
