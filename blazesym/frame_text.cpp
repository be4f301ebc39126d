// SPDX-License-Identifier: BSD-2-Clause
#include "frame_text.hpp"

#include <algorithm>
#include <charconv>

namespace blazesym {
namespace {

bool is_hexadecimal(std::string_view text, std::uint64_t& number) {
  if (text.starts_with("0x")) text.remove_prefix(2);
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, 16);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

std::optional<FrameText> parse_frame(std::string_view text) {
  FrameText frame;
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  text = text.substr(0, text.find(" ["));
  text = text.substr(0, text.find_last_not_of(" \t\r") + 1);
  std::string_view place = text.substr(0, text.find(' '));
  if (is_hexadecimal(place, frame.address)) {
    std::size_t id = text.rfind(" build id "), open = place.size() + 2, close = text.substr(0, id).rfind(')');
    if (close != text.npos && close > open) frame.module = text.substr(open, close - open);
    if (id != text.npos) frame.build_id = text.substr(id + 10);
  } else {
    std::size_t open = text.rfind(" ("), plus = text.substr(0, open).rfind('+');
    if (plus == text.npos || plus == 0) return std::nullopt;
    if (!is_hexadecimal(text.substr(0, open).substr(plus + 1), frame.address)) return std::nullopt;
    frame.module = text.substr(0, plus);
    if (open != text.npos) frame.build_id = text.substr(open + 2, text.find(')', open) - open - 2);
  }
  if (frame.module.starts_with('[')) frame.module.clear();  // the kernel's parts have no file
  return frame;
}

}  // namespace blazesym
