// SPDX-License-Identifier: BSD-2-Clause
// The one exception type: what was being done, why it failed and what to try, in one line; and the exit codes.
#pragma once

#include <stdexcept>
#include <string>

namespace kit {

// What a tool's exit status tells a script.
enum class Exit : int {
  done = 0,          // also after a signal, a closed pipe, --duration or --count
  failed = 1,        // also a write that failed, or a command that could not be started
  lost = 3,          // data was lost, under --strict
  usage = 64,        // bad options; checked before privilege
  unsupported = 69,  // this kernel cannot
  denied = 77,       // not permitted; the message names the missing capability
};

// Thrown where a tool cannot go on, caught once, at the edge (run_tool). The message starts in lower case, names the
// thing and ends in what to do.
class Failure : public std::runtime_error {
 public:
  Failure(Exit code, const std::string& message) : std::runtime_error(message), code_(code) {}
  Exit code() const { return code_; }

 private:
  Exit code_;
};

// Thrown by what ends a run early and well: --help, --explain and the like have printed all there is.
struct Finished {
  Exit code = Exit::done;
};

// "what: the error's text", from errno's value.
std::string error_text(int error);

// Calls `tool` and turns what it throws into a line on stderr and an exit code. `name` is the tool's.
int run_tool(const char* name, int (*tool)(int, char**), int argc, char** argv) noexcept;

}  // namespace kit
