// SPDX-License-Identifier: BSD-2-Clause
#include "kit/text.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace kit {
namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";

// One character of a text: its code point, or -1 for a byte that is no UTF-8, and how many bytes it takes.
struct Character {
  std::int32_t point;
  std::size_t size;
};

bool continues(unsigned char byte) { return (byte & 0xc0) == 0x80; }

Character next_character(std::string_view text) {
  auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  unsigned char first = byte(0);
  if (first < 0x80) return {first, 1};
  std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < size) return {-1, 1};
  std::int32_t point = first & (0xff >> (size + 1));
  for (std::size_t i = 1; i < size; i++) {
    if (!continues(byte(i))) return {-1, 1};
    point = (point << 6) | (byte(i) & 0x3f);
  }
  bool overlong = point < (size == 2 ? 0x80 : size == 3 ? 0x800 : 0x10000);
  bool surrogate = point >= 0xd800 && point <= 0xdfff;
  return overlong || surrogate || point > 0x10ffff ? Character{-1, 1} : Character{point, size};
}

// C0, DEL, C1, line separators, marks and overrides of direction, the byte order mark.
bool acts_on_terminal(std::int32_t point) {
  return point < 0x20 || (point >= 0x7f && point < 0xa0) || (point >= 0x200b && point <= 0x200f) ||
         (point >= 0x2028 && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069) || point == 0x61c ||
         point == 0xfeff;
}

void append_byte_escape(std::string& out, unsigned char byte) {
  out += "\\x";
  out += hex_digits[byte >> 4];
  out += hex_digits[byte & 15];
}

void append_point_escape(std::string& out, std::int32_t point) {
  out += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) out += hex_digits[(point >> shift) & 15];
}

// The short escape of a control character, or 0.
char short_escape(std::int32_t point) {
  switch (point) {
    case '\n': return 'n';
    case '\t': return 't';
    case '\r': return 'r';
    default: return 0;
  }
}

// Escapes what a terminal would act on; `literal` characters get a backslash.
void append_escaped(std::string& out, std::string_view text, std::string_view literal) {
  while (!text.empty()) {
    auto [point, size] = next_character(text);
    if (point < 0) {
      append_byte_escape(out, static_cast<unsigned char>(text[0]));
    } else if (char letter = short_escape(point)) {
      out += {'\\', letter};
    } else if (acts_on_terminal(point)) {
      point < 0x80 ? append_byte_escape(out, static_cast<unsigned char>(point)) : append_point_escape(out, point);
    } else {
      if (size == 1 && literal.find(text[0]) != std::string_view::npos) out += '\\';
      out += text.substr(0, size);
    }
    text.remove_prefix(size);
  }
}

// How many printable ASCII characters the text begins with, as most text does to its end; eight at a time.
std::size_t printable_ascii(std::string_view text) {
  constexpr std::uint64_t ones = 0x0101010101010101, high = 0x80 * ones;
  std::size_t at = 0;
  for (std::uint64_t word; at + sizeof word <= text.size(); at += sizeof word) {
    std::memcpy(&word, text.data() + at, sizeof word);
    // A byte below ' ' borrows, DEL carries into its highest bit.
    if ((word | (word - ' ' * ones) | (word + ones)) & high) break;
  }
  while (at < text.size() && text[at] >= ' ' && text[at] <= '~') at++;
  return at;
}

bool plain_ascii(std::string_view text) { return printable_ascii(text) == text.size() && text.find('\\') == text.npos; }

bool wide(std::int32_t point) {
  return (point >= 0x1100 && point <= 0x115f) || (point >= 0x2e80 && point <= 0xa4cf) ||
         (point >= 0xac00 && point <= 0xd7a3) || (point >= 0xf900 && point <= 0xfaff) ||
         (point >= 0xfe30 && point <= 0xfe6f) || (point >= 0xff00 && point <= 0xff60) ||
         (point >= 0x1f300 && point <= 0x1faff) || (point >= 0x20000 && point <= 0x3fffd);
}

std::size_t edits(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); j++) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); i++) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); j++) {
      std::size_t change = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, change});
    }
  }
  return row[b.size()];
}

