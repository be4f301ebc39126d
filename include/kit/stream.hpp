// SPDX-License-Identifier: BSD-2-Clause
// From the ring to records in the order of their times.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "kit/handle.hpp"
#include "kit/record.h"

namespace kit {

// The consumer's side of a BPF ring buffer (kernel/bpf/ringbuf.c): the positions are a page each, the data is mapped
// twice in a row, so that a record at the end need not be put together. Read here rather than through ring_buffer__poll()
// because waking, batching and how full it is are what this suite does differently.
class Ring {
 public:
  // `fd` of a BPF_MAP_TYPE_RINGBUF of `size` bytes.
  Ring(int fd, std::size_t size);
  ~Ring();
  Ring(const Ring&) = delete;
  // Gives every record that is complete, in the order of reservation, to `each`; returns the bytes that it took up.
  std::size_t drain(const std::function<void(std::string_view)>& each);
  // Whether anything is reserved, complete or not.
  bool empty() const;
  std::size_t size() const { return size_; }

 private:
  std::size_t size_, page_;
  void* consumer_map_;
  void* producer_map_;
};

// Records that wait until no earlier one can come any more: rows of several CPUs are sorted within a window of 50 ms.
class Reorder {
 public:
  static constexpr std::uint64_t window_ns = 50'000'000;
  // Keeps a copy of a record, its tail moved up to its fixed part. False if the record is not one (too short).
  bool add(std::string_view record);
  // Gives those up to `time` (ns since boot) to `each`, in order; `late` if later ones were given before.
  void release(std::uint64_t time, const std::function<void(const kit_head&, bool late)>& each);
  bool empty() const { return waiting_.empty(); }

 private:
  struct Waiting {
    std::uint64_t time;
    std::size_t at;
  };
  std::string bytes_;
  std::vector<Waiting> waiting_;
  std::uint64_t last_ = 0;
};

}  // namespace kit
