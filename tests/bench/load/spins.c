// SPDX-License-Identifier: BSD-2-Clause
// spins N WAYS: keeps every CPU busy with N pieces of work, each beneath a few frames, by so many ways in turn. Prints
// the nanoseconds that a piece took.
#include <unistd.h>

#include "load.h"

enum { FRAMES = 12, MOST = 4096 };
static long count;
static unsigned ways;

__attribute__((noipa)) static void spin(void) {
  volatile unsigned long sink = 0;  // a thread's own, or they would wait for each other
  for (int i = 0; i < 100000; i++) sink++;
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
  __asm__ volatile("");  // or the call above would be a jump
}

static void left(int frames, unsigned way) {
  go(frames, way);
  __asm__ volatile("");
}

static void right(int frames, unsigned way) {
  go(frames, way);
  __asm__ volatile("");
}

__attribute__((noipa)) static void* busy(void* nothing) {
  for (long piece = 0; piece < count; piece++) go(FRAMES, (unsigned)piece % ways);
  return nothing;
}

int main(int argc, char** argv) {
  long cpus = sysconf(_SC_NPROCESSORS_ONLN);
  static pthread_t threads[MOST];
  count = load_number(argc, argv, 1, 0);
  ways = (unsigned)load_number(argc, argv, 2, 0);
  if (count <= 0 || cpus > MOST || !ways || ways > 1u << FRAMES) return 64;
  double begin = load_now();
  for (long i = 0; i < cpus; i++)
    if (pthread_create(&threads[i], NULL, busy, NULL) != 0) return 1;
  for (long i = 0; i < cpus; i++) pthread_join(threads[i], NULL);
  printf("%.1f\n", (load_now() - begin) / (double)count);
  return 0;
}
