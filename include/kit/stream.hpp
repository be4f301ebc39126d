// SPDX-License-Identifier: BSD-2-Clause
// From the ring to records in the order of their times.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "kit/mapping.hpp"
#include "kit/record.h"

namespace kit {

// The consumer's side of a BPF ring buffer (kernel/bpf/ringbuf.c): two positions, a page each, and the data. Read here
// rather than through ring_buffer__poll() because waking, batching and memory are what this suite does differently: the
// kernel makes every page resident that is mapped, so a few records are read through a window of their own, and the
// data is mapped whole only in a storm.
class Ring {
 public:
  // `fd` of a BPF_MAP_TYPE_RINGBUF of `size` bytes, which the caller keeps open.
  Ring(int fd, std::size_t size);
  // Gives every record that is complete, in the order of reservation, to `each`; returns the bytes that it took up.
  std::size_t drain(const std::function<void(std::string_view)>& each);
  // Bytes of what is reserved, complete or not.
  std::size_t used() const;
  std::size_t size() const { return size_; }
  // Nothing has come for a while: gives the memory of a storm back.
  void rest() { data_ = Mapping(); }

 private:
  // Where a position is mapped.
  const char* at(std::uint64_t position) const;
  // The record's bytes, put together in `joined_` where they go on at the beginning of the data.
  std::string_view bytes_at(std::uint64_t position, std::uint32_t size);

  int fd_;
  std::size_t size_, page_;
  Mapping consumer_, producer_, data_;
  Mapping window_;                 // in the place of data_, where that is not mapped
  std::uint64_t window_from_ = 0;  // its first position
  std::string joined_;
};

// Records that wait until no earlier one can come any more: rows of several CPUs are sorted within a window of 50 ms.
class Reorder {
 public:
  static constexpr std::uint64_t window_ns = 50'000'000;
  // Keeps a copy of a record, its tail moved up to its fixed part. False if the record is not one (too short).
  bool add(std::string_view record);
  // Gives those up to `time` (ns since boot) to `each`, in order, `most` of them; `late` if later ones were given
  // before. Returns whether there are more.
  bool release(std::uint64_t time, const std::function<void(const kit_head&, bool late)>& each,
               std::size_t most = SIZE_MAX);
  bool empty() const { return waiting_.empty(); }
  // The earliest's time, if there is one.
  std::uint64_t first() const { return waiting_[given_].time; }
  // Bytes of records that are kept.
  std::size_t size() const { return bytes_.size(); }

 private:
  struct Waiting {
    std::uint64_t time;
    std::size_t at;
  };
  // Forgets those that were given.
  void drop_given();

  std::string bytes_;
  std::vector<Waiting> waiting_;
  std::size_t given_ = 0;  // of waiting_, the first ones
  bool sorted_ = true;     // are the others by time
  std::uint64_t last_ = 0;
};

// Copies of records that wait for another one of the same key: a start for its end.
template <typename Record>
class Pending {
 public:
  void put(std::uint64_t key, const Record& record) {
    records_[key].assign(reinterpret_cast<const char*>(&record), record.head.fixed + record.head.tail_size);
  }
  // Gives the record of the key to `use`, if there is one, and forgets it.
  template <typename Use>
  void take(std::uint64_t key, Use use) {
    auto found = records_.extract(key);
    if (found) use(*reinterpret_cast<const Record*>(found.mapped().data()));
  }
  // All that are left, by their keys.
  template <typename Use>
  void take_all(Use use) {
    for (const auto& [key, bytes] : records_) use(*reinterpret_cast<const Record*>(bytes.data()));
    records_.clear();
  }

 private:
  std::map<std::uint64_t, std::string> records_;
};

}  // namespace kit
