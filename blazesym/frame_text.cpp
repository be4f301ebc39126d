// SPDX-License-Identifier: BSD-2-Clause
#include "frame_text.hpp"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <map>

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

namespace {

// The file of that name if it is that build, else what is installed of that build, whatever it is called.
NamedText of_build(Symbolizer& symbolizer, const FrameText& asked, Symbol symbol) {
  if (asked.build_id.size() < 3 || (symbol.module && symbol.module->build_id == asked.build_id))
    return {std::move(symbol), {}};
  std::string other =
      "/usr/lib/debug/.build-id/" + asked.build_id.substr(0, 2) + "/" + asked.build_id.substr(2) + ".debug";
  if (access(other.c_str(), F_OK) == 0) return {symbolizer.file(other, {&asked.address, 1})[0], {}};
  return {{.address = asked.address, .frames = {{}}},
          symbol.module ? "the file is of another build" : "no file of that build"};
}

}  // namespace

std::vector<NamedText> find_names(Symbolizer& symbolizer, std::span<const FrameText> all, std::uint32_t pid) {
  std::map<std::string_view, std::vector<std::size_t>> by_module;
  std::vector<NamedText> names(all.size());
  for (std::size_t i = 0; i < all.size(); i++) {
    const std::uint64_t& address = all[i].address;
    if (!all[i].module.empty())
      by_module[all[i].module].push_back(i);
    else if (address >> 63 || !pid)
      names[i].symbol = symbolizer.kernel({&address, 1})[0];
    else
      names[i].symbol = symbolizer.process(pid, {&address, 1})[0];
  }
  for (const auto& [module, which] : by_module) {
    std::vector<std::uint64_t> addresses;
    for (std::size_t i : which) addresses.push_back(all[i].address);
    auto symbols = symbolizer.file(std::string(module), addresses);
    for (std::size_t i = 0; i < which.size(); i++)
      names[which[i]] = of_build(symbolizer, all[which[i]], std::move(symbols[i]));
  }
  return names;
}

}  // namespace blazesym
