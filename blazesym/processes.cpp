// SPDX-License-Identifier: BSD-2-Clause
#include "processes.hpp"

#include <algorithm>
#include <charconv>

namespace blazesym {
namespace {

// The text's next line, which is taken off; false at the end.
bool take_line(std::string_view& text, std::string_view& line) {
  if (text.empty()) return false;
  std::size_t end = text.find('\n');
  line = text.substr(0, end);
  text.remove_prefix(end == text.npos ? text.size() : end + 1);
  return true;
}

bool take_hex(std::string_view& line, std::uint64_t& number) {
  if (line.starts_with("0x") || line.starts_with("0X")) line.remove_prefix(2);
  auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), number, 16);
  if (error != std::errc()) return false;
  line.remove_prefix(static_cast<std::size_t>(end - line.data()));
  return true;
}

bool take(std::string_view& line, char byte) {
  if (line.empty() || line.front() != byte) return false;
  line.remove_prefix(1);
  return true;
}

std::string_view take_word(std::string_view& line) {
  std::string_view word = line.substr(0, line.find(' '));
  line.remove_prefix(word.size());
  std::size_t next = line.find_first_not_of(' ');
  line.remove_prefix(next == line.npos ? line.size() : next);
  return word;
}

// The kernel writes a newline in a path as "\012".
std::string unescape(std::string_view path) {
  std::string out(path);
  for (std::size_t at = 0; (at = out.find("\\012", at)) != out.npos; at++) out.replace(at, 4, "\n");
  return out;
}

}  // namespace

std::vector<MappedFile> parse_maps(std::string_view text) {
  std::vector<MappedFile> all;
  // "START-END rwxp OFFSET MAJOR:MINOR INODE      PATH"
  for (std::string_view line; take_line(text, line);) {
    MappedFile one;
    if (!take_hex(line, one.start) || !take(line, '-') || !take_hex(line, one.end) || !take(line, ' ')) continue;
    std::string_view rights = take_word(line);
    if (rights.size() != 4 || rights[2] != 'x' || one.end <= one.start) continue;
    if (!take_hex(line, one.offset) || !take(line, ' ')) continue;
    take_word(line);  // the device
    std::string_view inode = take_word(line);
    if (std::from_chars(inode.data(), inode.data() + inode.size(), one.inode).ec != std::errc()) continue;
    if (line.ends_with(" (deleted)")) line.remove_suffix(10);
    one.path = unescape(line);
    all.push_back(std::move(one));
  }
  std::sort(all.begin(), all.end(), [](const MappedFile& a, const MappedFile& b) { return a.start < b.start; });
  return all;
}

std::vector<JitFunction> parse_perf_map(std::string_view text) {
  std::vector<JitFunction> all;
  for (std::string_view line; take_line(text, line);) {
    JitFunction one;
    if (!take_hex(line, one.start) || !take(line, ' ') || !take_hex(line, one.size) || !take(line, ' ')) continue;
    if (line.empty() || one.start + one.size < one.start) continue;
    one.name = line;
    all.push_back(std::move(one));
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const JitFunction& a, const JitFunction& b) { return a.start < b.start; });
  std::vector<JitFunction> now;
  for (JitFunction& one : all) {
    if (!now.empty() && now.back().start == one.start) now.pop_back();
    now.push_back(std::move(one));
  }
  return now;
}

}  // namespace blazesym