struct Unit {
  std::string_view name;
  double factor;
};

// A decimal number and the unit that follows it.
std::optional<std::pair<double, std::string_view>> number_and_unit(std::string_view text) {
  std::size_t end = std::min(text.find_first_not_of("0123456789."), text.size());
  std::string digits(text.substr(0, end));
  char* behind = digits.data();
  double number = std::strtod(digits.c_str(), &behind);
  if (behind == digits.data()) return std::nullopt;
  return std::pair{number, text.substr(static_cast<std::size_t>(behind - digits.data()))};
}

std::optional<std::uint64_t> scaled(double number, double factor) {
  double product = number * factor;
  if (product >= 9.2e18) return std::nullopt;
  return rounded(product);
}

}  // namespace

void append_decimal(std::string& out, double number, int decimals) {
  char digits[400];  // the largest has 309 before the point
  int size = std::snprintf(digits, sizeof digits, "%.*f", decimals, number);
  out.append(digits, std::min(static_cast<std::size_t>(size), sizeof digits - 1));
}

void append_thousandths(std::string& out, std::uint64_t number) {
  append(out, number / 1000);
  out += '.';
  append_padded(out, number % 1000, 3);
}

void append_hex(std::string& out, std::uint64_t number) {
  char digits[24];
  out += "0x";
  out.append(digits, std::to_chars(digits, digits + sizeof digits, number, 16).ptr);
}

void append_padded(std::string& out, std::uint64_t number, int digits) {
  char text[24];
  auto size = std::to_chars(text, text + sizeof text, number).ptr - text;
  if (size < digits) out.append(static_cast<std::size_t>(digits - size), '0');
  out.append(text, static_cast<std::size_t>(size));
}

bool valid_utf8(std::string_view text) {
  while (!text.empty()) {
    auto [point, size] = next_character(text);
    if (point < 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

void append_visible(std::string& out, std::string_view text) {
  if (plain_ascii(text)) {
    out += text;
  } else {
    append_escaped(out, text, "\\");
  }
}

void append_json(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    auto [point, size] = next_character(text);
    if (point < 0) {
      out += "\xef\xbf\xbd";
    } else if (char letter = short_escape(point)) {
      out += {'\\', letter};
    } else if (point < 0x20 || (point >= 0x7f && point < 0xa0)) {
      append_point_escape(out, point);
    } else {
      if (point == '"' || point == '\\') out += '\\';
      out += text.substr(0, size);
    }
    text.remove_prefix(size);
  }
  out += '"';
}

void append_base64(std::string& out, std::string_view bytes) {
  constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t three = 0;
    std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    for (std::size_t j = 0; j < 3; j++)
      three = (three << 8) | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0);
    for (std::size_t j = 0; j < 4; j++) out += j <= count ? alphabet[(three >> (18 - 6 * j)) & 63] : '=';
  }
}

void append_csv(std::string& out, std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) {
    out += text;
    return;
  }
  out += '"';
  for (char byte : text) {
    if (byte == '"') out += '"';
    out += byte;
  }
  out += '"';
}

void append_shell_word(std::string& out, std::string_view word) {
  constexpr std::string_view bare = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";
  if (!word.empty() && word.find_first_not_of(bare) == std::string_view::npos) {
    out += word;
    return;
  }
  std::string visible;
  append_escaped(visible, word, "");
  if (visible == word) {
    out += '\'';
    for (char byte : word) byte == '\'' ? out += "'\\''" : out += byte;
    out += '\'';
    return;
  }
  out += "$'";
  append_escaped(out, word, "\\'");
  out += '\'';
}

std::size_t width(std::string_view text) {
  std::size_t columns = printable_ascii(text);
  text.remove_prefix(columns);
  while (!text.empty()) {
    auto [point, size] = next_character(text);
    bool combining = (point >= 0x300 && point <= 0x36f) || (point >= 0xfe00 && point <= 0xfe0f);
    columns += combining ? 0 : wide(point) ? 2 : 1;
    text.remove_prefix(size);
  }
  return columns;
}

