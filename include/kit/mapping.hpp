// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <utility>

namespace kit {

// Memory mapped from a descriptor.
class Mapping {
 public:
  Mapping() = default;
  // `size` bytes of what `fd` is, from `offset` on, shared with whoever else has it. A Failure where that cannot be.
  Mapping(int fd, std::size_t offset, std::size_t size, bool writable);
  Mapping(Mapping&& other) noexcept : at_(std::exchange(other.at_, nullptr)), size_(other.size_) {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(at_, other.at_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Mapping();
  char* get() const { return static_cast<char*>(at_); }

 private:
  void* at_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace kit
