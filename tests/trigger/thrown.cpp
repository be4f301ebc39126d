// SPDX-License-Identifier: BSD-2-Clause
// Throws C++ exceptions through many frames and spends known shares of its time while they are in flight: in the
// unwinder itself, in destructors that it runs on its way, in handlers, and where a handler has thrown on; says how
// many nanoseconds of CPU time each took. "thrown MILLISECONDS [BEFORE]": for BEFORE milliseconds nothing counts.
#include <pthread.h>
#include <stdlib.h>

namespace {

enum { FLIGHT, CLEANED, CAUGHT, RETHROWN, THREADED, WAYS };
const char* const names[WAYS] = {"flight", "cleaned_end", "caught_end", "rethrown_end", "threaded_end"};
constexpr int depth = 40;

}  // namespace

#include "shares.h"

// Global and plain, so that each is found by its name.
#define FUNCTION extern "C" __attribute__((noinline))

FUNCTION END(cleaned_end, CLEANED, 150000);  // at each frame
FUNCTION END(caught_end, CAUGHT, 5000000);
FUNCTION END(rethrown_end, RETHROWN, 3000000);
FUNCTION END(threaded_end, THREADED, 4000000);

struct Cleaned {
  ~Cleaned() { cleaned_end(); }
};

FUNCTION void thrower(int value) {
  if (value) throw value;
}

FUNCTION void plain_step(int left) {
  if (left > 0)
    plain_step(left - 1);
  else
    thrower(depth);
  AFTERWARDS;
}

FUNCTION void cleaned_step(int left) {
  Cleaned cleaned;
  if (left > 0)
    cleaned_step(left - 1);
  else
    thrower(depth);
  AFTERWARDS;
}

FUNCTION void plain_start() {
  unsigned long begin = cpu_ns();
  try {
    plain_step(depth);
  } catch (int) {
    spent[FLIGHT] += cpu_ns() - begin;
  }
  AFTERWARDS;
}

FUNCTION void cleaned_start() {
  unsigned long begin = cpu_ns(), cleaned = spent[CLEANED];
  try {
    cleaned_step(depth);
  } catch (int) {
    spent[FLIGHT] += cpu_ns() - begin - (spent[CLEANED] - cleaned);
  }
  AFTERWARDS;
}

FUNCTION void caught_start() {
  try {
    thrower(1);
  } catch (int) {
    caught_end();
  }
  AFTERWARDS;
}

// Throws on what it has caught.
FUNCTION void rethrown_step() {
  try {
    thrower(2);
  } catch (int) {
    throw;
  }
  AFTERWARDS;
}

FUNCTION void rethrown_start() {
  try {
    rethrown_step();
  } catch (int) {
    rethrown_end();
  }
  AFTERWARDS;
}

FUNCTION void* threaded_start(void* nothing) {
  try {
    thrower(3);
  } catch (int) {
    threaded_end();
  }
  return nothing;
}

int main(int count, char** words) {
  unsigned long until = count > 1 ? strtoul(words[1], nullptr, 10) * 1000000 : 100000000;
  if (count > 2) warm_up(strtoul(words[2], nullptr, 10) * 1000000);
  while (all_spent() < until) {
    for (int i = 0; i < 150; i++) plain_start();
    cleaned_start();
    caught_start();
    rethrown_start();
    pthread_t thread;
    if (pthread_create(&thread, nullptr, threaded_start, nullptr) != 0) return 1;
    pthread_join(thread, nullptr);
  }
  say_shares(words[0]);
  return 0;
}
