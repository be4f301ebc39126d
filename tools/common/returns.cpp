// SPDX-License-Identifier: BSD-2-Clause
#include "returns.hpp"

#include <elf.h>

#include <algorithm>
#include <optional>

#include "instructions.hpp"
#include "kit/text.hpp"

namespace kit {
namespace {

struct Code {
  std::string name;
  std::uint64_t address = 0, size = 0;
  bool holds(std::uint64_t at) const { return at >= address && at - address < size; }
};

bool understood(const Elf& elf) { return elf.machine() == EM_X86_64 && elf.bits() == 64; }

// The function whose symbol an address is in.
std::optional<Code> code_at(const Elf& elf, std::uint64_t address) {
  std::optional<Code> found;
  elf.each_symbol([&](const ElfSymbol& symbol) {
    Code code{std::string(symbol.name), symbol.address, symbol.size};
    if (!symbol.function || !symbol.defined || symbol.indirect || !code.holds(address)) return;
    if (!found || code.size > found->size) found = code;
  });
  return found;
}

// And the part that the compiler has moved away from it, as it seldom runs.
std::vector<Code> parts_of(const Elf& elf, const Code& code) {
  std::vector<Code> parts = {code};
  std::string cold = cat(code.name, ".cold");
  elf.each_symbol([&](const ElfSymbol& symbol) {
    bool its = symbol.name == cold || symbol.name.starts_with(cat(cold, "."));
    if (its && symbol.size && parts.size() < 8)
      parts.push_back({std::string(symbol.name), symbol.address, symbol.size});
  });
  return parts;
}

std::optional<FunctionEnds> ends_of(const Elf& elf, const Code& code) {
  std::string bytes = elf.bytes_at(code.address, code.size);
  return bytes.size() == code.size ? function_ends(bytes) : std::nullopt;
}

FunctionReturns not_known(std::string why) { return {.unknown = std::move(why), .places = {}}; }

}  // namespace

FunctionReturns function_returns(const Elf& elf, std::uint64_t address) {
  if (!understood(elf)) return not_known("its instructions are not understood on this machine");
  auto code = code_at(elf, address);
  if (!code || code->address != address) return not_known("its size is not known");
  FunctionReturns found;
  std::vector<Code> parts = parts_of(elf, *code);
  auto add = [&](std::uint64_t at) {
    if (auto offset = elf.offset_of(at)) found.places.push_back(*offset);
  };
  for (const Code& part : parts) {
    auto ends = ends_of(elf, part);
    if (!ends) return not_known("its instructions are not understood");
    if (ends->unknown_jump) return not_known("it jumps to addresses that are computed");
    for (std::uint64_t at : ends->returns) add(part.address + at);
    for (const Leave& leave : ends->leaves) {
      std::uint64_t to = part.address + static_cast<std::uint64_t>(leave.to);
      if (std::any_of(parts.begin(), parts.end(), [&](const Code& one) { return one.holds(to); })) continue;
      if (!leave.always) return not_known("on a condition it jumps to another function");
      found.jumps = true;
      add(part.address + leave.at);
    }
  }
  if (found.places.empty()) return not_known("it has no instruction that returns");
  return found;
}

std::optional<std::uint64_t> instruction_at(const Elf& elf, std::uint64_t address) {
  auto code = understood(elf) ? code_at(elf, address) : std::nullopt;
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
