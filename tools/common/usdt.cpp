// SPDX-License-Identifier: BSD-2-Clause
// Reads USDT notes: a note of owner "stapsdt" and type 3 in .note.stapsdt holds the probe's address, that of
// .stapsdt.base as it was when linked, the semaphore's address (each as wide as the file's addresses), then provider,
// name and arguments, each with its NUL. A tool that moves sections after linking moves .stapsdt.base, too, and so
// tells by how much the addresses have changed.
#include "kit/usdt.hpp"

#include <elf.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <tuple>

#include "kit/text.hpp"

namespace kit {
namespace {

constexpr std::uint32_t stapsdt_type = 3;

// A register: where the kernel's pt_regs has it, and which of its bits.
struct Register {
  int offset = 0, bits = 64, shift = 0;
};

// x86_64's struct pt_regs: 21 words, in this order.
constexpr std::array<std::string_view, 21> x86_words = {"r15", "r14", "r13", "r12", "bp",    "bx", "r11",
                                                        "r10", "r9",  "r8",  "ax",  "cx",    "dx", "si",
                                                        "di",  "",    "ip",  "cs",  "flags", "sp", "ss"};

int x86_offset(std::string_view base) {
  for (std::size_t i = 0; i < x86_words.size(); i++)
    if (!base.empty() && x86_words[i] == base) return static_cast<int>(i) * 8;
  return -1;
}

// "rdi", "edi", "di", "dil", "ah", "r10", "r10d", "r10w", "r10b", "rip".
std::optional<Register> x86_register(std::string_view name) {
  if (name.size() == 2 && name[1] == 'h' && std::string_view("abcd").find(name[0]) != std::string_view::npos)
    return Register{x86_offset(cat(name[0], 'x')), 8, 8};
  if (name.size() == 2 && name[1] == 'l' && std::string_view("abcd").find(name[0]) != std::string_view::npos)
    return Register{x86_offset(cat(name[0], 'x')), 8, 0};
  if (name.size() == 3 && name[2] == 'l' && x86_offset(name.substr(0, 2)) >= 0)
    return Register{x86_offset(name.substr(0, 2)), 8, 0};
  if (name.size() > 1 && name[0] == 'r' && name[1] >= '0' && name[1] <= '9') {
    int bits = name.back() == 'd' ? 32 : name.back() == 'w' ? 16 : name.back() == 'b' ? 8 : 64;
    int offset = x86_offset(bits == 64 ? name : name.substr(0, name.size() - 1));
    return offset < 0 ? std::nullopt : std::optional(Register{offset, bits, 0});
  }
  int bits = name.starts_with('r') ? 64 : name.starts_with('e') ? 32 : 16;
  int offset = x86_offset(bits == 16 ? name : name.substr(1));
  return offset < 0 ? std::nullopt : std::optional(Register{offset, bits, 0});
}

// arm64's struct user_pt_regs: x0 to x30, sp, pc.
std::optional<Register> arm64_register(std::string_view name) {
  if (name == "sp") return Register{31 * 8, 64, 0};
  if (name == "xzr" || name == "wzr") return {};
  if (name.size() < 2 || (name[0] != 'x' && name[0] != 'w')) return {};
  auto number = parse_number(name.substr(1));
  if (!number || *number > 30) return {};
  return Register{static_cast<int>(*number) * 8, name[0] == 'w' ? 32 : 64, 0};
}

std::optional<std::int64_t> signed_number(std::string_view text) {
  bool minus = text.starts_with('-');
  if (minus || text.starts_with('+')) text.remove_prefix(1);
  int base = text.starts_with("0x") ? 16 : 10;
  if (base == 16) text.remove_prefix(2);
  std::uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return {};
  return static_cast<std::int64_t>(minus ? 0 - value : value);
}

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

// Reads one argument's place into steps.
class ArgumentParser {
 public:
  using SymbolAddress = std::function<std::optional<std::uint64_t>(std::string_view)>;
  ArgumentParser(UsdtArgument& argument, unsigned machine, std::uint64_t address, const SymbolAddress& symbol)
      : argument_(argument), machine_(machine), address_(address), symbol_(symbol) {}

