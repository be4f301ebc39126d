// SPDX-License-Identifier: BSD-2-Clause
// One epoll that everything waits in: rings, signals, timers, the end of a traced command. There are no signal handlers
// and no flags; nothing wakes when nothing happens.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "kit/handle.hpp"

namespace kit {

class Loop {
 public:
  Loop();
  // Calls `ready` in run() whenever the descriptor, which the caller keeps open, becomes readable. `edge`: only when it
  // becomes so anew, not as long as it is.
  void watch(int fd, std::function<void()> ready, bool edge = false);
  void forget(int fd);
  // Runs until stop() was called.
  void run();
  void stop() { running_ = false; }

 private:
  struct Watch {
    int fd;
    std::function<void()> ready;
  };
  Fd epoll_;
  std::vector<std::unique_ptr<Watch>> watches_;
  bool running_ = true;
};

// A timer of the loop's.
class Timer {
 public:
  Timer(Loop& loop, std::function<void()> expired);
  // Expires once, `ns` from now; 0 stops it.
  void once(std::uint64_t ns);
  // Expires every `ns`. Missed ones count once.
  void every(std::uint64_t ns);

 private:
  void set(std::uint64_t first, std::uint64_t interval);
  Fd fd_;
};

// Blocks SIGINT, SIGTERM and SIGHUP for this process and calls `stopped` with the number when one comes; from then on
// they have their usual effect again, so that a second one ends the process at once.
class Signals {
 public:
  Signals(Loop& loop, std::function<void(int)> stopped);
  // After the loop: the first that comes, or has come, changes nothing, as the run ends anyway; the next ends the
  // process at once. Nothing if one has stopped the loop.
  void release();

 private:
  Fd fd_;
  bool stopped_ = false;
};

}  // namespace kit
