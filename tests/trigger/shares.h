// SPDX-License-Identifier: BSD-2-Clause
// For programs that spend known shares of their time in different ways: counts, and says, how many nanoseconds of CPU
// time each took. The includer has the WAYS in an enum, and `names` of them. In C and C++.
#pragma once

#include <stdio.h>
#include <string.h>
#include <time.h>

static unsigned long spent[WAYS];
static volatile unsigned long sink;

static unsigned long cpu_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec * 1000000000UL + now.tv_nsec;
}

// The call is not the last thing that each function does, or it would be a jump.
#define AFTERWARDS sink = sink + 1

// Where a way ends: so many rounds, whose time is counted.
#define END(name, way, rounds)                                        \
  void name(void) {                                                   \
    unsigned long begin = cpu_ns();                                   \
    for (unsigned long i = 0; i < (rounds); i++) sink = sink ^ i;     \
    spent[way] += cpu_ns() - begin;                                   \
  }

// For that long, by its CPU time, nothing that counts.
__attribute__((noinline)) static void warm_up(unsigned long ns) {
  for (unsigned long begin = cpu_ns(); cpu_ns() - begin < ns;) AFTERWARDS;
}

static unsigned long all_spent(void) {
  unsigned long sum = 0;
  for (int i = 0; i < WAYS; i++) sum += spent[i];
  return sum;
}

static void say_shares(const char* program) {
  const char* name = strrchr(program, '/');
  printf("{\"program\":\"%s\"", name ? name + 1 : program);
  for (int i = 0; i < WAYS; i++) printf(",\"%s\":%lu", names[i], spent[i]);
  printf("}\n");
}
