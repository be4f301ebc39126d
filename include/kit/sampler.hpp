// SPDX-License-Identifier: BSD-2-Clause
// Samples of what runs: a perf event on each CPU that runs a program so many times a second.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "kit/handle.hpp"

namespace kit {

// An event of that kind, "cycles" (hardware) or "clock" (a timer), on this CPU; -1 and errno where there is none.
int open_sampling(const std::string& kind, std::uint32_t hertz, int cpu);

class Sampler {
 public:
  // On these CPUs, or on all. Throws Failure where the kernel refuses.
  Sampler(bpf_program* program, std::string kind, std::uint32_t hertz, std::vector<std::uint32_t> cpus);
  // Takes in CPUs that were brought up since the last time and lets go of those that were taken down. To be called
  // again and again: of one that went and came meanwhile the event is dead, which shows in its time.
  void look();

 private:
  struct Event {
    Link link;
    int fd = -1;              // which the link holds
    std::uint64_t lived = 0;  // ns, when it was looked at last
    bool lives();             // since then
  };
  void add(int cpu);
  bpf_program* program_;
  std::string kind_;
  std::uint32_t hertz_;
  std::vector<std::uint32_t> only_;
  std::map<int, Event> events_;
};

}  // namespace kit
