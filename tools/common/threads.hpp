// SPDX-License-Identifier: BSD-2-Clause
// What is common to the threads of a tool.
#pragma once

#include <csignal>
#include <future>

namespace kit {

// Threads that are made while it lives are sent no signals: those are the loop's.
class NoSignals {
 public:
  NoSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  NoSignals(const NoSignals&) = delete;
  ~NoSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

// For std::async: where a limit allows no thread (RLIMIT_NPROC, pids.max), it is done when it is asked for.
constexpr std::launch thread_if_any = std::launch::async | std::launch::deferred;

}  // namespace kit
