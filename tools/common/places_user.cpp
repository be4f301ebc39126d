// SPDX-License-Identifier: BSD-2-Clause
// Places in programs and libraries: uprobe, uretprobe and usdt.
#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "kit/elf.hpp"
#include "kit/ifunc.hpp"
#include "kit/kernel.hpp"
#include "kit/text.hpp"
#include "kit/usdt_places.hpp"
#include "places.hpp"

namespace kit {
namespace {

constexpr std::size_t most_without_multi = 1000;

// "NAMESPACE::NAME" of a mangled name of C++, or of Rust's that look like those ("::h0123456789abcdef" behind); empty
// if it is none.
std::string plain_name(std::string_view mangled) {
  if (!mangled.starts_with("_Z")) return {};
  int status = 0;
  char* text = abi::__cxa_demangle(std::string(mangled).c_str(), nullptr, nullptr, &status);
  std::string name = text ? text : "";
  std::free(text);
  int depth = 0;
  for (std::size_t i = 0; i < name.size(); i++) {
    if (name[i] == '<') depth++;
    if (name[i] == '>') depth--;
    if (name[i] == '(' && depth == 0 && i > 0 && name.substr(i, 11) != "(anonymous ") return name.substr(0, i);
  }
  constexpr std::size_t hash = 19;  // "::h" and 16 digits
  if (name.size() > hash && name.substr(name.size() - hash, 3) == "::h") name.resize(name.size() - hash);
  return name;
}

struct UserFunction {
  std::string name, shown;  // the symbol's, and as a user knows it
};

std::vector<UserFunction> functions_of(const Elf& elf, const std::string& glob) {
  std::vector<UserFunction> found;
  for (const ElfSymbol& symbol : elf.functions(glob))
    found.push_back({std::string(symbol.name), std::string(symbol.name)});
  if (!found.empty() && glob.find("::") == glob.npos) return found;
  elf.each_symbol([&](const ElfSymbol& symbol) {
    if (!symbol.function || !symbol.defined) return;
    std::string name = plain_name(symbol.name);
    bool known =
        std::any_of(found.begin(), found.end(), [&](const UserFunction& one) { return one.name == symbol.name; });
    if (!name.empty() && !known && glob_matches(glob, name)) found.push_back({std::string(symbol.name), name});
  });
  return found;
}

[[noreturn]] void refuse_function(const Probe& probe, std::size_t at, const Elf& elf, const std::string& wanted) {
  std::vector<std::string> names;
  elf.each_symbol([&](const ElfSymbol& symbol) {
    if (!symbol.function || !symbol.defined) return;
    std::string plain = plain_name(symbol.name);
    names.push_back(plain.empty() ? std::string(symbol.name) : plain);
  });
  refuse_probe(probe, at,
               cat(elf.shown(), " has no function ", wanted, suggestion(wanted, names),
                   elf.stripped() ? "; it is stripped: give an address, 0x..." : ""));
}

// FILE:REST; the file's name may not be empty.
std::pair<std::string, std::string> split_target(const Probe& probe, const char* form) {
  std::size_t colon = probe.target.find(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == probe.target.size())
    refuse_probe(probe, probe.target_at, cat("expected ", form));
  return {probe.target.substr(0, colon), probe.target.substr(colon + 1)};
}

Elf file_of(const Probe& probe, const std::string& file, std::optional<std::uint32_t> pid) {
  try {
    ElfPlace found = find_elf(file, pid);
    return Elf(found.path, found.shown);
  } catch (const Failure& failure) {
    if (failure.code() != Exit::usage) throw;
    refuse_probe(probe, probe.target_at, failure.what());
  }
}

std::uint32_t uprobe_type() {
  return static_cast<std::uint32_t>(std::atoi(read_line("/sys/bus/event_source/devices/uprobe/type").c_str()));
}

// uprobe's event, as format/retprobe and format/ref_ctr_offset say: config's bit 0, and from bit 32 on.
perf_event_attr uprobe_event(const UserPlace& place) {
  perf_event_attr event{};
  event.type = uprobe_type();
  event.config = (place.at_return ? 1 : 0) | place.semaphore << 32;
  event.config2 = place.offset;
  return event;
}

// Why a return probe may kill a program of this file: the kernel puts another return address onto the stack, which
// neither the unwinding of an exception nor Go, when it moves a stack, knows. Empty: it will not.
std::string harm_of_returns(const Elf& elf) {
  if (elf.section(".gopclntab") || elf.section(".go.buildinfo")) return "Go moves its stacks";
  bool throws = false;
  constexpr std::string_view signs[] = {"__cxa_throw", "__gxx_personality_v0", "__cxa_begin_catch",
                                        "rust_eh_personality"};
  elf.each_symbol([&](const ElfSymbol& symbol) {
    throws |= std::find(std::begin(signs), std::end(signs), symbol.name) != std::end(signs);
  });
  return throws ? "it may throw exceptions, or panic" : "";
}

std::optional<std::uint64_t> parse_hex(std::string_view text) {
  std::uint64_t value = 0;
  if (!text.starts_with("0x")) return {};
  auto [end, error] = std::from_chars(text.data() + 2, text.data() + text.size(), value, 16);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

}  // namespace

void PlaceFinder::find_user(const Probe& probe, bool at_return) {
  auto [file, function] = split_target(probe, "FILE:FUNCTION, FILE:FUNCTION+OFFSET or FILE:0xADDRESS");
  std::size_t at = probe.target_at + file.size() + 1;
  std::vector<std::optional<std::uint32_t>> processes(settings_.pids.begin(), settings_.pids.end());
  if (processes.empty()) processes.emplace_back();
  std::uint64_t offset = 0;
  std::size_t plus = function.rfind('+');
  if (plus != std::string::npos && plus > 0 && function.find("operator") == std::string::npos) {
    auto number = function.compare(plus + 1, 2, "0x") == 0 ? parse_hex(function.substr(plus + 1))
                                                           : parse_number(function.substr(plus + 1));
    if (!number) refuse_probe(probe, at + plus + 1, "expected an offset, in bytes");
    if (at_return) refuse_probe(probe, at + plus, "a return has no offset");
    offset = *number;
    function.resize(plus);
  }
  for (auto pid : processes) {
    Elf elf = file_of(probe, file, pid);
    if (auto address = parse_hex(function)) {
      auto in_file = elf.offset_of(*address + offset);
      if (at_return) refuse_probe(probe, at, "a return is probed by its function's name");
      if (!in_file) refuse_probe(probe, at, cat(elf.shown(), " has no code at that address"));
      UserPlace place{.path = elf.path(), .shown = elf.shown(), .offset = *in_file, .name = function};
      add_user(probe, place, function, pid, true);
      continue;
    }
    if (std::string harm = at_return && !force_ ? harm_of_returns(elf) : ""; !harm.empty())
      refuse_probe(probe, at,
                   cat("a probe of returns may kill ", elf.shown(), ": ", harm,
                       "; probe the entry, or say --force-uretprobe if no call of it unwinds"));
    auto functions = functions_of(elf, function);
    if (functions.empty()) refuse_function(probe, at, elf, function);
    for (const UserFunction& one : functions) {
      UserPlace place = function_place(elf, one.name, pid);
      place.at_return = at_return;
      place.offset += offset;
      if (offset) check_user_offset(probe, elf, one.name, offset);
      place.name = offset ? cat(one.shown, '+', offset) : one.shown;
      add_user(probe, place, one.shown, pid, offset > 0);
    }
  }
}

void PlaceFinder::check_user_offset(const Probe& probe, const Elf& elf, const std::string& function,
                                    std::uint64_t offset) {
  ElfSymbol symbol = elf.function(function);
  if (symbol.size && offset >= symbol.size)
    refuse_probe(probe, probe.target_at, cat("an offset into ", function, " is below ", symbol.size));
}

void PlaceFinder::add_user(const Probe& probe, UserPlace place, const std::string& function,
                           std::optional<std::uint32_t> pid, bool inside) {
  std::string file = place.shown.substr(place.shown.rfind('/') + 1);
  Spot spot{.probe = probe, .name = cat(probe.kind, ':', file, ':', place.name), .function = function};
  spot.at_return = place.at_return;
  spot.flags = place.at_return ? FETCH_POPPED : 0;
  spot.names = place.at_return ? std::vector<std::string>{"retval", "latency"}
                               : std::vector<std::string>{"arg0", "arg1", "arg2"};
  spot.resolve = [&](const Expression& expression) -> std::optional<Fetched> {
    Fetched value;
    if (auto number = argument_number(expression.text)) {
      auto steps = argument_steps(*number, false);
      if (!steps) return {};
      value.steps = *steps;
      if (place.at_return) value.refused = "arguments are gone at the return; probe the entry";
      if (inside) value.refused = "within a function the registers need not hold its arguments any more";
      return value;
    }
    if (expression.text != "retval" || !place.at_return) return {};
    value.steps = result_steps();
    return value;
  };
  Attachment attachment{.program = "hit_probe", .shown = spot.name, .cookie = 0, .probe = &probe};
  attachment.cookie = add(spot);
  attachment.event = uprobe_event(place);
  attachment.path = place.path;
  attachment.pid = pid;
  attachment.offset = inside;
  if (wants_entry_) {
    Attachment entry = attachment;
    entry.cookie = entry_cookie(attachment.cookie, plans.share(FETCH_ENTRY));
    entry.event.config &= ~1ull;
    attachments.push_back(entry);
  }
  attachments.push_back(attachment);
}

void PlaceFinder::find_usdt(const Probe& probe) {
  std::vector<Probe> one = {probe};
  UsdtSearch search(one, settings_);
  search.each([&](const UsdtProbe& found, const Elf& elf, std::optional<std::uint32_t> pid) {
    Spot spot{
        .probe = probe,
        .name = cat("usdt:", elf.shown().substr(elf.shown().rfind('/') + 1), ':', found.provider, ':', found.name),
        .function = {}};
    spot.names = usdt_argument_names(found);
    spot.resolve = [&](const Expression& expression) { return usdt_argument(probe, found, expression); };
    Attachment attachment{.program = "hit_probe", .shown = spot.name, .cookie = 0, .probe = &probe};
    attachment.cookie = add(spot);
    UserPlace place{.path = elf.path(),
                    .shown = elf.shown(),
                    .offset = found.offset,
                    .semaphore = found.semaphore,
                    .name = found.name};
    attachment.event = uprobe_event(place);
    attachment.path = place.path;
    attachment.pid = pid;
    attachments.push_back(attachment);
  });
}

}  // namespace kit
