// SPDX-License-Identifier: BSD-2-Clause
#include "kit/mapping.hpp"

#include <sys/mman.h>

#include <cerrno>

#include "kit/failure.hpp"
#include "kit/text.hpp"

namespace kit {

Mapping::Mapping(int fd, std::size_t offset, std::size_t size, bool writable)
    : at_(mmap(nullptr, size, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd,
               static_cast<off_t>(offset))),
      size_(size) {
  if (at_ != MAP_FAILED) return;
  at_ = nullptr;
  throw Failure(Exit::failed, cat("cannot map memory of the kernel's: ", error_text(errno)));
}

Mapping::~Mapping() {
  if (at_) munmap(at_, size_);
}

}  // namespace kit
