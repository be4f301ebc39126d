// SPDX-License-Identifier: BSD-2-Clause
#include "code_mappings.hpp"

#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

#include "kit/kernel.hpp"

namespace kit {
namespace {

constexpr std::size_t ring_pages = 8;

std::size_t page_size() { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }

Fd open_event(int cpu) {
  perf_event_attr attributes{};
  attributes.size = sizeof attributes;
  attributes.type = PERF_TYPE_SOFTWARE;
  attributes.config = PERF_COUNT_SW_DUMMY;
  attributes.exclude_kernel = 1;
  attributes.mmap = 1;
  attributes.watermark = 1;
  attributes.wakeup_watermark = 1;
  return Fd(static_cast<int>(syscall(SYS_perf_event_open, &attributes, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC)));
}

// PERF_RECORD_MMAP, with as much of the path as tells a file.
struct Mapped {
  perf_event_header header;
  std::uint32_t pid, tid;
  std::uint64_t address, size, offset;
  char path[8];
};

}  // namespace

void CodeMappings::Unmap::operator()(void* memory) const { munmap(memory, size); }

CodeMappings::CodeMappings() {
  std::size_t size = (1 + ring_pages) * page_size();
  for (int cpu : online_cpus()) {
    Fd event = open_event(cpu);
    void* memory = event ? mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, event.get(), 0) : MAP_FAILED;
    if (memory != MAP_FAILED) rings_.push_back({std::move(event), {memory, Unmap{size}}});
  }
}

std::vector<int> CodeMappings::descriptors() const {
  std::vector<int> all;
  for (const Ring& ring : rings_) all.push_back(ring.event.get());
  return all;
}

// The kernel wrote until data_head, and writes over what lies before data_tail.
void CodeMappings::read(void* memory, const std::function<void(std::uint32_t pid)>& tell) {
  auto* page = static_cast<perf_event_mmap_page*>(memory);
  const char* data = static_cast<const char*>(memory) + page_size();
  const std::size_t size = ring_pages * page_size();
  std::uint64_t head = std::atomic_ref(page->data_head).load(std::memory_order_acquire), at = page->data_tail;
  while (at < head) {
    Mapped record{};
    auto* to = reinterpret_cast<char*>(&record);
    for (std::size_t i = 0; i < sizeof record && at + i < head; i++) to[i] = data[(at + i) % size];
    if (record.header.size < sizeof record.header) break;
    bool file = record.path[0] == '/' && std::strncmp(record.path, "//anon", 6) != 0;
    if (record.header.type == PERF_RECORD_MMAP && file) tell(record.pid);
    at += record.header.size;
  }
  std::atomic_ref(page->data_tail).store(head, std::memory_order_release);
}

void CodeMappings::drain(const std::function<void(std::uint32_t pid)>& tell) {
  for (Ring& ring : rings_) read(ring.memory.get(), tell);
  if (++calls_ >= most) pause();
}

void CodeMappings::pause() {
  if (std::exchange(paused_, true)) return;
  for (Ring& ring : rings_) ioctl(ring.event.get(), PERF_EVENT_IOC_DISABLE, 0);
}

void CodeMappings::go_on() {
  if (std::exchange(paused_, false))
    for (Ring& ring : rings_) ioctl(ring.event.get(), PERF_EVENT_IOC_ENABLE, 0);
  calls_ = 0;
}

}  // namespace kit
