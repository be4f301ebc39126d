// SPDX-License-Identifier: BSD-2-Clause
// Which backends there are: one row in a table for each that this build has.
#include "symbols.hpp"

#include <stdexcept>

#include "backend.hpp"

namespace blazesym {

const char* reason_text(Reason reason) {
  switch (reason) {
    case Reason::none: return "";
    case Reason::unmapped: return "unmapped";
    case Reason::gone: return "process gone";
    case Reason::replaced: return "two programs were there";
    case Reason::denied: return "not permitted";
    case Reason::no_file: return "file cannot be opened";
    case Reason::broken_file: return "file is damaged";
    case Reason::stripped: return "stripped";
    case Reason::no_symbol: return "no symbol there";
    case Reason::jit: return "made at run time";
  }
  return "";
}

std::vector<std::string> backends() {
  std::vector<std::string> names;
  for (const Backend& backend : all_backends()) names.emplace_back(backend.name);
  return names;
}

std::unique_ptr<Symbolizer> make_symbolizer(const Settings& settings) {
  for (const Backend& backend : all_backends())
    if (settings.backend.empty() || settings.backend == backend.name) return backend.make(settings);
  throw std::runtime_error("there is no symbol backend " + settings.backend);
}

}  // namespace blazesym