  void parse(std::string_view text) {
    std::size_t at = text.find('@');
    std::string_view place = trimmed(text.substr(at == text.npos ? 0 : at + 1));
    if (at != text.npos && at > 0) {
      std::string_view size = text.substr(0, at);
      if (size.ends_with('f')) return refuse("floating-point arguments cannot be read");
      auto bytes = signed_number(size);
      if (!bytes || (*bytes != 1 && *bytes != 2 && *bytes != 4 && *bytes != 8 && *bytes != -1 && *bytes != -2 &&
                     *bytes != -4 && *bytes != -8))
        return refuse("its size is not one of 1, 2, 4 and 8");
      argument_.is_signed = *bytes < 0;
      argument_.bits = static_cast<int>(*bytes < 0 ? -*bytes : *bytes) * 8;
    } else {
      argument_.bits = machine_ == EM_386 ? 32 : 64;
    }
    bool known = machine_ == EM_AARCH64 ? arm64(place)
                 : machine_ == EM_X86_64 || machine_ == EM_386
                     ? x86(place)
                     : (refuse("arguments of this architecture are not known"), true);
    if (!known) refuse("its place is written in a way that is not known");
    if (argument_.refused.empty() && argument_.bits < 64)
      push({.op = FETCH_CAST,
            .index = 0,
            .size = static_cast<__u8>(argument_.bits),
            .flag = argument_.is_signed,
            .offset = 0,
            .number = 0});
  }

 private:
  void refuse(std::string why) {
    argument_.refused = std::move(why);
    argument_.steps.clear();
  }
  void push(fetch_step step) { argument_.steps.push_back(step); }

  void constant(std::int64_t value) {
    push({.op = FETCH_CONSTANT, .index = 0, .size = 0, .flag = 0, .offset = 0, .number = static_cast<__u64>(value)});
  }
  void add(std::int64_t value) {
    if (value)
      push({.op = FETCH_ADD, .index = 0, .size = 0, .flag = 0, .offset = 0, .number = static_cast<__u64>(value)});
  }
  // A register's bits; of an address in a 32-bit program, all 32 of them.
  void of_register(const Register& one) {
    push({.op = FETCH_REGISTER, .index = 0, .size = 0, .flag = 0, .offset = one.offset, .number = 0});
    if (one.shift)
      push({.op = FETCH_SHIFT, .index = 0, .size = static_cast<__u8>(one.shift), .flag = 0, .offset = 0, .number = 0});
  }
  void add_register(const Register& one, int shift) {
    push({.op = FETCH_ADD_REGISTER,
          .index = 0,
          .size = static_cast<__u8>(shift),
          .flag = 0,
          .offset = one.offset,
          .number = 0});
  }
  void read() {
    push({.op = FETCH_READ_USER,
          .index = 0,
          .size = static_cast<__u8>(argument_.bits / 8),
          .flag = 0,
          .offset = 0,
          .number = 0});
  }

  bool x86(std::string_view place) {
    if (place.starts_with('$')) {
      auto value = signed_number(place.substr(1));
      if (value) constant(*value);
      return value.has_value();
    }
    if (place.starts_with("%xmm") || place.starts_with("%ymm") || place.starts_with("%st"))
      return refuse("floating-point arguments cannot be read"), true;
    if (place.starts_with('%')) {
      auto one = x86_register(place.substr(1));
      if (one) of_register(*one);
      return one.has_value();
    }
    std::size_t open = place.find('(');
    if (open == place.npos || !place.ends_with(')')) return false;
    return x86_memory(trimmed(place.substr(0, open)), place.substr(open + 1, place.size() - open - 2));
  }

  // DISPLACEMENT(%BASE,%INDEX,SCALE), of which parts may be missing; or SYMBOL+N(%rip).
  bool x86_memory(std::string_view displacement, std::string_view inside) {
    auto parts = split(inside, ',');
    std::string_view base = trimmed(parts[0]);
    if (base == "%rip") return relative(displacement);
    auto number = displacement.empty() ? std::optional<std::int64_t>(0) : signed_number(displacement);
    if (!number || parts.size() > 3) return false;
    if (base.empty()) {
      constant(0);
    } else {
      auto one = base.starts_with('%') ? x86_register(base.substr(1)) : std::nullopt;
      if (!one) return false;
      of_register(*one);
    }
    if (parts.size() > 1) {
      std::string_view index = trimmed(parts[1]);
      auto one = index.starts_with('%') ? x86_register(index.substr(1)) : std::nullopt;
      auto scale = parts.size() > 2 ? signed_number(trimmed(parts[2])) : std::optional<std::int64_t>(1);
      if (!one || !scale || (*scale != 1 && *scale != 2 && *scale != 4 && *scale != 8)) return false;
      add_register(*one, *scale == 8 ? 3 : static_cast<int>(*scale / 2));
    }
    add(*number);
    if (machine_ == EM_386) push({.op = FETCH_CAST, .index = 0, .size = 32, .flag = 0, .offset = 0, .number = 0});
    read();
    return true;
  }

  // A variable of the file, as far from here as when it was linked.
  bool relative(std::string_view text) {
    std::size_t sign = text.find_first_of("+-", 1);
    std::string_view name = trimmed(text.substr(0, sign));
    std::optional<std::int64_t> more =
        sign == text.npos ? std::optional<std::int64_t>(0) : signed_number(text.substr(sign));
    auto number = signed_number(text);
    auto where = number ? std::nullopt : symbol_(name);
    if (number) return refuse("it is relative to an instruction that is not known"), true;
    if (!more) return false;
    if (!where) return refuse(cat("the variable ", name, " is not among the file's symbols")), true;
    of_register({x86_offset("ip"), 64, 0});
    add(static_cast<std::int64_t>(*where - address_) + *more);
    read();
    return true;
  }

