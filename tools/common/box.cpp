// SPDX-License-Identifier: BSD-2-Clause
// The static box: `corekit TOOL ...`, or the same file under a tool's name.
#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "kit/failure.hpp"
#include "kit/options.hpp"
#include "kit/suite.hpp"
#include "kit/text.hpp"

#define BOX_TOOL(name) int tool_##name(int, char**);
#include "box_tools.inc"
#undef BOX_TOOL

namespace {

struct Entry {
  const char* name;
  int (*tool)(int, char**);
};
constexpr Entry entries[] = {
#define BOX_TOOL(name) {#name, tool_##name},
#include "box_tools.inc"
#undef BOX_TOOL
};

bool separates(char c) { return c == '-' || c == '_' || c == '.'; }

// The tool that a file's name stands for: an exact name first, else the longest one that is set off by separators
// ("bpf-opensnoop", "opensnoop-corekit").
const Entry* find_tool(std::string_view name) {
  const Entry* best = nullptr;
  for (const Entry& entry : entries) {
    std::string_view tool = entry.name;
    if (tool == name) return &entry;
    for (std::size_t at = name.find(tool); at != name.npos; at = name.find(tool, at + 1)) {
      bool left = at == 0 || separates(name[at - 1]);
      bool right = at + tool.size() == name.size() || separates(name[at + tool.size()]);
      if (left && right && (!best || tool.size() > std::string_view(best->name).size())) best = &entry;
    }
  }
  return best;
}

// What the tool says of itself, in a line, is in its own --help; the box only names the tools.
int list_tools() {
  std::printf("corekit %s: prebuilt Linux tracing tools; corekit TOOL --help says more\n", kit::version());
  for (const Entry& entry : entries) std::printf("  %s\n", entry.name);
  return std::fflush(stdout) == 0 ? 0 : 1;
}

int run_box(int argc, char** argv) {
  if (argc < 2 || std::string_view(argv[1]) == "--help") return list_tools();
  if (std::string_view(argv[1]) == "--version") {
    std::printf("corekit (corekit) %s\n", kit::version());
    return 0;
  }
  std::vector<std::string> names;
  for (const Entry& entry : entries) {
    names.emplace_back(entry.name);
    if (names.back() == argv[1]) return kit::run_tool(entry.name, entry.tool, argc - 1, argv + 1);
  }
  throw kit::Failure(kit::Exit::usage, kit::cat("there is no tool ", argv[1], kit::suggestion(argv[1], names),
                                                "; corekit alone lists them"));
}

}  // namespace

int main(int argc, char** argv) {
  kit::tools_share_one_file();
  std::string_view name = argc > 0 ? argv[0] : "corekit";
  name = name.substr(name.rfind('/') == name.npos ? 0 : name.rfind('/') + 1);
  if (const Entry* entry = find_tool(name)) return kit::run_tool(entry->name, entry->tool, argc, argv);
  return kit::run_tool("corekit", run_box, argc, argv);
}
