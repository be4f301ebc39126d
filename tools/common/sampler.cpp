// SPDX-License-Identifier: BSD-2-Clause
#include "kit/sampler.hpp"

#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "kit/kernel.hpp"
#include "kit/text.hpp"

namespace kit {

int open_sampling(const std::string& kind, std::uint32_t hertz, int cpu) {
  perf_event_attr attributes{};
  attributes.size = sizeof attributes;
  attributes.type = kind == "cycles" ? PERF_TYPE_HARDWARE : PERF_TYPE_SOFTWARE;
  attributes.config =
      kind == "cycles" ? static_cast<__u64>(PERF_COUNT_HW_CPU_CYCLES) : static_cast<__u64>(PERF_COUNT_SW_CPU_CLOCK);
  attributes.sample_freq = hertz;
  attributes.freq = 1;
  attributes.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED;
  return static_cast<int>(syscall(SYS_perf_event_open, &attributes, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC));
}

Sampler::Sampler(bpf_program* program, std::string kind, std::uint32_t hertz, std::vector<std::uint32_t> cpus)
    : program_(program), kind_(std::move(kind)), hertz_(hertz), only_(std::move(cpus)) {
  auto online = online_cpus();
  for (std::uint32_t cpu : only_)
    if (std::find(online.begin(), online.end(), static_cast<int>(cpu)) == online.end())
      throw Failure(Exit::usage, cat("--cpu ", cpu, ": there is no such CPU on line"));
  look();
  if (events_.empty()) throw Failure(Exit::unsupported, "no CPU could be sampled; --explain shows what was tried");
}

void Sampler::look() {
  auto online = online_cpus();
  for (auto at = events_.begin(); at != events_.end();) {
    bool there = std::find(online.begin(), online.end(), at->first) != online.end();
    at = there && at->second.lives() ? std::next(at) : events_.erase(at);
  }
  for (int cpu : online) {
    bool wanted =
        only_.empty() || std::find(only_.begin(), only_.end(), static_cast<std::uint32_t>(cpu)) != only_.end();
    if (wanted && !events_.contains(cpu)) add(cpu);
  }
}

bool Sampler::Event::lives() {
  struct {
    std::uint64_t count, enabled;
  } now{};
  if (read(fd, &now, sizeof now) != sizeof now) return false;
  return std::exchange(lived, now.enabled) != now.enabled;
}

void Sampler::add(int cpu) {
  int event = open_sampling(kind_, hertz_, cpu);
  if (event < 0 && errno == ENODEV) return;  // taken down this moment
  bpf_link* link = event >= 0 ? bpf_program__attach_perf_event(program_, event) : nullptr;
  if (!link) {
    int error = errno;
    if (event >= 0) close(event);
    throw Failure(
        error == EPERM || error == EACCES ? Exit::denied : Exit::unsupported,
        cat("cannot sample CPU ", cpu, ": ", error_text(error),
            error == EINVAL ? "; see /proc/sys/kernel/perf_event_max_sample_rate for the highest --frequency" : ""));
  }
  events_[cpu] = {Link(link), event};
}

}  // namespace kit
