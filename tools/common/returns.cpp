// SPDX-License-Identifier: BSD-2-Clause
#include "returns.hpp"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "kit/text.hpp"
#include "kit/uprobe.hpp"

namespace kit {
namespace {

bool understood(const Elf& elf) { return elf.machine() == EM_X86_64 && elf.bits() == 64; }

std::optional<FunctionEnds> ends_of(const Elf& elf, const FunctionCodes::Code& code) {
  std::string bytes = elf.bytes_at(code.address, code.size);
  return bytes.size() == code.size ? function_ends(bytes) : std::nullopt;
}

constexpr std::size_t longest_instruction = 15;

std::optional<Instruction> first_of(const Elf& elf, std::uint64_t address) {
  return understood(elf) ? decode_instruction(elf.bytes_at(address, longest_instruction)) : std::nullopt;
}

template <typename Number>
Number number_at(std::string_view bytes, std::size_t at) {
  Number number{};
  if (at + sizeof number <= bytes.size()) std::memcpy(&number, bytes.data() + at, sizeof number);
  return number;
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
  bool calls = false;
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
    calls |= ends->calls;
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
  found.leaf = !calls && !found.never && found.jumps.empty();
  if (found.never) found.unknown = "it has no instruction that returns";
  return found;
}

std::uint64_t described_size(const Elf& elf, std::uint64_t address) {
  auto where = elf.segment(PT_GNU_EH_FRAME);
  if (!where) return 0;
  constexpr std::string_view usual("\x01\x1b\x03\x3b", 4);
  constexpr std::size_t count_at = 8, rows_at = 12, row_size = 8, begin_at = 8, range_at = 12;
  std::string table = elf.bytes_at(where->address, where->file_size);
  if (!table.starts_with(usual)) return 0;
  auto begin_of = [&](std::size_t row) {
    return where->address + static_cast<std::uint64_t>(number_at<std::int32_t>(table, rows_at + row * row_size));
  };
  std::size_t low = 0, high = number_at<std::uint32_t>(table, count_at);
  while (low < high) {
    std::size_t middle = (low + high) / 2;
    if (begin_of(middle) < address)
      low = middle + 1;
    else
      high = middle;
  }
  std::uint64_t at = where->address + static_cast<std::uint64_t>(number_at<std::int32_t>(
                                          table, rows_at + low * row_size + sizeof(std::int32_t)));
  std::string entry = elf.bytes_at(at, range_at + sizeof(std::uint32_t));
  std::uint64_t begins = at + begin_at + static_cast<std::uint64_t>(number_at<std::int32_t>(entry, begin_at));
  return begins == address ? number_at<std::uint32_t>(entry, range_at) : 0;
}

Beginning FunctionCodes::beginning(std::uint64_t address) const {
  if (!may_begin_elsewhere(elf_, address)) return {};
  const Code* code = at(address);
  std::uint64_t size = code && code->address == address ? code->size : code ? 0 : described_size(elf_, address);
  // Up to another's beginning, which is called by itself.
  auto next = std::upper_bound(codes_.begin(), codes_.end(), address,
                               [](std::uint64_t of, const Code& one) { return of < one.address; });
  Beginning found = beginning_of(elf_.bytes_at(address, size));
  if (size && (next == codes_.end() || next->address > address + found.cheap)) return found;
  return {.harmful = is_mistaken(elf_, address)};
}

UserPlace beginning_place(const Elf& elf, UserPlace place) {
  auto address = elf.address_of(place.offset);
  if (!address || !may_begin_elsewhere(elf, *address)) return place;
  Beginning beginning = FunctionCodes(elf).beginning(*address);
  if (beginning.harmful)
    throw Failure(Exit::unsupported,
                  cat("cannot probe ", place.name, " in ", place.shown, ": it begins with ", mistaken_text));
  place.offset += beginning.cheap;
  return place;
}

bool may_begin_elsewhere(const Elf& elf, std::uint64_t address) {
  auto first = first_of(elf, address);
  return first && (first->vector || (first->idle && !first->emulated));
}

bool begins_with_vector(const Elf& elf, std::uint64_t address) {
  auto first = first_of(elf, address);
  return first && first->vector;
}

bool is_mistaken(const Elf& elf, std::uint64_t address) {
  auto first = first_of(elf, address);
  return first && first->mistaken;
}

bool makes_frame(const Elf& elf, std::uint64_t address) {
  constexpr std::string_view push_rbp = "\x55";
  return understood(elf) && elf.bytes_at(address, 1) == push_rbp;
}

std::optional<std::uint64_t> instruction_at(const Elf& elf, std::uint64_t address) {
  FunctionCodes codes(elf);
  const FunctionCodes::Code* code = codes.at(address);
  auto ends = code ? ends_of(elf, *code) : std::nullopt;
  if (!ends) return {};
  auto after = std::upper_bound(ends->starts.begin(), ends->starts.end(), address - code->address);
  return code->address + *(after - 1);
}

bool moves_stacks(const Elf& elf) { return elf.section(".gopclntab") || elf.section(".go.buildinfo"); }

bool returns_oddly(std::string_view name) {
  for (const char* part : {"setjmp", "longjmp", "context", "vfork", "clone", "restore_rt", "dl_runtime", "dl_tls",
                           "dlsym", "dlvsym", "dlopen", "dlmopen", "backtrace", "mcount", "__fentry__"})
    if (name.find(part) != name.npos) return true;
  return false;
}

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
