// SPDX-License-Identifier: BSD-2-Clause
// Spends known shares of its time at the ends of different ways of calling, in code without frame pointers; says how
// many nanoseconds of CPU time each took. "unwound MILLISECONDS [BEFORE]": for BEFORE milliseconds it does nothing that
// counts. The part in tests/trigger/lib may be a library.
#include <alloca.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void library_calls(void (*back)(void));

enum { DEEP, SORTED, SIGNALLED, LIBRARY, STRETCHED, ALIGNED, THREADED, WAYS };
static const char* const names[WAYS] = {"deep_end",      "sorted_end",  "signalled_end", "library_end",
                                        "stretched_end", "aligned_end", "threaded_end"};
static unsigned long spent[WAYS];
static volatile unsigned long sink;

static unsigned long cpu_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec * 1000000000UL + now.tv_nsec;
}

// Where each way ends: some milliseconds, which are counted.
#define END(name, way, rounds)                                        \
  __attribute__((noinline)) void name(void) {                         \
    unsigned long begin = cpu_ns();                                   \
    for (unsigned long i = 0; i < (rounds)*1000000UL; i++) sink ^= i; \
    spent[way] += cpu_ns() - begin;                                   \
  }
END(deep_end, DEEP, 4)
END(sorted_end, SORTED, 3)
END(signalled_end, SIGNALLED, 2)
END(library_end, LIBRARY, 3)
END(stretched_end, STRETCHED, 2)
END(aligned_end, ALIGNED, 1)
END(threaded_end, THREADED, 5)

// The call is not the last thing that each function does, or it would be a jump.
#define AFTERWARDS sink++

__attribute__((noinline)) void deep_step(int depth) {
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

__attribute__((noinline)) void sorted_start(void) {
  int numbers[] = {5, 3, 8, 1, 9, 2, 7};
  qsort(numbers, 7, sizeof numbers[0], compare);
  sink += numbers[0];
}

static void on_signal(int number) {
  signalled_end();
  sink += number;
}

__attribute__((noinline)) void signalled_start(void) {
  raise(SIGUSR1);
  AFTERWARDS;
}

__attribute__((noinline)) void library_start(void) {
  library_calls(library_end);
  AFTERWARDS;
}

// A frame of a size that is not known before.
__attribute__((noinline)) void stretched_start(int size) {
  char* room = alloca(size);
  memset(room, 1, size);
  stretched_end();
  sink += room[size / 2];
}

// A frame that begins at a multiple of 64.
__attribute__((noinline)) void aligned_start(void) {
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

__attribute__((noinline)) void warm_up(unsigned long ns) {
  for (unsigned long begin = cpu_ns(); cpu_ns() - begin < ns;) AFTERWARDS;
}

static unsigned long all(void) {
  unsigned long sum = 0;
  for (int i = 0; i < WAYS; i++) sum += spent[i];
  return sum;
}

int main(int count, char** words) {
  unsigned long until = count > 1 ? strtoul(words[1], NULL, 10) * 1000000 : 100000000;
  if (count > 2) warm_up(strtoul(words[2], NULL, 10) * 1000000);
  signal(SIGUSR1, on_signal);
  while (all() < until) {
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
  for (int i = 0; i < WAYS; i++) printf("%s\"%s\":%lu", i ? "," : "{", names[i], spent[i]);
  printf("}\n");
  return 0;
}
