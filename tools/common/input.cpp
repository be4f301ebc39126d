// SPDX-License-Identifier: BSD-2-Clause
#include "kit/input.hpp"

#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "kit/failure.hpp"
#include "kit/text.hpp"

namespace kit {

bool InputLines::take(std::vector<std::string>& lines) {
  constexpr std::size_t most = 512;  // lines
  pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  lines.clear();
  while (!over_ && (lines.empty() || (lines.size() < most && poll(&input, 1, 0) > 0))) read(lines);
  return !lines.empty();
}

void InputLines::read(std::vector<std::string>& lines) {
  char block[4096];
  ssize_t size = ::read(STDIN_FILENO, block, sizeof block);
  if (size < 0 && errno == EINTR) return;
  if (size < 0) throw Failure(Exit::failed, cat("cannot read standard input: ", error_text(errno)));
  over_ = size == 0;
  rest_.append(block, static_cast<std::size_t>(size));
  if (over_ && !rest_.empty()) rest_ += '\n';
  std::size_t done = 0;
  for (std::size_t end; (end = rest_.find('\n', done)) != rest_.npos; done = end + 1)
    lines.push_back(rest_.substr(done, end - done));
  rest_.erase(0, done);
}

}  // namespace kit
