// SPDX-License-Identifier: BSD-2-Clause
#include "kit/usdt_places.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "command.hpp"
#include "kit/text.hpp"

namespace kit {

std::optional<unsigned> argument_number(std::string_view name) {
  if (!name.starts_with("arg")) return {};
  auto number = parse_number(name.substr(3));
  return number && *number < 256 ? std::optional(static_cast<unsigned>(*number)) : std::nullopt;
}

std::optional<Fetched> usdt_argument(const Probe& probe, const UsdtProbe& place, const Expression& expression) {
  auto number = argument_number(expression.text);
  if (!number || *number >= place.arguments.size()) return {};
  const UsdtArgument& argument = place.arguments[*number];
  if (!argument.refused.empty())
    refuse_probe(
        probe, expression.at,
        cat(expression.text, " of ", place.provider, ':', place.name, " is ", argument.text, ": ", argument.refused));
  Fetched fetched;
  fetched.steps = argument.steps;
  fetched.bits = argument.bits;
  fetched.is_signed = argument.is_signed;
  fetched.address = argument.bits >= 32;  // of a 32-bit program, or of a 64-bit one that keeps it so low
  return fetched;
}

std::vector<std::string> usdt_argument_names(const UsdtProbe& place) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < place.arguments.size(); i++) names.push_back(cat("arg", i));
  return names;
}

namespace {

// All arguments, where none was named; those that cannot be fetched are left out, and named so.
void show_all(Probe& probe, const UsdtProbe& place) {
  for (std::size_t i = 0; i < std::min<std::size_t>(place.arguments.size(), FETCH_VALUES); i++) {
    if (!place.arguments[i].refused.empty()) continue;
    std::string name = cat("arg", i);
    probe.shown.push_back(
        {.expression = {.kind = Expression::Kind::name, .text = name, .number = 0, .at = probe.text.size(), .of = {}},
         .format = {},
         .text = name});
  }
}

std::string arguments_text(const UsdtProbe& probe) {
  std::string text;
  for (const UsdtArgument& one : probe.arguments) text += cat(text.empty() ? "" : " ", one.text);
  return text;
}

}  // namespace

UsdtSearch::UsdtSearch(std::vector<std::string> words, const Settings& settings) : settings_(settings) {
  // A probe has a colon; a path in front of the probes has none.
  if (!words.empty() && words[0].find_first_of(": ") == std::string::npos) {
    path_ = words[0];
    words.erase(words.begin());
  }
  want(parse_probes(words, "usdt"));
}

UsdtSearch::UsdtSearch(const std::vector<Probe>& probes, const Settings& settings) : settings_(settings) {
  want(probes);
}

void UsdtSearch::want(const std::vector<Probe>& probes) {
  for (const Probe& probe : probes) {
    Wanted wanted{.probe = probe, .file = {}, .provider = {}, .name = {}};
    auto parts = split(probe.target, ':');
    bool whole = parts.size() == 3 && probe.target_at > 0;
    if (probe.kind != "usdt" || (parts.size() != 2 && !whole))
      refuse_probe(probe, probe.target_at, "a USDT probe is PROVIDER:NAME, or usdt:FILE:PROVIDER:NAME");
    if (whole) wanted.file = parts[0];
    wanted.provider = parts[parts.size() - 2];
    wanted.name = parts.back();
    wanted_.push_back(std::move(wanted));
  }
  add_files();
}

void UsdtSearch::each(
    const std::function<void(const UsdtProbe&, const Elf&, std::optional<std::uint32_t>)>& take) const {
  for (const Wanted& wanted : wanted_) {
    bool any = false;
    for (const Source& source : sources_) {
      for (const UsdtProbe& one : source.probes) {
        if (!matches(wanted, source, one)) continue;
        any = true;
        take(one, *source.elf, source.pid);
      }
    }
    if (!any) refuse(wanted);
  }
}

void UsdtSearch::add_source(const ElfPlace& place, std::optional<std::uint32_t> pid, bool must) {
  try {
    auto elf = std::make_shared<Elf>(place.path, place.shown);
    for (const Source& source : sources_)
      if (source.elf->identity() == elf->identity() && source.pid == pid) return;
    auto probes = usdt_probes(*elf);
    if (probes.empty() && !must) return;
    sources_.push_back({std::move(elf), pid, std::move(probes)});
  } catch (const Failure&) {
    if (must) throw;  // else it is a file that a process has mapped, and no program
  }
}

void UsdtSearch::add_process(std::uint32_t pid) {
  for (const ElfPlace& file : mapped_files(pid)) add_source(file, pid, false);
}

