// SPDX-License-Identifier: BSD-2-Clause
// Places in programs and libraries: uprobe, uretprobe and usdt.
#include <cxxabi.h>
#include <elf.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <set>

#include "kit/elf.hpp"
#include "kit/ifunc.hpp"
#include "kit/kernel.hpp"
#include "kit/text.hpp"
#include "kit/usdt_places.hpp"
#include "places.hpp"
#include "returns.hpp"

namespace kit {

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

namespace {

struct UserFunction {
  ElfSymbol symbol;
  std::string shown;  // as a user knows it
};

// One for each address: constructors and destructors have several names there (C1 and C2, D1 and D2), and several
// static functions may have one.
std::vector<UserFunction> functions_of(const Elf& elf, const std::string& glob) {
  std::vector<UserFunction> found;
  std::set<std::uint64_t> seen;
  for (const ElfSymbol& symbol : elf.functions(glob))
    if (seen.insert(symbol.address).second) found.push_back({symbol, std::string(symbol.name)});
  if (!found.empty() && glob.find("::") == glob.npos) return found;
  elf.each_symbol([&](const ElfSymbol& symbol) {
    if (!symbol.function || !symbol.defined || seen.contains(symbol.address)) return;
    std::string name = plain_name(symbol.name);
    if (name.empty() || !glob_matches(glob, name)) return;
    seen.insert(symbol.address);
    found.push_back({symbol, name});
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

std::string file_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

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

struct Asked {
  bool returns, force, inside, stacks;
};

// What is asked of a file's code, once for all of its functions.
class FileCode {
 public:
  explicit FileCode(const Elf& elf) : elf_(elf) {}
  const Elf& elf() const { return elf_; }
  const FunctionCodes& functions() { return functions_ ? *functions_ : functions_.emplace(elf_); }
  const std::string& harm() { return harm_ ? *harm_ : harm_.emplace(harm_of_returns(elf_)); }

 private:
  const Elf& elf_;
  std::optional<FunctionCodes> functions_;
  std::optional<std::string> harm_;
};

bool names(const Expression& expression, std::string_view name) {
  return (expression.kind == Expression::Kind::name && expression.text == name) ||
         std::any_of(expression.of.begin(), expression.of.end(),
                     [&](const Expression& part) { return names(part, name); });
}

bool names(const Probe& probe, std::string_view name) {
  return (probe.filter && names(*probe.filter, name)) ||
         std::any_of(probe.shown.begin(), probe.shown.end(),
                     [&](const ShownExpression& shown) { return names(shown.expression, name); });
}

// Where a function's returns are probed. The kernel's own way, which changes the stack, is the last resort: where it
// is not known how a function returns, or where one that it ends in a jump to does. Of a function that calls nothing it
// is the first, for there it costs less and harms nobody. Gives why they cannot be; empty: they can.
std::string find_returns(const Probe& probe, FileCode& code, Asked asked, UserSpot& user) {
  user.place.at_return = true;
  if (asked.force) return {};
  std::string harm = returns_oddly(user.function) ? "it may return twice" : code.harm();
  auto address = code.elf().address_of(user.place.offset);
  FunctionReturns returns =
      address ? code.functions().returns(*address) : FunctionReturns{.unknown = "it has no address", .places = {}};
  if (!returns.jumps.empty() && harm.empty() && (names(probe, "latency") || names(probe, "retval"))) return {};
  bool at_once = std::find(returns.places.begin(), returns.places.end(), user.place.offset) != returns.places.end();
  if (returns.leaf && !asked.stacks && !returns_oddly(user.function) && !moves_stacks(code.elf())) return {};
  if (returns.unknown.empty()) {
    user.place.at_return = false;
    user.returns = returns.places;
    if (!returns.jumps.empty())
      user.no_result = user.no_latency =
          "the function ends in a jump to another, and what that does is not known here; probe that one, or say "
          "--force-uretprobe if nothing unwinds through it";
    else if (moves_stacks(code.elf()))
      user.no_latency = "Go moves its stacks: which call it is that returns is not known";
    else if (at_once)
      user.no_latency = "the function's first instruction is its last: such a call takes no time that could be told";
    return {};
  }
  if (harm.empty()) return {};
  std::string name = user.one_of_many ? "it" : user.function;
  return cat("a probe of returns may kill ", code.elf().shown(), " (", harm, "), and where ", name,
             " returns cannot be told: ", returns.unknown,
             "; probe the entry, or say --force-uretprobe if no call of it unwinds");
}

// Why what is asked for at its return is not known there; empty: it is.
std::string unknown_at_return(const Probe& probe, const UserSpot& user) {
  return names(probe, "latency") ? user.no_latency : names(probe, "retval") ? user.no_result : "";
}

// Whether a name may be one of a parameter, and so the debug information is to be asked.
bool asks_by_name(const Expression& expression) {
  static const std::set<std::string_view> others = {"retval", "latency", "func", "probe", "args"};
  if (expression.kind == Expression::Kind::name)
    return !others.contains(expression.text) && !argument_number(expression.text) && !task_value(expression);
  bool of_args = expression.kind == Expression::Kind::member && expression.of[0].text == "args";
  return of_args || std::any_of(expression.of.begin(), expression.of.end(), asks_by_name);
}

bool asks_by_name(const Probe& probe) {
  return (probe.filter && asks_by_name(*probe.filter)) ||
         std::any_of(probe.shown.begin(), probe.shown.end(),
                     [](const ShownExpression& shown) { return asks_by_name(shown.expression); });
}

std::optional<Fetched> described_value(const DwarfFunction* function, const std::string& name) {
  if (!function) return {};
  const DwarfValue* value = name == "retval" ? &function->result : nullptr;
  for (const DwarfValue& one : function->parameters)
    if (one.name == name) value = &one;
  if (!value || (value->steps.empty() && value->refused.empty())) return {};
  Fetched fetched = typed_value(function->types, value->type, value->steps, false);
  if (!value->refused.empty()) fetched.refused = value->refused;
  return fetched;
}

// A place that is named by its distance, or address, is not to be inside an instruction: the program would be broken.
void check_place(const Probe& probe, std::size_t at, const Elf& elf, std::uint64_t address) {
  auto begins = instruction_at(elf, address);
  if (begins && *begins != address)
    refuse_probe(probe, at,
                 cat("that is inside an instruction, which begins ", address - *begins,
                     " bytes before; the program "
                     "would be broken"));
  if (is_mistaken(elf, address)) refuse_probe(probe, at, cat("that is ", mistaken_text));
}

UserPlace address_place(const Probe& probe, std::size_t at, const Elf& elf, const std::string& name,
                        std::uint64_t address) {
  auto in_file = elf.offset_of(address);
  if (!in_file) refuse_probe(probe, at, cat(elf.shown(), " has no code at that address"));
  check_place(probe, at, elf, address);
  return {.path = elf.path(), .shown = elf.shown(), .offset = *in_file, .name = name};
}

// Gives why that cannot be probed; empty: it can.
std::string find_beginning(FileCode& code, UserSpot& user) {
  auto address = code.elf().address_of(user.place.offset);
  if (!address || !may_begin_elsewhere(code.elf(), *address)) return {};
  user.beginning = code.functions().beginning(*address);
  user.cheap_with_stacks = makes_frame(code.elf(), *address + user.beginning.cheap);
  return user.beginning.harmful ? cat("it begins with ", mistaken_text) : std::string();
}

// What is known of a function's beginning and end. Gives why it cannot be probed as asked; empty: it can.
std::string look_at(const Probe& probe, FileCode& code, Asked asked, UserSpot& user) {
  std::string refused = asked.returns ? find_returns(probe, code, asked, user) : "";
  if (refused.empty() && user.one_of_many) refused = unknown_at_return(probe, user);
  return refused.empty() && !asked.inside ? find_beginning(code, user) : refused;
}

void find_inside(const Probe& probe, const Elf& elf, const ElfSymbol& symbol, std::uint64_t offset, UserSpot& user) {
  if (symbol.size && offset >= symbol.size)
    refuse_probe(probe, probe.target_at, cat("an offset into ", user.function, " is below ", symbol.size));
  user.place.offset += offset;
  user.inside = true;
  if (auto address = elf.address_of(user.place.offset)) check_place(probe, probe.target_at, elf, *address);
}

std::vector<std::string> user_names(const Probe& probe, const UserSpot& user, bool at_return) {
  if (at_return) return {"retval", "latency"};
  std::vector<std::string> names = {"arg0", "arg1", "arg2"};
  const DwarfFunction* function = user.described && asks_by_name(probe) ? user.described() : nullptr;
  for (std::size_t i = 0; function && i < function->parameters.size(); i++)
    if (!function->parameters[i].name.empty()) names.push_back(function->parameters[i].name);
  return names;
}

std::optional<Fetched> user_value(const Expression& expression, const UserSpot& user, bool at_return) {
  auto number = argument_number(expression.text);
  bool result = expression.text == "retval" && at_return;
  Fetched value;
  value.bits = user.narrow ? 32 : 64;
  value.address = true;
  if (number) {
    auto steps = user.narrow ? narrow_argument_steps(*number) : argument_steps(*number, false);
    if (!steps) return {};
    value.steps = *steps;
  } else {
    if (!result && !asks_by_name(expression)) return {};
    auto described = described_value(user.described ? user.described() : nullptr, expression.text);
    if (!described && !result) return {};
    if (result) value.steps = user.narrow ? narrow_result_steps() : result_steps();
    if (described) value = *described;
    if (result && !user.no_result.empty()) value.refused = user.no_result;
    if (result) return value;
  }
  if (at_return) value.refused = "arguments are gone at the return; probe the entry";
  if (user.inside) value.refused = "within a function the registers need not hold its arguments any more";
  return value;
}

}  // namespace

// Kept: what was fetched of it refers to its types.
DwarfFunctions& PlaceFinder::describe(const std::string& path) {
  auto [found, fresh] = described_.try_emplace(path);
  if (fresh) found->second = std::make_unique<DwarfFunctions>(path);
  return *found->second;
}

perf_event_attr uprobe_event(const UserPlace& place) {
  perf_event_attr event{};
  event.type = uprobe_type();
  event.config = (place.at_return ? 1 : 0) | place.semaphore << 32;
  event.config2 = place.offset;
  return event;
}

void PlaceFinder::find_user(const Probe& probe, bool at_return) {
  auto [file, function] = split_target(probe, "FILE:FUNCTION, FILE:FUNCTION+OFFSET or FILE:0xADDRESS");
  std::size_t at = probe.target_at + file.size() + 1;
  std::vector<std::optional<std::uint32_t>> processes(settings_.pids.begin(), settings_.pids.end());
  if (processes.empty()) processes.emplace_back();
  std::uint64_t offset = 0;
  std::size_t plus = function.rfind('+');
  if (plus != std::string::npos && plus > 0 && function.find("operator") == std::string::npos) {
    auto number = parse_offset(std::string_view(function).substr(plus + 1));
    if (!number) refuse_probe(probe, at + plus + 1, "expected an offset, in bytes");
    if (at_return) refuse_probe(probe, at + plus, "a return has no offset");
    offset = *number;
    function.resize(plus);
  }
  std::size_t first = attachments.size();
  for (auto pid : processes) {
    Elf elf = file_of(probe, file, pid);
    DwarfFunctions& described = describe(elf.path());
    UserSpot user{.place = {}, .function = function, .pid = pid};
    user.narrow = elf.machine() == EM_386;
    user.one_of_many = is_glob(function);
    if (auto address = parse_hex(function)) {
      if (at_return) refuse_probe(probe, at, "a return is probed by its function's name");
      user.place = address_place(probe, at, elf, function, *address + offset);
      user.inside = true;
      add_user(probe, user);
      continue;
    }
    auto functions = functions_of(elf, function);
    std::size_t before = attachments.size();
    if (functions.empty()) refuse_function(probe, at, elf, function);
    FileCode code(elf);
    bool stacks = demand_.user_stacks || (demand_.stacks && demand_.stacks->user_beneath()) || names(probe, "ustack");
    for (const UserFunction& one : functions) {
      auto place = place_of(elf, one.symbol, pid, user.one_of_many);
      if (!place) continue;
      UserSpot found = user;
      found.place = *place;
      found.function = one.shown;
      std::string refused =
          look_at(probe, code, {.returns = at_return, .force = force_, .inside = offset > 0, .stacks = stacks}, found);
      if (!refused.empty()) {
        if (!user.one_of_many) refuse_probe(probe, at, refused);
        left_out.emplace_back(cat(file_name(elf.shown()), ':', one.shown), refused);
        continue;
      }
      if (offset) find_inside(probe, elf, one.symbol, offset, found);
      found.place.name = offset ? cat(one.shown, '+', offset) : one.shown;
      if (!user.narrow)
        found.described = [&, function = std::optional<DwarfFunction>(), asked = false]() mutable {
          if (!std::exchange(asked, true)) function = described.at(one.symbol.address);
          return function ? &*function : nullptr;
        };
      add_user(probe, found);
    }
    if (attachments.size() == before)
      refuse_probe(probe, at, cat("no function that matches can be probed: ", left_out.back().second));
  }
  join_user(first);
}

void PlaceFinder::add_user(const Probe& probe, const UserSpot& user) {
  const UserPlace& place = user.place;
  bool at_return = place.at_return || !user.returns.empty();
  Spot spot{
      .probe = probe, .name = cat(probe.kind, ':', file_name(place.shown), ':', place.name), .function = user.function};
  spot.at_return = at_return;
  spot.no_latency = user.no_latency;
  // Of a uretprobe alone: at the instruction that returns the address is still there.
  if (place.at_return) spot.flags |= FETCH_POPPED;
  if (user.narrow) spot.flags |= FETCH_NARROW;
  spot.names = user_names(probe, user, at_return);
  spot.resolve = [&](const Expression& expression) { return user_value(expression, user, at_return); };
  Attachment attachment{.program = "hit_probe", .shown = spot.name, .cookie = 0, .probe = &probe};
  attachment.cookie = add(spot);
  attachment.event = uprobe_event(place);
  attachment.path = place.path;
  attachment.pid = user.pid;
  attachment.offset = user.inside;
  attachment.one_of_many = user.one_of_many;
  bool cheap = !takes_user_stack_ || user.cheap_with_stacks;
  attachment.event.config2 += cheap ? user.beginning.cheap : user.beginning.first;
  if (wants_entry_) {
    Attachment entry = attachment;
    entry.cookie = entry_cookie(attachment.cookie, plans.share(FETCH_ENTRY | (spot.flags & FETCH_NARROW)));
    entry.event.config &= ~1ull;
    attachments.push_back(entry);
  }
  if (user.returns.empty()) attachments.push_back(attachment);
  for (std::uint64_t offset : user.returns) {
    attachment.event.config2 = offset;
    attachments.push_back(attachment);
  }
}

std::vector<Attachment> joined(std::vector<Attachment> alone) {
  auto joins = [](const Attachment& one) {
    return one.program == "hit_probe" && !one.offset && (!one.pid || has_uprobe_multi_of_process());
  };
  if (alone.size() < 2 || !has_uprobe_multi()) return alone;
  std::vector<Attachment> all;
  for (Attachment& one : alone) {
    if (!joins(one)) {
      all.push_back(std::move(one));
      continue;
    }
    bool at_return = one.event.config & 1;
    auto same = std::find_if(all.begin(), all.end(), [&](const Attachment& many) {
      return many.program == "hit_uprobe_multi" && many.path == one.path && many.pid == one.pid &&
             many.at_return == at_return;
    });
    if (same == all.end()) {
      Attachment many{.program = "hit_uprobe_multi", .shown = one.shown, .cookie = 0, .probe = one.probe};
      many.path = one.path;
      many.pid = one.pid;
      many.one_of_many = one.one_of_many;
      many.at_return = at_return;
      same = all.insert(same, std::move(many));
    }
    same->functions.push_back(one.shown);
    same->offsets.push_back(one.event.config2);
    same->semaphores.push_back(one.event.config >> 32);
    same->cookies.push_back(one.cookie);
  }
  return all;
}

void PlaceFinder::join_user(std::size_t first) {
  auto begin = std::make_move_iterator(attachments.begin() + static_cast<std::ptrdiff_t>(first));
  std::vector<Attachment> all = joined({begin, std::make_move_iterator(attachments.end())});
  attachments.resize(first);
  std::move(all.begin(), all.end(), std::back_inserter(attachments));
}

// Of one that is chosen when programs start nobody may know which it is: among many, it is left out.
std::optional<UserPlace> PlaceFinder::place_of(const Elf& elf, const ElfSymbol& symbol,
                                               std::optional<std::uint32_t> pid, bool one_of_many) {
  try {
    return function_place(elf, symbol, pid);
  } catch (const Failure& failure) {
    if (!one_of_many) throw;
    left_out.emplace_back(cat(file_name(elf.shown()), ':', symbol.name), "nobody tells which function it is (IFUNC)");
    return {};
  }
}

void PlaceFinder::find_usdt(const Probe& probe) {
  std::vector<Probe> one = {probe};
  UsdtSearch search(one, settings_);
  std::size_t first = attachments.size();
  search.each([&](const UsdtProbe& found, const Elf& elf, std::optional<std::uint32_t> pid) {
    Spot spot{.probe = probe,
              .name = cat("usdt:", file_name(elf.shown()), ':', found.provider, ':', found.name),
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
  join_user(first);
}

}  // namespace kit
