// SPDX-License-Identifier: BSD-2-Clause
#include "kit/failure.hpp"

#include <cstdio>
#include <cstring>
#include <exception>

namespace kit {

std::string error_text(int error) {
  const char* text = strerrordesc_np(error < 0 ? -error : error);
  return text ? text : "error " + std::to_string(error);
}

int run_tool(const char* name, int (*tool)(int, char**), int argc, char** argv) noexcept {
  try {
    return tool(argc, argv);
  } catch (const Finished& finished) {
    return std::fflush(stdout) == 0 ? static_cast<int>(finished.code) : static_cast<int>(Exit::failed);
  } catch (const Failure& failure) {
    std::fprintf(stderr, "%s: %s\n", name, failure.what());
    return static_cast<int>(failure.code());
  } catch (const std::exception& other) {
    std::fprintf(stderr, "%s: %s\n", name, other.what());
    return static_cast<int>(Exit::failed);
  }
}

}  // namespace kit
