// SPDX-License-Identifier: BSD-2-Clause
// What plans fetched, as cells; and how that is done as text, for captures.
#include <arpa/inet.h>

#include <algorithm>

#include "kit/names.hpp"
#include "kit/probe.hpp"
#include "kit/text.hpp"

namespace kit {
namespace {

std::uint64_t lowest(std::uint64_t value, int bits) {
  unsigned spare = 64 - static_cast<unsigned>(std::clamp(bits, 1, 64));
  return value << spare >> spare;
}

std::int64_t extended(std::uint64_t value, int bits) {
  unsigned spare = 64 - static_cast<unsigned>(std::clamp(bits, 1, 64));
  return static_cast<std::int64_t>(value << spare) >> spare;
}

struct NamedNumber {
  std::int64_t number;
  std::string_view name;
};

// Of "1=A,2=B".
std::vector<NamedNumber> named_numbers(std::string_view names) {
  std::vector<NamedNumber> all;
  for (std::string_view one : split(names, ',')) {
    std::size_t sign = one.find('=');
    if (sign == one.npos) continue;
    all.push_back({std::strtoll(std::string(one.substr(0, sign)).c_str(), nullptr, 0), one.substr(sign + 1)});
  }
  return all;
}

Cell enum_cell(const ShownValue& shown, std::uint64_t value) {
  for (const NamedNumber& one : named_numbers(shown.more))
    if (lowest(static_cast<std::uint64_t>(one.number), shown.bits) == lowest(value, shown.bits))
      return Cell::owned(std::string(one.name));
  return Cell::owned(std::to_string(extended(value, shown.bits)));
}

Cell flags_cell(const ShownValue& shown, std::uint64_t value) {
  if (shown.more.empty()) return Cell::owned(open_flags_text(machine(), static_cast<std::uint32_t>(value)));
  std::string text;
  std::uint64_t rest = lowest(value, shown.bits);
  for (const NamedNumber& one : named_numbers(shown.more)) {
    auto bits = static_cast<std::uint64_t>(one.number);
    if (bits == 0 || (rest & bits) != bits) continue;
    text += cat(text.empty() ? "" : "|", one.name);
    rest &= ~bits;
  }
  if (rest || text.empty()) {
    text += text.empty() ? "" : "|";
    append_hex(text, rest);
  }
  return Cell::owned(std::move(text));
}

Cell internet_cell(std::string_view bytes) {
  char text[INET6_ADDRSTRLEN];
  if (bytes.size() != 4 && bytes.size() != 16) return Cell::unknown();
  if (!inet_ntop(bytes.size() == 4 ? AF_INET : AF_INET6, bytes.data(), text, sizeof text)) return Cell::unknown();
  return Cell::owned(text);
}

// `bits` from `bit_at` on of bytes.
std::uint64_t bits_of(std::string_view bytes, std::uint64_t bit_at, std::uint64_t bits) {
  std::uint64_t value = 0;
  for (std::uint64_t i = 0; i < bits; i++) {
    std::uint64_t at = bit_at + i;
    if (at / 8 < bytes.size() && (static_cast<unsigned char>(bytes[at / 8]) >> at % 8 & 1))
      value |= std::uint64_t{1} << i;
  }
  return value;
}

Cell field_cell(std::string_view bytes, char how, std::uint64_t bit_at, std::uint64_t bits) {
  if (how == 's') {
    std::string_view text = bytes.substr(std::min<std::size_t>(bit_at / 8, bytes.size()), bits / 8);
    return Cell::owned(std::string(text.substr(0, text.find('\0'))));
  }
  std::uint64_t value = bits_of(bytes, bit_at, std::min<std::uint64_t>(bits, 64));
  if (how == 'x') return Cell::address(value);
  return how == 'd' ? Cell::integer(extended(value, static_cast<int>(bits))) : Cell::count(value);
}

// A structure by its layout, "how bit_at bits name;" for each field.
Cell structure_cell(std::string_view layout, std::string_view bytes) {
  std::vector<std::pair<std::string_view, Cell>> parts;
  for (std::string_view one : split(layout, ';')) {
    auto words = split(one, ' ');
    auto at = words.size() == 4 ? parse_number(words[1]) : std::nullopt;
    auto bits = words.size() == 4 ? parse_number(words[2]) : std::nullopt;
    if (at && bits && words[0].size() == 1) parts.emplace_back(words[3], field_cell(bytes, words[0][0], *at, *bits));
  }
  return Cell::fields(std::move(parts));
}

Cell number_cell(const ShownValue& shown, std::uint64_t value) {
  switch (shown.how) {
    case 'd': return Cell::integer(extended(value, shown.bits));
    case 'x': return Cell::address(lowest(value, shown.bits));
    case 'e': return enum_cell(shown, value);
    case 'f': return flags_cell(shown, value);
    case 'p': return Cell::borrowed(shown.more);
    case 'i': return internet_cell({reinterpret_cast<const char*>(&value), 4});
    default: return Cell::count(lowest(value, shown.bits));
  }
}

Cell code_cell(std::uint64_t address, const CodeName& code) {
  std::string name = code ? code(address) : "";
  return name.empty() ? Cell::address(address) : Cell::owned(std::move(name));
}

}  // namespace

Cell value_cell(const ShownValue& shown, const fetch_result& result, std::size_t index, std::string_view tail,
                const CodeName& code, const StackCell& stack) {
  if (shown.how == 'K' || shown.how == 'U') return stack ? stack(shown.how) : Cell::unknown();
  if (index >= FETCH_VALUES || (result.unread >> index & 1)) return Cell::unknown();
  std::uint64_t value = result.values[index];
  bool in_tail = shown.how == 's' || shown.how == 'b' || shown.how == 't' || (shown.how == 'i' && shown.bits == 128);
  if (shown.how == 'y') return code_cell(value, code);
  if (!in_tail) return number_cell(shown, value);
  std::size_t at = value >> 32, size = value & 0xffffffff;
  if (at > tail.size() || size > tail.size() - at) return Cell::unknown();
  std::string_view bytes = tail.substr(at, size);
  if (shown.how == 't') return structure_cell(shown.more, bytes);
  if (shown.how == 'i') return internet_cell(bytes);
  if (!(result.cut >> index & 1)) return Cell::borrowed(bytes);
  return Cell::owned(cat(bytes, "…"));
}

Cell value_cells(const std::vector<ShownValue>& shown, const fetch_result& result, std::string_view tail,
                 std::size_t first, const CodeName& code, const StackCell& stack) {
  std::vector<std::pair<std::string_view, Cell>> parts;
  for (std::size_t i = first; i < shown.size(); i++)
    parts.emplace_back(shown[i].name, value_cell(shown[i], result, i, tail, code, stack));
  return Cell::fields(std::move(parts));
}

std::string shown_value_text(const ShownValue& shown) {
  return cat(shown.how, shown.bits, ' ', shown.name, shown.more.empty() ? "" : "\x1f", shown.more);
}

std::optional<ShownValue> parse_shown_value(std::string_view text) {
  std::size_t blank = text.find(' '), more = text.find('\x1f');
  auto bits = blank < 2 || blank == text.npos ? std::nullopt : parse_number(text.substr(1, blank - 1));
  if (!bits) return {};
  std::string_view name = text.substr(blank + 1, more == text.npos ? more : more - blank - 1);
  return ShownValue{.name = std::string(name),
                    .how = text[0],
                    .bits = static_cast<int>(*bits),
                    .more = std::string(more == text.npos ? "" : text.substr(more + 1))};
}

}  // namespace kit
