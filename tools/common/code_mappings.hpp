// SPDX-License-Identifier: BSD-2-Clause
// Which processes map files to run them, at exec() and after, as it happens: the kernel tells it to perf events.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "kit/handle.hpp"

namespace kit {

class CodeMappings {
 public:
  // On all CPUs that are on line; those on which the kernel refuses it are left out.
  CodeMappings();
  // Readable where something was told.
  std::vector<int> descriptors() const;
  // Gives the PID of each mapping that was told of since, as seen from here.
  void drain(const std::function<void(std::uint32_t pid)>& tell);
  // Has nothing told of until go_on(), which is to be called each second. Code that is made at run time is told of,
  // too, maybe at each change of its pages: after `most` calls of drain() there is a pause by itself.
  void pause();
  void go_on();

 private:
  static constexpr unsigned most = 5000;
  struct Unmap {
    std::size_t size;
    void operator()(void* memory) const;
  };
  struct Ring {
    Fd event;
    std::unique_ptr<void, Unmap> memory;
  };
  static void read(void* memory, const std::function<void(std::uint32_t pid)>& tell);

  std::vector<Ring> rings_;
  unsigned calls_ = 0;
  bool paused_ = false;
};

}  // namespace kit
