// SPDX-License-Identifier: BSD-2-Clause
// What the loads share: one thing, a known number of times, timed.
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double load_now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static int run_load(int argc, char** argv, void (*once)(void)) {
  long count = argc > 1 ? atol(argv[1]) : 0;
  if (count <= 0) return 64;
  double begin = load_now();
  for (long i = 0; i < count; i++) once();
  printf("%.1f\n", (load_now() - begin) / (double)count);
  return 0;
}
