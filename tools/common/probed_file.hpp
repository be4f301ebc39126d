// SPDX-License-Identifier: BSD-2-Clause
// A file's code, mapped here while places of it are probed: the kernel looks at an instruction when a process has it
// mapped, and what it refuses it then says. Where no process has, it finds out when a program starts, and leaves it
// unprobed without a word. Inside the library alone.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <string>

#include "kit/handle.hpp"

namespace kit {

class ProbedFile {
 public:
  // Of what cannot be mapped (a file system mounted noexec) nothing is.
  explicit ProbedFile(const std::string& path) {
    Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat status {};
    if (!file || fstat(file.get(), &status) != 0) return;
    size_ = static_cast<std::size_t>(status.st_size);
    at_ = mmap(nullptr, size_, PROT_READ | PROT_EXEC, MAP_PRIVATE, file.get(), 0);
  }
  ProbedFile(const ProbedFile&) = delete;
  ~ProbedFile() {
    if (at_ != MAP_FAILED) munmap(at_, size_);
  }

 private:
  void* at_ = MAP_FAILED;
  std::size_t size_ = 0;
};

}  // namespace kit