std::vector<std::string_view> split_words(std::string_view blob) {
  if (!blob.empty() && blob.back() == '\0')
    blob.remove_suffix(1);
  else if (blob.empty())
    return {};
  return split(blob, '\0');
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::optional<std::string> nearest(std::string_view word, std::span<const std::string> candidates) {
  std::size_t best = std::max<std::size_t>(word.size() / 2, 1) + 1;
  std::optional<std::string> found;
  for (const std::string& candidate : candidates) {
    if (std::size_t distance = edits(word, candidate); distance < best) {
      best = distance;
      found = candidate;
    }
  }
  return found;
}

std::string suggestion(std::string_view word, std::span<const std::string> candidates) {
  auto found = nearest(word, candidates);
  return found ? cat("; did you mean ", *found, "?") : "";
}

std::optional<std::uint64_t> parse_duration(std::string_view text, bool bare_seconds) {
  static constexpr Unit units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
  auto parts = number_and_unit(text);
  if (!parts) return std::nullopt;
  if (parts->second.empty()) return bare_seconds ? scaled(parts->first, 1e9) : std::nullopt;
  for (const Unit& unit : units)
    if (parts->second == unit.name) return scaled(parts->first, unit.factor);
  return std::nullopt;
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  static constexpr Unit units[] = {{"", 1}, {"K", 1024.0}, {"M", 1048576.0}, {"G", 1073741824.0}};
  auto parts = number_and_unit(text);
  if (!parts) return std::nullopt;
  for (const Unit& unit : units)
    if (parts->second == unit.name) return scaled(parts->first, unit.factor);
  return std::nullopt;
}

namespace {

std::optional<std::uint64_t> whole_number(std::string_view digits, int base) {
  std::uint64_t number = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number, base);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

}  // namespace

std::optional<std::uint64_t> parse_number(std::string_view text) { return whole_number(text, 10); }

std::optional<std::uint64_t> parse_hex(std::string_view text) {
  return text.starts_with("0x") ? whole_number(text.substr(2), 16) : std::nullopt;
}

std::optional<std::uint64_t> parse_offset(std::string_view text) {
  return text.starts_with("0x") ? parse_hex(text) : parse_number(text);
}

std::string duration_text(std::uint64_t ns) {
  static constexpr Unit units[] = {{"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"ns", 1}};
  for (const Unit& unit : units) {
    double number = static_cast<double>(ns) / unit.factor;
    if (number < 1 && unit.factor > 1) continue;
    std::string out;
    append_decimal(out, number, 3);
    out.erase(out.find_last_not_of('0') + 1);
    if (out.back() == '.') out.pop_back();
    return out + std::string(unit.name);
  }
  return "0s";
}

namespace {

// To three digits, in the largest unit of which it is at least one.
std::string rounded(double number, std::span<const Unit> largest_first) {
  for (const Unit& unit : largest_first) {
    double count = number / unit.factor;
    if (count < 1 && unit.factor > 1) continue;
    std::string out;
    append_decimal(out, count, unit.factor == 1 || count >= 100 ? 0 : count >= 10 ? 1 : 2);
    if (out.find('.') != out.npos) out.erase(out.find_last_not_of('0') + 1);
    if (out.back() == '.') out.pop_back();
    return out + std::string(unit.name);
  }
  return "0";
}

}  // namespace

std::string rounded_duration(std::uint64_t ns) {
  static constexpr Unit units[] = {{"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"ns", 1}};
  return rounded(static_cast<double>(ns), units);
}

std::string rounded_size(std::uint64_t bytes) {
  static constexpr Unit units[] = {{"G", 1073741824.0}, {"M", 1048576.0}, {"K", 1024.0}, {"", 1}};
  return rounded(static_cast<double>(bytes), units);
}

std::string size_text(std::uint64_t bytes) {
  if (bytes >= 1u << 30 && bytes % (1u << 30) == 0) return cat(bytes >> 30, "G");
  if (bytes >= 1u << 20 && bytes % (1u << 20) == 0) return cat(bytes >> 20, "M");
  if (bytes >= 1u << 10 && bytes % (1u << 10) == 0) return cat(bytes >> 10, "K");
  return cat(bytes);
}

}  // namespace kit
