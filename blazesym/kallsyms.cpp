// SPDX-License-Identifier: BSD-2-Clause
#include "kallsyms.hpp"

#include <fstream>
#include <string>

namespace blazesym {

bool each_kernel_function(const std::function<void(std::string_view name)>& each) {
  std::ifstream file("/proc/kallsyms");
  std::string line;
  bool any = false;
  // "ffffffff81000000 T _stext" or, of a module, "ffffffffc0000000 t name<TAB>[module]".
  while (std::getline(file, line)) {
    std::size_t type = line.find(' ') + 1;
    if (type == 0 || type + 2 >= line.size()) continue;
    if (std::string_view("tTwW").find(line[type]) == std::string_view::npos) continue;
    std::string_view name = std::string_view(line).substr(type + 2);
    each(name.substr(0, name.find('\t')));
    any = true;
  }
  return any;
}

}  // namespace blazesym
