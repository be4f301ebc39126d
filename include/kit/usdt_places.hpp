// SPDX-License-Identifier: BSD-2-Clause
// From what a user asks for, "PROVIDER:PROBE /FILTER/ EXPR...", to the places of files where USDT probes are.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kit/options.hpp"
#include "kit/probe.hpp"
#include "kit/uprobe.hpp"
#include "kit/usdt.hpp"

namespace kit {

// One place of a probe, with where to attach (to it in all processes, or in these) and how its values are shown.
struct UsdtPlace {
  std::string name;  // PROVIDER:NAME
  std::vector<ShownValue> values;
  std::vector<std::pair<UserPlace, std::optional<std::uint32_t>>> at;
};

// A probe of a list.
struct UsdtListed {
  Cell name, arguments, file;
  std::uint32_t places = 0;
};

class UsdtSearch {
 public:
  // The words of a command line: [PATH] PROBE.... Throws Failure (usage) for what cannot be meant, before any work.
  UsdtSearch(std::vector<std::string> words, const Settings& settings);
  UsdtSearch(const std::vector<Probe>& probes, const Settings& settings);
  // Each place of each probe, with its file and the process as whose it was found.
  void each(const std::function<void(const UsdtProbe&, const Elf&, std::optional<std::uint32_t>)>& take) const;
  // Everything that matches, or all there is where no probe was named.
  std::vector<UsdtListed> all() const;
  // The places of all the probes, each with its plan, of the same number.
  std::vector<UsdtPlace> places(FetchPlans& plans) const;

 private:
  // A file that may have probes, and the process as whose it was found.
  struct Source {
    std::shared_ptr<Elf> elf;
    std::optional<std::uint32_t> pid;
    std::vector<UsdtProbe> probes;
  };
  struct Wanted {
    Probe probe;
    std::string file, provider, name;
  };
  void want(const std::vector<Probe>& probes);
  void add_source(const ElfPlace& place, std::optional<std::uint32_t> pid, bool must);
  void add_process(std::uint32_t pid);
  void add_files();
  bool matches(const Wanted& wanted, const Source& source, const UsdtProbe& probe) const;
  [[noreturn]] void refuse(const Wanted& wanted) const;

  const Settings& settings_;
  std::string path_;
  std::vector<Wanted> wanted_;
  std::vector<Source> sources_;
};

// "arg0": 0.
std::optional<unsigned> argument_number(std::string_view name);
// What an argument's name stands for at one place, and which there are.
std::optional<Fetched> usdt_argument(const Probe& probe, const UsdtProbe& place, const Expression& expression);
std::vector<std::string> usdt_argument_names(const UsdtProbe& place);

// The places' names and values as text, and back.
std::string usdt_places_text(const std::vector<UsdtPlace>& places);
std::vector<UsdtPlace> usdt_places(const std::string& text);

}  // namespace kit
