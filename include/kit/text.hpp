// SPDX-License-Identifier: BSD-2-Clause
// Text: joining, numbers, escaping for the terminal, JSON and shell, widths, nearest names.
#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kit {

inline void append(std::string& out, std::string_view text) { out += text; }
inline void append(std::string& out, char byte) { out += byte; }
template <std::integral Number>
void append(std::string& out, Number number) {
  char digits[24];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

// The parts one after another: text, characters and whole numbers.
template <typename... Parts>
std::string cat(const Parts&... parts) {
  std::string out;
  (append(out, parts), ...);
  return out;
}

// The nearest whole number, of one that is not negative and fits; a half is rounded up. std::llround() would do the
// same, but for it every tool would load the mathematical library: 0.3 MiB.
constexpr std::uint64_t rounded(double number) {
  auto whole = static_cast<std::uint64_t>(number);
  return whole + (number - static_cast<double>(whole) >= 0.5);
}

// `number` with `decimals` digits after the point.
void append_decimal(std::string& out, double number, int decimals);
// A number of thousandths, with three digits after the point.
void append_thousandths(std::string& out, std::uint64_t number);
// "0x1f".
void append_hex(std::string& out, std::uint64_t number);
// With leading zeros up to `digits`.
void append_padded(std::string& out, std::uint64_t number, int digits);

// Whether text is valid UTF-8 (RFC 3629: no surrogates, no overlong forms).
bool valid_utf8(std::string_view text);
// For a terminal: control characters (C0, DEL, C1), marks that change the direction of writing, bytes that are not
// UTF-8 and the backslash itself come out as escapes ("\n", "\x1b", "\u202e"), so that no name can act on a terminal
// and every name can be read back.
void append_visible(std::string& out, std::string_view text);
// A JSON string with its quotes; bytes that are not UTF-8 become U+FFFD.
void append_json(std::string& out, std::string_view text);
void append_base64(std::string& out, std::string_view bytes);
// A CSV field (RFC 4180): quoted where it must be.
void append_csv(std::string& out, std::string_view text);
// A word as a shell reads it back: bare, in 'quotes', or as $'...' where it holds what a terminal would act on.
void append_shell_word(std::string& out, std::string_view word);

// How many columns of a terminal the (visible) text takes: one a code point, none for combining marks, two for East
// Asian wide characters.
std::size_t width(std::string_view text);

// A blob of NUL-terminated words (the last NUL may be missing), apart.
std::vector<std::string_view> split_words(std::string_view blob);
std::vector<std::string_view> split(std::string_view text, char separator);

// The candidate that is the fewest edits away from `word`, if it is near enough to be what was meant.
std::optional<std::string> nearest(std::string_view word, std::span<const std::string> candidates);
// ", did you mean X?" or nothing.
std::string suggestion(std::string_view word, std::span<const std::string> candidates);

// A duration in nanoseconds from "10ms", "2s", "1.5h"; a bare number only where `bare_seconds`. Nothing if it is none.
std::optional<std::uint64_t> parse_duration(std::string_view text, bool bare_seconds);
// A size in bytes from "64K", "4M", "1G" (1024s) or a bare number.
std::optional<std::uint64_t> parse_size(std::string_view text);
std::optional<std::uint64_t> parse_number(std::string_view text);
// An address: "0x" and hexadecimal digits.
std::optional<std::uint64_t> parse_hex(std::string_view text);
// Either: an offset, in bytes.
std::optional<std::uint64_t> parse_offset(std::string_view text);
// "1.5s", "20ms": as short as it stays exact to three digits.
std::string duration_text(std::uint64_t ns);
std::string size_text(std::uint64_t bytes);
// Rounded to three digits: "1.02us", "65.5K".
std::string rounded_duration(std::uint64_t ns);
std::string rounded_size(std::uint64_t bytes);

}  // namespace kit
