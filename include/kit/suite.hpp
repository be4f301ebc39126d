// SPDX-License-Identifier: BSD-2-Clause
// The tools of the suite, as one of them sees the others: which there are, and what each says of its plan.
#pragma once

#include <string>
#include <vector>

namespace kit {

// The names of all tools, from the build.
const std::vector<std::string>& suite_tools();
// Called by the static box: its one file is every tool, by the name that it is started under.
void tools_share_one_file();

// What a tool can do here.
struct ToolVerdict {
  std::string form;               // "full", "lesser", "none"; empty: it did not answer
  std::string sees;               // "open by tracepoints": its events with the ways taken
  std::vector<std::string> lack;  // what it misses, or why it cannot work
  std::vector<std::string> why;   // the better ways that were refused, with their reasons
};
// Runs the tool, that is installed where this one, `self`, is and named alike, and has it try its own plan (--explain).
ToolVerdict ask_tool(const std::string& name, const std::string& self);
// Reads what --explain has printed.
ToolVerdict parse_explanation(const std::string& text);

}  // namespace kit
