// SPDX-License-Identifier: BSD-2-Clause
#include "files.hpp"

#include <fcntl.h>
#include <unistd.h>

namespace blazesym {

std::string read_text(const std::string& path, std::size_t most) {
  std::string text;
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return text;
  char block[16384];
  for (ssize_t size; text.size() < most && (size = read(fd, block, sizeof block)) > 0;)
    text.append(block, static_cast<std::size_t>(size));
  close(fd);
  return text;
}

bool Lines::next(std::string& line) {
  ssize_t size = file_ ? getline(&line_, &size_, file_.get()) : -1;
  if (size < 0) return false;
  if (size > 0 && line_[size - 1] == '\n') size--;
  line.assign(line_, static_cast<std::size_t>(size));
  return true;
}

}  // namespace blazesym
