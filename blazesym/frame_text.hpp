// SPDX-License-Identifier: BSD-2-Clause
// Frames that were written without a name, so that they can be named later: read back from text, and named.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "symbols.hpp"

namespace blazesym {

struct FrameText {
  std::uint64_t address = 0;     // the module's own, or without one of a process or the kernel
  std::string module, build_id;  // empty: not told
};

// "ADDRESS", "MODULE+ADDRESS (BUILD ID)", or as the tools with stacks show them: "ADDRESS (MODULE) build id ID [why]".
std::optional<FrameText> parse_frame(std::string_view text);

struct NamedText {
  Symbol symbol;
  std::string_view reason;  // why a build could not be asked; empty: the symbol's own reason
};

// Names of all, those of one file together, which takes less time than one by one. What names no file is of the
// process, if there is one (not 0), or of the kernel.
std::vector<NamedText> find_names(Symbolizer& symbolizer, std::span<const FrameText> all, std::uint32_t pid);

}  // namespace blazesym
