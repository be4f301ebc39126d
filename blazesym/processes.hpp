// SPDX-License-Identifier: BSD-2-Clause
// What processes have mapped: executable mappings of files, of the vDSO and of code made at run time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace blazesym {

struct MappedFile {
  std::uint64_t start = 0, end = 0;
  std::uint64_t offset = 0;  // into the file
  std::uint64_t inode = 0;   // 0: no file
  std::string path;          // empty: none; "[vdso]" and the like; "(deleted)" is left out
};

// The executable mappings in a text of /proc/PID/maps, by address. Lines that are none are passed over.
std::vector<MappedFile> parse_maps(std::string_view text);

// A line of /tmp/perf-PID.map for each function: "START SIZE NAME", in hexadecimal, with or without 0x.
struct JitFunction {
  std::uint64_t start = 0, size = 0;
  std::string name;
};
// By address; of two at one place the later is the one that is there now.
std::vector<JitFunction> parse_perf_map(std::string_view text);

}  // namespace blazesym
