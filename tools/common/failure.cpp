// SPDX-License-Identifier: BSD-2-Clause
#include "kit/failure.hpp"

#include <fcntl.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>

namespace kit {

std::string error_text(int error) {
  constexpr int not_supported = 524;  // ENOTSUPP, which the kernel lets out and no header names
  if (error < 0) error = -error;
  const char* text = error == not_supported ? "Not supported" : strerrordesc_np(error);
  return text ? text : "error " + std::to_string(error);
}

namespace {

// A closed standard descriptor would be given to the next file that is opened, and be written to as if it were the old.
void fill_standard_descriptors() {
  for (int fd = 0; fd <= 2; fd++)
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY) < 0) std::abort();
}

}  // namespace

int run_tool(const char* name, int (*tool)(int, char**), int argc, char** argv) noexcept {
  fill_standard_descriptors();
  try {
    return tool(argc, argv);
  } catch (const Finished& finished) {
    bool written = std::fflush(stdout) == 0 && !std::ferror(stdout);  // what is long was written in parts
    return static_cast<int>(written ? finished.code : Exit::failed);
  } catch (const Failure& failure) {
    std::fprintf(stderr, "%s: %s\n", name, failure.what());
    return static_cast<int>(failure.code());
  } catch (const std::exception& other) {
    std::fprintf(stderr, "%s: %s\n", name, other.what());
    return static_cast<int>(Exit::failed);
  }
}

}  // namespace kit