  bool arm64(std::string_view place) {
    if (place.starts_with('[') && place.ends_with(']')) {
      auto parts = split(place.substr(1, place.size() - 2), ',');
      auto base = arm64_register(trimmed(parts[0]));
      if (!base || parts.size() > 2) return false;
      of_register(*base);
      if (parts.size() == 2) {
        std::string_view second = trimmed(parts[1]);
        if (second.starts_with('#')) second.remove_prefix(1);
        auto more = signed_number(second);
        auto index = more ? std::nullopt : arm64_register(second);
        if (!more && !index) return false;
        if (index) add_register(*index, 0);
        if (more) add(*more);
      }
      read();
      return true;
    }
    if (place.starts_with('#')) place.remove_prefix(1);
    if (auto value = signed_number(place)) return constant(*value), true;
    if (place == "xzr" || place == "wzr") return constant(0), true;
    auto one = arm64_register(place);
    if (one) of_register(*one);
    return one.has_value();
  }

  UsdtArgument& argument_;
  unsigned machine_;
  std::uint64_t address_;
  const SymbolAddress& symbol_;
};

// Reads a note's words and texts from front to back.
struct NoteReader {
  std::string_view bytes;
  bool whole = true;

  std::uint64_t word(std::size_t size) {
    std::uint64_t value = 0;
    if (bytes.size() < size) return whole = false, 0;
    std::memcpy(&value, bytes.data(), size);
    bytes.remove_prefix(size);
    return value;
  }
  std::string_view text() {
    std::size_t end = bytes.find('\0');
    if (end == bytes.npos) return whole = false, std::string_view{};
    std::string_view one = bytes.substr(0, end);
    bytes.remove_prefix(end + 1);
    return one;
  }
};

}  // namespace

std::vector<std::string_view> split_usdt_arguments(std::string_view text) {
  std::vector<std::string_view> all;
  std::size_t begin = 0;
  int depth = 0;
  for (std::size_t i = 0; i <= text.size(); i++) {
    char c = i < text.size() ? text[i] : ' ';
    if (c == '[' || c == '(') depth++;
    if (c == ']' || c == ')') depth--;
    if (c != ' ' || (depth > 0 && i < text.size())) continue;
    if (i > begin) all.push_back(text.substr(begin, i - begin));
    begin = i + 1;
  }
  return all;
}

UsdtArgument parse_usdt_argument(std::string_view text, unsigned machine, std::uint64_t address,
                                 const std::function<std::optional<std::uint64_t>(std::string_view)>& symbol_address) {
  UsdtArgument argument;
  argument.text = text;
  ArgumentParser(argument, machine, address, symbol_address).parse(text);
  return argument;
}

std::vector<UsdtProbe> usdt_probes(const Elf& elf) {
  std::vector<UsdtProbe> all;
  auto base = elf.section(".stapsdt.base");
  std::size_t width = elf.bits() / 8;
  std::map<std::string, std::uint64_t, std::less<>> symbols;
  auto symbol_address = [&](std::string_view name) -> std::optional<std::uint64_t> {
    if (symbols.empty())
      elf.each_symbol([&](const ElfSymbol& one) {
        if (one.defined) symbols.emplace(one.name, one.address);
      });
    auto found = symbols.find(name);
    return found == symbols.end() ? std::nullopt : std::optional(found->second);
  };
  for (const ElfNote& note : elf.notes()) {
    if (note.owner != "stapsdt" || note.type != stapsdt_type) continue;
    NoteReader reader{note.description};
    std::uint64_t address = reader.word(width), linked = reader.word(width), semaphore = reader.word(width);
    UsdtProbe probe{.provider = std::string(reader.text()), .name = std::string(reader.text())};
    std::string_view arguments = reader.text();
    std::uint64_t moved = base ? base->address - linked : 0;
    probe.address = address + moved;
    auto offset = elf.offset_of(probe.address);
    if (!reader.whole || !offset) continue;
    probe.offset = *offset;
    if (semaphore) probe.semaphore = elf.offset_of(semaphore + moved).value_or(0);
    for (std::string_view one : split_usdt_arguments(arguments))
      probe.arguments.push_back(parse_usdt_argument(one, elf.machine(), probe.address, symbol_address));
    all.push_back(std::move(probe));
  }
  std::stable_sort(all.begin(), all.end(), [](const UsdtProbe& a, const UsdtProbe& b) {
    return std::tie(a.provider, a.name, a.address) < std::tie(b.provider, b.name, b.address);
  });
  return all;
}

}  // namespace kit
