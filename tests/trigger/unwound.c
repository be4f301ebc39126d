// SPDX-License-Identifier: BSD-2-Clause
// Spends known shares of its time at the ends of different ways of calling, in code without frame pointers; says how
// many nanoseconds of CPU time each took. "unwound MILLISECONDS [BEFORE]": for BEFORE milliseconds it does nothing that
// counts. The part in tests/trigger/lib may be a library.
#include <alloca.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

void library_calls(void (*back)(void));

enum { DEEP, SORTED, SIGNALLED, LIBRARY, STRETCHED, ALIGNED, THREADED, WAYS };
static const char* const names[WAYS] = {"deep_end",      "sorted_end",  "signalled_end", "library_end",
                                        "stretched_end", "aligned_end", "threaded_end"};
#include "shares.h"

#define NOINLINE __attribute__((noinline))
NOINLINE END(deep_end, DEEP, 4000000)
NOINLINE END(sorted_end, SORTED, 3000000)
NOINLINE END(signalled_end, SIGNALLED, 2000000)
NOINLINE END(library_end, LIBRARY, 3000000)
NOINLINE END(stretched_end, STRETCHED, 2000000)
NOINLINE END(aligned_end, ALIGNED, 1000000)
NOINLINE END(threaded_end, THREADED, 5000000)

NOINLINE void deep_step(int depth) {
  char room[64];
  memset(room, depth, sizeof room);
  if (depth > 0)
    deep_step(depth - 1);
  else
    deep_end();
  sink += room[depth & 63];
}

static int compare(const void* a, const void* b) {
  static int calls;
  if (++calls % 8 == 0) sorted_end();
  return *(const int*)a - *(const int*)b;
}

NOINLINE void sorted_start(void) {
  int numbers[] = {5, 3, 8, 1, 9, 2, 7};
  qsort(numbers, 7, sizeof numbers[0], compare);
  sink += numbers[0];
}

static void on_signal(int number) {
  signalled_end();
  sink += number;
}

NOINLINE void signalled_start(void) {
  raise(SIGUSR1);
  AFTERWARDS;
}

NOINLINE void library_start(void) {
  library_calls(library_end);
  AFTERWARDS;
}

// A frame of a size that is not known before.
NOINLINE void stretched_start(int size) {
  char* room = alloca(size);
  memset(room, 1, size);
  stretched_end();
  sink += room[size / 2];
}

// A frame that begins at a multiple of 64.
NOINLINE void aligned_start(void) {
  char room[64] __attribute__((aligned(64)));
  asm volatile("" : : "r"(room) : "memory");
  aligned_end();
  asm volatile("" : : "r"(room) : "memory");
}

static void* threaded_start(void* nothing) {
  threaded_end();
  AFTERWARDS;
  return nothing;
}

int main(int count, char** words) {
  unsigned long until = count > 1 ? strtoul(words[1], NULL, 10) * 1000000 : 100000000;
  if (count > 2) warm_up(strtoul(words[2], NULL, 10) * 1000000);
  signal(SIGUSR1, on_signal);
  while (all_spent() < until) {
    pthread_t thread;
    deep_step(90);
    sorted_start();
    signalled_start();
    library_start();
    stretched_start(1000 + sink % 8);
    aligned_start();
    if (pthread_create(&thread, NULL, threaded_start, NULL) != 0) return 1;
    pthread_join(thread, NULL);
  }
  say_shares(words[0]);
  return 0;
}
