// SPDX-License-Identifier: BSD-2-Clause
// switches N: two threads on one CPU hand it to each other, N switches in all, from beneath a few frames. Prints the
// nanoseconds that one took.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "load.h"

enum { FRAMES = 12 };
static int there[2], back[2];
static long rounds;

static void exchange(int from, int to) {
  char byte = 0;
  if (write(to, &byte, 1) != 1 || read(from, &byte, 1) != 1) exit(1);
}

__attribute__((noipa)) static void beneath(int frames, int from, int to) {
  if (frames)
    beneath(frames - 1, from, to);
  else
    for (long i = 0; i < rounds; i++) exchange(from, to);
  __asm__ volatile("");  // or the call above would be a jump
}

static void* other(void* nothing) {
  beneath(FRAMES, there[0], back[1]);
  return nothing;
}

int main(int argc, char** argv) {
  pthread_t thread;
  cpu_set_t one;
  rounds = argc > 1 ? atol(argv[1]) / 2 : 0;
  CPU_ZERO(&one);
  CPU_SET(sched_getcpu(), &one);
  if (rounds <= 0 || sched_setaffinity(0, sizeof one, &one) != 0 || pipe(there) != 0 || pipe(back) != 0) return 64;
  double begin = load_now();
  if (pthread_create(&thread, NULL, other, NULL) != 0) return 1;
  beneath(FRAMES, back[0], there[1]);
  pthread_join(thread, NULL);
  printf("%.1f\n", (load_now() - begin) / (double)(2 * rounds));
  return 0;
}
