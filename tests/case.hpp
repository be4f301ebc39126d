// SPDX-License-Identifier: BSD-2-Clause
// What every test includes: Catch2 (2 or 3), skipping with a reason, the running kernel's features, and processes.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif

#include <string>
#include <string_view>
#include <vector>

// A case tagged [any-kernel] is about what no kernel could change, about times that an emulated machine does not keep,
// or about plans, which the matrix is made of: it is not run in guests.

// Ends the running case as skipped, for a reason, printed as "skipped: CASE: REASON", and for want of a feature, if it
// is one that a machine may have: in guests only those skips are accepted whose feature they are known to lack.
#define SKIP_CASE(...)       \
  do {                       \
    test::skip(__VA_ARGS__); \
    return;                  \
  } while (false)

// Skips the case where the running kernel, or who runs this, lacks a feature: root, bpf, btf, kprobe, fentry, fmod_ret,
// tracefs, syscall_tracepoints, loop, zram, device-mapper, cgroup2, compat32, userns, pidns.
#define NEEDS(feature)                                                \
  do {                                                                \
    if (std::string lacks_ = test::lacks(feature); !lacks_.empty()) { \
      test::skip(lacks_, feature);                                    \
      return;                                                         \
    }                                                                 \
  } while (false)

namespace test {

// Marks the running case, with the feature that is lacking, if it is one; for SKIP_CASE and NEEDS.
void skip(const std::string& reason, const std::string& feature = {});
// Why this kernel lacks a feature, found by trying it; empty if it has it. Throws for a feature that is not known.
std::string lacks(std::string_view feature);

// Where things are, found from this program's own place: build/tests/NAME. COREKIT_BIN says where the tools are; else
// they are in build/bin.
std::string build_dir();
std::string source_dir();
std::string tool_path(std::string_view tool);
std::string trigger_path(std::string_view trigger);
// The tools that are built and the names of tools/*.cpp.
std::vector<std::string> tools();
std::string read_file(const std::string& path);

// A directory that is removed with all that is in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// How a process ended: its status as a shell has it (128 + N for signal N), and what it wrote.
struct Ran {
  int status = 0;
  std::string out, err;
};
// Runs a program to its end; `environment` are further NAME=VALUE.
Ran run(const std::vector<std::string>& words, const std::vector<std::string>& environment = {});

}  // namespace test
