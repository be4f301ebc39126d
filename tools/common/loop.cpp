// SPDX-License-Identifier: BSD-2-Clause
#include "kit/loop.hpp"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <array>

#include "kit/text.hpp"

namespace kit {
namespace {

[[noreturn]] void failed(const char* what) {
  throw Failure(Exit::failed, cat("cannot ", what, ": ", error_text(errno)));
}

timespec to_timespec(std::uint64_t ns) {
  return {static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
}

}  // namespace

Loop::Loop() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  if (!epoll_) failed("create an epoll");
}

void Loop::watch(int fd, std::function<void()> ready, bool edge) {
  watches_.push_back(std::make_unique<Watch>(Watch{fd, std::move(ready)}));
  epoll_event event{.events = EPOLLIN | (edge ? static_cast<std::uint32_t>(EPOLLET) : 0u),
                    .data = {.ptr = watches_.back().get()}};
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) failed("watch a descriptor");
}

// The watch itself is kept: an event for it may already be on its way.
void Loop::forget(int fd) { epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr); }

void Loop::run() {
  std::array<epoll_event, 16> events;
  while (running_) {
    int count = epoll_wait(epoll_.get(), events.data(), events.size(), -1);
    if (count < 0 && errno != EINTR) failed("wait for events");
    for (int i = 0; i < count && running_; i++)
      static_cast<Watch*>(events[static_cast<std::size_t>(i)].data.ptr)->ready();
  }
}

Timer::Timer(Loop& loop, std::function<void()> expired)
    : fd_(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)) {
  if (!fd_) failed("create a timer");
  loop.watch(fd_.get(), [fd = fd_.get(), expired = std::move(expired)] {
    std::uint64_t times = 0;
    if (read(fd, &times, sizeof times) == sizeof times) expired();
  });
}

void Timer::once(std::uint64_t ns) { set(ns, 0); }
void Timer::every(std::uint64_t ns) { set(ns, ns); }

void Timer::set(std::uint64_t first, std::uint64_t interval) {
  itimerspec times{.it_interval = to_timespec(interval), .it_value = to_timespec(first)};
  if (timerfd_settime(fd_.get(), 0, &times, nullptr) != 0) failed("set a timer");
}

namespace {

constexpr int ending_signals[] = {SIGINT, SIGTERM, SIGHUP};

sigset_t ending_set() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : ending_signals) sigaddset(&set, signal);
  return set;
}

}  // namespace

Signals::Signals(Loop& loop, std::function<void(int)> stopped) {
  sigset_t set = ending_set();
  sigprocmask(SIG_BLOCK, &set, nullptr);
  fd_ = Fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd_) failed("wait for signals");
  loop.watch(fd_.get(), [this, set, stopped = std::move(stopped)] {
    signalfd_siginfo info{};
    if (read(fd_.get(), &info, sizeof info) != sizeof info) return;
    stopped_ = true;
    sigprocmask(SIG_UNBLOCK, &set, nullptr);
    stopped(static_cast<int>(info.ssi_signo));
  });
}

void Signals::release() {
  if (stopped_) return;
  struct sigaction once {};
  once.sa_handler = [](int) {};
  once.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);
  for (int signal : ending_signals) sigaction(signal, &once, nullptr);
  sigset_t set = ending_set();
  sigprocmask(SIG_UNBLOCK, &set, nullptr);
}

}  // namespace kit
