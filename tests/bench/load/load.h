// SPDX-License-Identifier: BSD-2-Clause
// What the loads share: one thing, a known number of times, timed.
#pragma once

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double load_now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

// The number among the arguments at this place, or `otherwise`.
static inline long load_number(int argc, char** argv, int place, long otherwise) {
  return argc > place ? atol(argv[place]) : otherwise;
}

static inline int run_load(int argc, char** argv, void (*once)(void)) {
  long count = load_number(argc, argv, 1, 0);
  if (count <= 0) return 64;
  double begin = load_now();
  for (long i = 0; i < count; i++) once();
  printf("%.1f\n", (load_now() - begin) / (double)count);
  return 0;
}