void UsdtSearch::add_files() {
  std::vector<std::string> files;
  bool own = false;  // probes that name no file of their own, or a list of all
  for (const Wanted& wanted : wanted_) {
    if (wanted.file.empty())
      own = true;
    else
      files.push_back(wanted.file);
  }
  own |= wanted_.empty();
  if (!path_.empty()) files.push_back(path_);
  if (own && files.empty() && settings_.pids.empty()) {
    if (settings_.command.empty())
      throw Failure(
          Exit::usage,
          "give the program's PATH, or a process with -p PID, and PROVIDER:PROBE; --list lists what there is");
    files.push_back(find_command(settings_.command[0]));
  }
  for (const std::string& file : files) {
    if (auto process = parse_number(file)) {
      add_process(static_cast<std::uint32_t>(*process));
    } else if (settings_.pids.empty()) {
      add_source(find_elf(file), {}, true);
    } else {
      for (std::uint32_t pid : settings_.pids) add_source(find_elf(file, pid), pid, true);
    }
  }
  if (own && path_.empty())
    for (std::uint32_t pid : settings_.pids) add_process(pid);
}

bool UsdtSearch::matches(const Wanted& wanted, const Source& source, const UsdtProbe& probe) const {
  if (!wanted.file.empty() && source.elf->shown() != wanted.file && !is_library(source.elf->shown(), wanted.file) &&
      !(source.pid && std::to_string(*source.pid) == wanted.file))
    return false;
  return glob_matches(wanted.provider, probe.provider) && glob_matches(wanted.name, probe.name);
}

void UsdtSearch::refuse(const Wanted& wanted) const {
  std::vector<std::string> names;
  std::string where;
  for (const Source& source : sources_) {
    if (where.size() < 100) where += cat(where.empty() ? "" : ", ", source.elf->shown());
    for (const UsdtProbe& probe : source.probes) names.push_back(cat(probe.provider, ':', probe.name));
  }
  if (names.empty())
    refuse_probe(
        wanted.probe, wanted.probe.target_at,
        where.empty()
            ? std::string(
                  "what the process has mapped now has no USDT probes; give the PATH of a library that it loads later")
            : cat(where, " has no USDT probes"));
  refuse_probe(
      wanted.probe, wanted.probe.target_at,
      cat("there is no such probe", suggestion(cat(wanted.provider, ':', wanted.name), names), "; --list lists them"));
}

std::vector<UsdtListed> UsdtSearch::all() const {
  std::map<std::pair<std::string, std::string>, UsdtListed> found;
  for (const Source& source : sources_) {
    for (const UsdtProbe& probe : source.probes) {
      bool any = wanted_.empty();
      for (const Wanted& wanted : wanted_) any |= matches(wanted, source, probe);
      if (!any) continue;
      std::string name = cat(probe.provider, ':', probe.name);
      auto [at, fresh] = found.try_emplace({source.elf->shown(), name});
      at->second.places++;
      if (fresh)
        at->second = {Cell::owned(name), Cell::owned(arguments_text(probe)), Cell::owned(source.elf->shown()), 1};
    }
  }
  std::vector<UsdtListed> all;
  for (auto& [key, one] : found) all.push_back(std::move(one));
  return all;
}

std::vector<UsdtPlace> UsdtSearch::places(FetchPlans& plans) const {
  if (wanted_.empty()) throw Failure(Exit::usage, "name a probe, PROVIDER:PROBE; --list lists those that there are");
  std::vector<UsdtPlace> all;
  // The same place of one file, found through several processes, is one.
  std::map<std::tuple<std::size_t, FileIdentity, std::uint64_t>, std::size_t> known;
  for (std::size_t w = 0; w < wanted_.size(); w++) {
    bool any = false;
    for (const Source& source : sources_) {
      for (const UsdtProbe& one : source.probes) {
        if (!matches(wanted_[w], source, one)) continue;
        any = true;
        auto [at, fresh] = known.try_emplace({w, source.elf->identity(), one.address}, all.size());
        if (fresh) {
          Probe probe = wanted_[w].probe;
          if (probe.shown.empty()) show_all(probe, one);
          Resolve resolve = [&](const Expression& e) { return usdt_argument(probe, one, e); };
          UsdtPlace place{.name = cat(one.provider, ':', one.name), .values = {}, .at = {}};
          plans.add(probe, resolve, usdt_argument_names(one), &place.values);
          all.push_back(std::move(place));
        }
        all[at->second].at.push_back({{.path = source.elf->path(),
                                       .shown = source.elf->shown(),
                                       .offset = one.offset,
                                       .semaphore = one.semaphore,
                                       .at_return = false,
                                       .name = cat(one.provider, ':', one.name)},
                                      source.pid});
      }
    }
    if (!any) refuse(wanted_[w]);
  }
  return all;
}

std::string usdt_places_text(const std::vector<UsdtPlace>& places) {
  std::string text;
  for (const UsdtPlace& place : places) {
    text += place.name;
    for (const ShownValue& value : place.values) text += cat('\t', shown_value_text(value));
    text += '\n';
  }
  return text;
}

std::vector<UsdtPlace> usdt_places(const std::string& text) {
  std::vector<UsdtPlace> places;
  for (std::string_view line : split(text, '\n')) {
    if (line.empty()) continue;
    auto parts = split(line, '\t');
    UsdtPlace place{.name = std::string(parts[0]), .values = {}, .at = {}};
    for (std::size_t i = 1; i < parts.size(); i++) {
      if (auto value = parse_shown_value(parts[i])) place.values.push_back(std::move(*value));
    }
    places.push_back(std::move(place));
  }
  return places;
}

}  // namespace kit
