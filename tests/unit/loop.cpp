// SPDX-License-Identifier: BSD-2-Clause
// The one epoll that a tool waits in.
#include "kit/loop.hpp"

#include <fcntl.h>
#include <sys/wait.h>

#include <csignal>

#include "case.hpp"
#include "kit/clock.hpp"

namespace {

constexpr std::uint64_t ms = 1'000'000;

struct Pipe {
  kit::Fd out, in;
  Pipe() {
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
    out = kit::Fd(ends[0]);
    in = kit::Fd(ends[1]);
  }
  void put() const { REQUIRE(write(in.get(), "x", 1) == 1); }
  void take() const {
    char byte;
    REQUIRE(read(out.get(), &byte, 1) == 1);
  }
};

// So that a broken loop ends.
struct Deadline {
  kit::Timer timer;
  explicit Deadline(kit::Loop& loop)
      : timer(loop, [&loop] {
          FAIL_CHECK("nothing came for 10 s");
          loop.stop();
        }) {
    timer.once(10000 * ms);
  }
};

}  // namespace

TEST_CASE("a pipe that has something wakes its watcher until it is emptied") {
  kit::Loop loop;
  Deadline deadline(loop);
  Pipe pipe;
  int times = 0;
  loop.watch(pipe.out.get(), [&] {
    if (++times < 3) return;
    pipe.take();
    loop.stop();
  });
  pipe.put();
  loop.run();
  CHECK(times == 3);
}

TEST_CASE("under `edge` a pipe wakes its watcher only when more comes") {
  kit::Loop loop;
  Deadline deadline(loop);
  Pipe pipe;
  int times = 0;
  loop.watch(
      pipe.out.get(), [&] { times++; }, true);
  pipe.put();
  kit::Timer later(loop, [&] { loop.stop(); });
  later.once(30 * ms);
  loop.run();
  CHECK(times == 1);
}

TEST_CASE("what is forgotten wakes nobody") {
  kit::Loop loop;
  Deadline deadline(loop);
  Pipe pipe;
  int times = 0;
  loop.watch(pipe.out.get(), [&] {
    times++;
    loop.forget(pipe.out.get());
  });
  pipe.put();
  kit::Timer later(loop, [&] { loop.stop(); });
  later.once(30 * ms);
  loop.run();
  CHECK(times == 1);
}

TEST_CASE("a watcher may forget itself and close its descriptor while others wait") {
  kit::Loop loop;
  Deadline deadline(loop);
  Pipe first, second;
  int times = 0;
  auto once = [&](Pipe& pipe) {
    return [&] {
      loop.forget(pipe.out.get());
      pipe.out.reset();
      if (++times == 2) loop.stop();
    };
  };
  loop.watch(first.out.get(), once(first));
  loop.watch(second.out.get(), once(second));
  first.put();
  second.put();
  loop.run();
  CHECK(times == 2);
}

TEST_CASE("a timer expires once, again, and can be stopped") {
  kit::Loop loop;
  Deadline deadline(loop);
  int once = 0, often = 0, never = 0;
  kit::Timer first(loop, [&] { once++; });
  kit::Timer second(loop, [&] {
    if (++often == 5) loop.stop();
  });
  kit::Timer third(loop, [&] { never++; });
  first.once(1 * ms);
  second.every(5 * ms);
  third.once(1 * ms);
  third.once(0);
  std::uint64_t begin = kit::boot_time();
  loop.run();
  CHECK(once == 1);
  CHECK(often == 5);
  CHECK(never == 0);
  CHECK(kit::boot_time() - begin >= 25 * ms);
}

TEST_CASE("a stopped loop gives no further events of the same round") {
  kit::Loop loop;
  Pipe first, second;
  int times = 0;
  auto count = [&] {
    times++;
    loop.stop();
  };
  loop.watch(first.out.get(), count);
  loop.watch(second.out.get(), count);
  first.put();
  second.put();
  loop.run();
  CHECK(times == 1);
}

TEST_CASE("the first signal is told, the second one ends the process") {
  for (int number : {SIGINT, SIGTERM, SIGHUP}) {
    pid_t child = fork();
    if (child == 0) {
      signal(number, SIG_DFL);  // Catch2 has put its own there
      kit::Loop loop;
      int told = 0;
      kit::Signals signals(loop, [&](int signal) {
        told = signal;
        loop.stop();
      });
      raise(number);
      loop.run();
      if (told != number) _exit(1);
      raise(number);
      _exit(2);
    }
    int status = 0;
    waitpid(child, &status, 0);
    INFO(number);
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == number);
  }
}

TEST_CASE("a descriptor that cannot be watched is a failure") {
  kit::Loop loop;
  CHECK_THROWS_AS(loop.watch(-1, [] {}), kit::Failure);
}
