// SPDX-License-Identifier: BSD-2-Clause
#include "returns.hpp"

#include <elf.h>

#include <algorithm>
#include <optional>

#include "instructions.hpp"
#include "kit/text.hpp"

namespace kit {
namespace {

bool understood(const Elf& elf) { return elf.machine() == EM_X86_64 && elf.bits() == 64; }

std::optional<FunctionEnds> ends_of(const Elf& elf, const FunctionCodes::Code& code) {
  std::string bytes = elf.bytes_at(code.address, code.size);
  return bytes.size() == code.size ? function_ends(bytes) : std::nullopt;
}

FunctionReturns not_known(std::string why) { return {.unknown = std::move(why), .places = {}, .jumps = {}}; }

}  // namespace

FunctionCodes::FunctionCodes(const Elf& elf) : elf_(elf) {
  elf.each_symbol([&](const ElfSymbol& symbol) {
    Code code{std::string(symbol.name), symbol.address, symbol.size};
    if (symbol.size && symbol.name.find(".cold") != symbol.name.npos) cold_.emplace(code.name, code);
    if (symbol.function && symbol.defined && !symbol.indirect) codes_.push_back(std::move(code));
  });
  std::sort(codes_.begin(), codes_.end(), [](const Code& a, const Code& b) { return a.address < b.address; });
  std::uint64_t reach = 0;
  for (const Code& code : codes_) reach_.push_back(reach = std::max(reach, code.address + code.size));
}

// The largest that holds it: some have names for parts of theirs.
const FunctionCodes::Code* FunctionCodes::at(std::uint64_t address) const {
  const Code* found = nullptr;
  auto after = std::upper_bound(codes_.begin(), codes_.end(), address,
                                [](std::uint64_t of, const Code& code) { return of < code.address; });
  for (auto i = static_cast<std::size_t>(after - codes_.begin()); i-- > 0 && reach_[i] > address;)
    if (codes_[i].holds(address) && (!found || codes_[i].size > found->size)) found = &codes_[i];
  return found;
}

// And the part that the compiler has moved away from it, as it seldom runs.
std::vector<FunctionCodes::Code> FunctionCodes::parts_of(const Code& code) const {
  std::vector<Code> parts = {code};
  std::string cold = cat(code.name, ".cold");
  for (auto at = cold_.lower_bound(cold); at != cold_.end() && at->first.starts_with(cold); ++at)
    if ((at->first == cold || at->first[cold.size()] == '.') && parts.size() < 8) parts.push_back(at->second);
  return parts;
}

FunctionReturns FunctionCodes::returns(std::uint64_t address) const {
  if (!understood(elf_)) return not_known("its instructions are not understood on this machine");
  const Code* code = at(address);
  if (!code || code->address != address) return not_known("its size is not known");
  FunctionReturns found;
  std::vector<Code> parts = parts_of(*code);
  auto add = [&](std::uint64_t at, bool jump) {
    auto offset = elf_.offset_of(at);
    if (!offset) return;
    found.places.push_back(*offset);
    if (jump) found.jumps.push_back(*offset);
  };
  for (const Code& part : parts) {
    auto ends = ends_of(elf_, part);
    if (!ends) return not_known("its instructions are not understood");
    if (ends->unknown_jump) return not_known("it jumps to addresses that are computed");
    for (std::uint64_t at : ends->returns) add(part.address + at, false);
    for (const Leave& leave : ends->leaves) {
      std::uint64_t to = part.address + static_cast<std::uint64_t>(leave.to);
      if (std::any_of(parts.begin(), parts.end(), [&](const Code& one) { return one.holds(to); })) continue;
      if (!leave.always) return not_known("on a condition it jumps to another function");
      add(part.address + leave.at, true);
    }
  }
  found.never = found.places.empty();
  if (found.never) found.unknown = "it has no instruction that returns";
  return found;
}

FunctionReturns function_returns(const Elf& elf, std::uint64_t address) { return FunctionCodes(elf).returns(address); }

std::optional<std::uint64_t> instruction_at(const Elf& elf, std::uint64_t address) {
  FunctionCodes codes(elf);
  const FunctionCodes::Code* code = codes.at(address);
  auto ends = code ? ends_of(elf, *code) : std::nullopt;
  if (!ends) return {};
  auto after = std::upper_bound(ends->starts.begin(), ends->starts.end(), address - code->address);
  return code->address + *(after - 1);
}

bool moves_stacks(const Elf& elf) { return elf.section(".gopclntab") || elf.section(".go.buildinfo"); }

std::string harm_of_returns(const Elf& elf) {
  if (moves_stacks(elf)) return "Go moves its stacks";
  bool throws = false;
  constexpr std::string_view signs[] = {"__cxa_throw", "__gxx_personality_v0", "__cxa_begin_catch",
                                        "rust_eh_personality"};
  elf.each_symbol([&](const ElfSymbol& symbol) {
    throws |= std::find(std::begin(signs), std::end(signs), symbol.name) != std::end(signs);
  });
  return throws ? "it may throw exceptions, or panic" : "";
}

}  // namespace kit
