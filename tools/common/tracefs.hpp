// SPDX-License-Identifier: BSD-2-Clause
// The kernel's tracefs, where the numbers of its classic tracepoints stand.
#pragma once

#include <string>

#include "kit/handle.hpp"

namespace kit {

// The id that perf_event_open(2) knows "CATEGORY/EVENT" by, or -errno. Where tracefs is mounted nowhere it is opened
// without mounting it: nothing of the machine changes.
int tracepoint_id(const std::string& event);

}  // namespace kit
