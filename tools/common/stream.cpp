// SPDX-License-Identifier: BSD-2-Clause
#include "kit/stream.hpp"

#include <linux/bpf.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

#include "kit/text.hpp"

namespace kit {
namespace {

std::uint64_t load(const void* position) {
  return static_cast<const std::atomic<std::uint64_t>*>(position)->load(std::memory_order_acquire);
}

constexpr std::size_t window_part = 16;  // of a ring; beyond that it is mapped whole

constexpr std::size_t align8(std::size_t size) { return (size + 7) / 8 * 8; }

}  // namespace

Ring::Ring(int fd, std::size_t size)
    : fd_(fd),
      size_(size),
      page_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))),
      consumer_(fd, 0, page_, true),
      producer_(fd, page_, page_, false) {}

std::size_t Ring::used() const {
  // After arming: the look at the producer's position must not come before (see stream.bpf.h).
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return load(producer_.get()) - load(consumer_.get());
}

const char* Ring::at(std::uint64_t position) const {
  return data_.get() ? data_.get() + (position & (size_ - 1)) : window_.get() + (position - window_from_);
}

std::string_view Ring::bytes_at(std::uint64_t position, std::uint32_t size) {
  std::size_t begin = position & (size_ - 1);
  // The kernel has its pages twice, one behind the other, so that a window goes on.
  if (!data_.get() || begin + size <= size_) return {at(position), size};
  joined_.assign(data_.get() + begin, size_ - begin);
  joined_.append(data_.get(), size - (size_ - begin));
  return joined_;
}

std::size_t Ring::drain(const std::function<void(std::string_view)>& each) {
  auto& consumer = *reinterpret_cast<std::atomic<std::uint64_t>*>(consumer_.get());
  std::uint64_t begin = load(consumer_.get()), position = begin, freed = begin, end = load(producer_.get());
  if (begin == end) return 0;
  if (!data_.get() && end - begin > size_ / window_part) data_ = Mapping(fd_, 2 * page_, size_, false);
  if (!data_.get()) {
    window_from_ = begin / page_ * page_;
    window_ = Mapping(fd_, 2 * page_ + (window_from_ & (size_ - 1)), end - window_from_, false);
  }
  while (position < end) {
    auto* size_of = reinterpret_cast<const std::atomic<std::uint32_t>*>(at(position));
    std::uint32_t head = size_of->load(std::memory_order_acquire);
    if (head & BPF_RINGBUF_BUSY_BIT) break;
    std::uint32_t size = head & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
    if (!(head & BPF_RINGBUF_DISCARD_BIT)) each(bytes_at(position + BPF_RINGBUF_HDR_SZ, size));
    position += align8(size + BPF_RINGBUF_HDR_SZ);
    // Room is given back in parts, not for each record: the line is shared with every CPU that writes.
    if (position - freed > size_ / 16) consumer.store(freed = position, std::memory_order_release);
    if (position == end && data_.get()) end = load(producer_.get());
    if (position - begin > 4 * size_) break;  // a storm; come back for the rest
  }
  consumer.store(position, std::memory_order_release);
  window_ = Mapping();
  return position - begin;
}

bool Reorder::add(std::string_view record) {
  kit_head head;
  if (record.size() < sizeof head) return false;
  std::memcpy(&head, record.data(), sizeof head);
  if (head.fixed < sizeof head || head.fixed + std::size_t{head.tail_at} + head.tail_size > record.size()) return false;
  std::size_t at = bytes_.size();
  std::uint32_t tail_at = std::exchange(head.tail_at, 0);
  bytes_.append(record.substr(0, head.fixed));
  std::memcpy(bytes_.data() + at, &head, sizeof head);
  bytes_.append(record.substr(head.fixed + tail_at, head.tail_size));
  bytes_.resize(align8(bytes_.size()));
  sorted_ = sorted_ && (waiting_.empty() || waiting_.back().time <= head.time);
  waiting_.push_back({head.time, at});
  return true;
}

bool Reorder::release(std::uint64_t time, const std::function<void(const kit_head&, bool late)>& each,
                      std::size_t most) {
  auto first = waiting_.begin() + static_cast<std::ptrdiff_t>(given_);
  if (!std::exchange(sorted_, true))
    std::stable_sort(first, waiting_.end(), [](const Waiting& a, const Waiting& b) { return a.time < b.time; });
  for (; most && given_ < waiting_.size() && waiting_[given_].time <= time; given_++, most--) {
    bool late = waiting_[given_].time < last_;
    last_ = std::max(last_, waiting_[given_].time);
    each(*reinterpret_cast<const kit_head*>(bytes_.data() + waiting_[given_].at), late);
  }
  // Moving those that wait each time would cost more than all else here.
  if (given_ > waiting_.size() / 2) drop_given();
  return given_ < waiting_.size() && waiting_[given_].time <= time;
}

void Reorder::drop_given() {
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(std::exchange(given_, 0)));
  std::size_t begin = bytes_.size();
  for (const Waiting& waiting : waiting_) begin = std::min(begin, waiting.at);
  bytes_.erase(0, begin);
  for (Waiting& waiting : waiting_) waiting.at -= begin;
}

}  // namespace kit
