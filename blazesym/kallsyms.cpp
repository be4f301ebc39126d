// SPDX-License-Identifier: BSD-2-Clause
#include "kallsyms.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

namespace blazesym {
namespace {

std::string read_kallsyms() {
  std::string text;
  int fd = open("/proc/kallsyms", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return text;
  // The kernel gives a page at a time, whatever it is asked for: room is made, and cleared, seldom.
  std::size_t have = 0;
  for (ssize_t size = 1; size > 0; have += static_cast<std::size_t>(std::max<ssize_t>(size, 0))) {
    if (text.size() - have < 4096) text.resize(text.size() * 2 + (4 << 20));
    size = ::read(fd, text.data() + have, text.size() - have);
  }
  close(fd);
  text.resize(have);
  return text;
}

// "ffffffff81000000 T _stext" or, of a module, "ffffffffc0000000 t name<TAB>[module]": calls each(address, where the
// name begins) for functions.
template <typename Each>
void each_function(std::string_view text, Each each) {
  for (std::size_t line = 0, end; line < text.size(); line = end + 1) {
    end = std::min(text.find('\n', line), text.size());
    std::size_t type = text.find(' ', line) + 1;
    if (type == 0 || type + 2 >= end) continue;
    if (std::string_view("tTwW").find(text[type]) == std::string_view::npos) continue;
    std::uint64_t address = 0;
    std::from_chars(text.data() + line, text.data() + type - 1, address, 16);
    each(address, type + 2);
  }
}

std::string_view name_at(std::string_view text, std::size_t at) {
  return text.substr(at, text.find_first_of("\t\n", at) - at);
}

// How far beyond its last symbol a module, or a BPF program, is believed to go: what kallsyms says ends there.
constexpr std::uint64_t last_function = 1 << 16;

}  // namespace

bool each_kernel_function(const std::function<void(std::string_view name)>& each) {
  std::string text = read_kallsyms();
  each_function(text, [&](std::uint64_t, std::size_t name) { each(name_at(text, name)); });
  return !text.empty();
}

KernelSymbols::KernelSymbols(std::string text) : text_(std::move(text)) {
  bool any = false;
  each_function(text_, [&](std::uint64_t address, std::size_t name) {
    any = true;
    if (address == 0) return;
    if (name_at(text_, name) == "_etext") end_ = address;
    functions_.push_back({address, static_cast<std::uint32_t>(name)});
  });
  hidden_ = any && functions_.empty();
  std::stable_sort(functions_.begin(), functions_.end(),
                   [](const Function& a, const Function& b) { return a.address < b.address; });
  functions_.shrink_to_fit();
}

KernelSymbols KernelSymbols::read() { return KernelSymbols(read_kallsyms()); }

std::string_view KernelSymbols::name_of(const Function& function) const { return name_at(text_, function.name); }

std::string_view KernelSymbols::module_of(const Function& function) const {
  std::size_t end = std::min(text_.find('\n', function.name), text_.size());
  std::size_t tab = text_.find('\t', function.name);
  if (tab >= end) return {};
  std::string_view module = std::string_view(text_).substr(tab + 1, end - tab - 1);
  if (module.starts_with('[')) module.remove_prefix(1);
  if (module.ends_with(']')) module.remove_suffix(1);
  return module;
}

std::uint64_t KernelSymbols::size(std::string_view name) const {
  auto at = std::find_if(functions_.begin(), functions_.end(), [&](const Function& f) { return name_of(f) == name; });
  auto next = std::find_if(at, functions_.end(), [&](const Function& f) { return f.address != at->address; });
  return next == functions_.end() || module_of(*at) != module_of(*next) ? 0 : next->address - at->address;
}

std::vector<std::pair<std::uint64_t, std::uint64_t>> KernelSymbols::ranges(std::string_view name) const {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> all;
  for (auto at = functions_.begin(); at != functions_.end(); ++at) {
    std::string_view own = name_of(*at);
    if (!own.starts_with(name) || (own.size() > name.size() && own[name.size()] != '.')) continue;
    auto next = std::find_if(at, functions_.end(), [&](const Function& f) { return f.address != at->address; });
    if (next != functions_.end()) all.emplace_back(at->address, next->address);
  }
  return all;
}

bool KernelSymbols::find(std::uint64_t address, Found& found) const {
  auto after = std::upper_bound(functions_.begin(), functions_.end(), address,
                                [](std::uint64_t wanted, const Function& f) { return wanted < f.address; });
  if (after == functions_.begin()) return false;
  auto at = after - 1;
  std::string_view module = module_of(*at);
  if (module.empty()) {
    if (end_ && address >= end_ && at->address <= end_) return false;
  } else if (address - at->address > last_function && (after == functions_.end() || module_of(*after) != module)) {
    return false;
  }
  // Of several names of one address the first is shown: kallsyms lists the linker's order.
  while (at != functions_.begin() && (at - 1)->address == at->address) --at;
  found = {name_of(*at), module, address - at->address};
  return true;
}

}  // namespace blazesym
