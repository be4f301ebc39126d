// SPDX-License-Identifier: BSD-2-Clause
// Probes of programs and libraries: what their symbols and notes tell.
#include <algorithm>
#include <functional>
#include <memory>
#include <set>
#include <tuple>

#include "demangle.hpp"
#include "kit/failure.hpp"
#include "kit/probes.hpp"
#include "kit/text.hpp"
#include "kit/usdt.hpp"

namespace kit {
namespace {

// Calls `each` for those that are ELF files, each file once.
void each_elf(const std::vector<ElfPlace>& files, const std::function<void(const Elf&)>& each) {
  std::set<FileIdentity> seen;
  for (const ElfPlace& file : files) {
    if (!seen.insert(identity_of(file.path)).second) continue;
    std::unique_ptr<Elf> elf;
    try {
      elf = std::make_unique<Elf>(file.path, file.shown);
    } catch (const Failure&) {
      continue;  // a process may have mapped any file
    }
    each(*elf);
  }
}

void sort(std::vector<ListedProbe>& all) {
  std::sort(all.begin(), all.end(), [](const ListedProbe& a, const ListedProbe& b) {
    return std::tie(a.place, a.name, a.symbol) < std::tie(b.place, b.name, b.symbol);
  });
}

}  // namespace

std::vector<ElfPlace> with_libraries(const std::string& name, std::string& notice) {
  std::vector<ElfPlace> all = {find_elf(name)};
  Elf(all[0].path, all[0].shown);  // says what is wrong with it
  std::set<std::string> known;
  for (std::size_t i = 0; i < all.size(); i++) {
    for (const std::string& library : Elf(all[i].path, all[i].shown).needed()) {
      if (!known.insert(library).second) continue;
      try {
        ElfPlace place = find_elf(library);
        Elf(place.path, place.shown);
        all.push_back(std::move(place));
      } catch (const Failure&) {
        notice += cat(notice.empty() ? "" : ", ", library);
      }
    }
  }
  if (!notice.empty()) notice = cat("the dynamic loader does not know what is needed, too: ", notice);
  return all;
}

std::vector<ListedProbe> list_user_functions(const ProbeNames& names, const std::vector<ElfPlace>& files) {
  std::vector<ListedProbe> all;
  each_elf(files, [&](const Elf& elf) {
    for (const ElfSymbol& function : elf.functions("*")) {
      std::string symbol(function.name), name = blazesym::demangle(symbol);
      if (names.match(symbol) || names.match(name))
        all.push_back({"function", std::move(name), elf.shown(), {}, {}, std::move(symbol)});
    }
  });
  sort(all);
  return all;
}

std::vector<ListedProbe> list_user_marks(const ProbeNames& names, const std::vector<ElfPlace>& files) {
  std::vector<ListedProbe> all;
  each_elf(files, [&](const Elf& elf) {
    std::set<std::string> seen;
    for (const UsdtProbe& probe : usdt_probes(elf)) {
      std::string name = cat(probe.provider, ':', probe.name), arguments;
      if (!names.match(name) || !seen.insert(name).second) continue;
      for (const UsdtArgument& one : probe.arguments) arguments += cat(one.text, '\0');
      all.push_back({"usdt", std::move(name), elf.shown(), {}, std::move(arguments), {}});
    }
  });
  sort(all);
  return all;
}

}  // namespace kit
