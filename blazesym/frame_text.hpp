// SPDX-License-Identifier: BSD-2-Clause
// Frames that were written without a name, so that they can be named later: read back from text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace blazesym {

struct FrameText {
  std::uint64_t address = 0;     // the module's own, or without one of a process or the kernel
  std::string module, build_id;  // empty: not told
};

// "ADDRESS", "MODULE+ADDRESS (BUILD ID)", or as the tools with stacks show them: "ADDRESS (MODULE) build id ID [why]".
std::optional<FrameText> parse_frame(std::string_view text);

}  // namespace blazesym
