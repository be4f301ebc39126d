// SPDX-License-Identifier: BSD-2-Clause
// spins MILLISECONDS WAYS: keeps every CPU busy for so long, each by a thread beneath a few frames, by so many ways in
// turn. Prints the nanoseconds that a millisecond took.
#include <pthread.h>
#include <unistd.h>

#include "load.h"

enum { FRAMES = 12 };
static double end;
static unsigned ways;
static volatile unsigned long sink;

__attribute__((noipa)) static void spin(void) {
  for (int i = 0; i < 100000; i++) sink++;
  __asm__ volatile("");  // or the call above would be a jump
}

__attribute__((noipa)) static void left(int frames, unsigned way);
__attribute__((noipa)) static void right(int frames, unsigned way);

static void go(int frames, unsigned way) {
  if (!frames)
    spin();
  else if (way & 1)
    left(frames - 1, way >> 1);
  else
    right(frames - 1, way >> 1);
}

static void left(int frames, unsigned way) {
  go(frames, way);
  __asm__ volatile("");
}

static void right(int frames, unsigned way) {
  go(frames, way);
  __asm__ volatile("");
}

static void* work(void* nothing) {
  for (unsigned way = 0; load_now() < end; way++) go(FRAMES, way % ways);
  return nothing;
}

int main(int argc, char** argv) {
  long ms = argc > 1 ? atol(argv[1]) : 0, cpus = sysconf(_SC_NPROCESSORS_ONLN);
  pthread_t threads[4096];
  ways = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
  if (ms <= 0 || cpus > 4096 || !ways || ways > 1u << FRAMES) return 64;
  double begin = load_now();
  end = begin + (double)ms * 1e6;
  for (long i = 0; i < cpus; i++)
    if (pthread_create(&threads[i], NULL, work, NULL) != 0) return 1;
  for (long i = 0; i < cpus; i++) pthread_join(threads[i], NULL);
  printf("%.1f\n", (load_now() - begin) / (double)ms);
  return 0;
}
