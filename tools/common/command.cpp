// SPDX-License-Identifier: BSD-2-Clause
#include "command.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cstdlib>

#include "kit/text.hpp"

namespace kit {
namespace {

// Finds the program as a shell would, so that the command's own exec is the only one that is tried.
std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* path = std::getenv("PATH");
  for (std::string_view folder : split(path ? path : "/usr/bin:/bin", ':')) {
    std::string candidate = cat(folder.empty() ? "." : folder, '/', name);
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  throw Failure(Exit::failed, cat("cannot start ", name, ": no such program in PATH"));
}

struct Pipe {
  Fd read, write;
  Pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw Failure(Exit::failed, cat("cannot create a pipe: ", error_text(errno)));
    read = Fd(ends[0]);
    write = Fd(ends[1]);
  }
};

// In the child: waits for a byte, then becomes the program. What fails is told through `failure`.
[[noreturn]] void wait_and_exec(const std::string& program, std::vector<char*>& words, int gate, int failure) {
  sigset_t none;
  sigemptyset(&none);
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) ::signal(signal, SIG_DFL);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  dup2(STDERR_FILENO, STDOUT_FILENO);
  char byte;
  if (read(gate, &byte, 1) != 1) _exit(127);
  execv(program.c_str(), words.data());
  int error = errno;
  ssize_t told = write(failure, &error, sizeof error);
  _exit(told == sizeof error ? 127 : 126);
}

}  // namespace

std::string find_command(const std::string& word) {
  std::string program = find_program(word);
  if (access(program.c_str(), X_OK) == 0) return program;
  throw Failure(Exit::failed, cat("cannot start ", program, ": ", error_text(errno)));
}

Fd open_process(std::uint32_t pid) { return Fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))); }

Command::Command(const std::vector<std::string>& words) : program_(find_program(words[0])) {
  Pipe gate, failure;
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  pid_ = fork();
  if (pid_ < 0) throw Failure(Exit::failed, cat("cannot fork: ", error_text(errno)));
  if (pid_ == 0) {
    gate.write.reset();
    wait_and_exec(program_, arguments, gate.read.get(), failure.write.get());
  }
  pidfd_ = open_process(pid());
  gate_ = std::move(gate.write);
  failure_ = std::move(failure.read);
}

Command::~Command() {
  if (gone_) return;
  gate_.reset();
  waitpid(pid_, nullptr, 0);
}

void Command::go() {
  gone_ = true;
  bool opened = write(gate_.get(), "x", 1) == 1;
  gate_.reset();
  int error = 0;
  ssize_t size = read(failure_.get(), &error, sizeof error);
  failure_.reset();
  if (opened && size <= 0) return;
  waitpid(pid_, nullptr, 0);
  throw Failure(Exit::failed, cat("cannot start ", program_, ": ", error_text(error)));
}

void Command::send(int signal) {
  if (gone_ && !end_) kill(pid_, signal);
}

std::optional<CommandEnd> Command::end() {
  int status = 0;
  if (!end_ && gone_ && waitpid(pid_, &status, WNOHANG) == pid_)
    end_ = WIFSIGNALED(status) ? CommandEnd{0, WTERMSIG(status)} : CommandEnd{WEXITSTATUS(status), 0};
  return end_;
}

}  // namespace kit
