// SPDX-License-Identifier: BSD-2-Clause
// The command that is traced: -- COMMAND ARGS.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kit/handle.hpp"
#include "kit/sink.hpp"

namespace kit {

// The program that a command's first word stands for, as a shell finds it. Throws Failure if it cannot be started.
std::string find_command(const std::string& word);

// A child that waits at a gate before its exec, so that tracing is in place first. Its standard output is our standard
// error. If this process dies before the gate opens, the child goes too.
class Command {
 public:
  // Throws Failure if there is no such program.
  explicit Command(const std::vector<std::string>& words);
  Command(const Command&) = delete;
  ~Command();
  std::uint32_t pid() const { return static_cast<std::uint32_t>(pid_); }
  // Readable when the command has ended.
  int ended_fd() const { return pidfd_.get(); }
  // Opens the gate. Throws Failure if the program cannot be executed.
  void go();
  void send(int signal);
  // How it ended, if it has.
  std::optional<CommandEnd> end();

 private:
  std::string program_;
  pid_t pid_ = -1;
  Fd pidfd_, gate_, failure_;
  bool gone_ = false;
  std::optional<CommandEnd> end_;
};

// A process's descriptor (pidfd_open(2)), readable when it has ended.
Fd open_process(std::uint32_t pid);

}  // namespace kit
