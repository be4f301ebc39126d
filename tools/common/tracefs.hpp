// SPDX-License-Identifier: BSD-2-Clause
// The kernel's tracefs, where the numbers of its classic tracepoints stand.
#pragma once

#include <string>
#include <vector>

#include "kit/handle.hpp"

namespace kit {

// A mount of a file system of the kernel's ("tracefs") that belongs to this process alone and ends with its descriptor
// (fsopen(2), 5.2).
Fd detached_mount(const char* system);

// The id that perf_event_open(2) knows "CATEGORY/EVENT" by, or -errno. Where tracefs is mounted nowhere it is opened
// without mounting it: nothing of the machine changes.
int tracepoint_id(const std::string& event);

// The names of all tracepoints, "CATEGORY/EVENT"; none, and `error` an errno, where tracefs cannot be read.
std::vector<std::string> tracepoints(int& error);
// What tracefs says of the fields of one; empty if it cannot be read.
std::string tracepoint_format(const std::string& event);
// The text of a file of tracefs itself; empty if it cannot be read.
std::string tracefs_file(const std::string& name);

}  // namespace kit
