// SPDX-License-Identifier: BSD-2-Clause
// Spends known shares of its time in a function, in one inlined into it, in a library and in the kernel's read path;
// says how many nanoseconds of CPU time each took. "hot MILLISECONDS FILE".
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "call.h"

void hot_library(unsigned long rounds);

volatile unsigned long sink;

static unsigned long cpu_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec * 1000000000UL + now.tv_nsec;
}

__attribute__((always_inline)) static inline void hot_inlined(unsigned long rounds) {
  for (unsigned long i = 0; i < rounds; i++) sink += i * i;
}

__attribute__((noinline)) void hot_outer(unsigned long rounds) {
  hot_inlined(rounds);
  asm volatile("" : : "r"(__builtin_frame_address(0)));  // or it would have no frame
}

__attribute__((noinline)) void hot_own(unsigned long rounds) {
  for (unsigned long i = 0; i < rounds; i++) sink ^= i;
  asm volatile("" : : "r"(__builtin_frame_address(0)));  // or it would have no frame
}

__attribute__((noinline)) void hot_reads(int fd, char* buffer, int count) {
  for (int i = 0; i < count; i++)
    if (raw_call(SYS_pread64, fd, (long)buffer, 1 << 20, 0) < 0) exit(1);
  asm volatile("" : : "r"(__builtin_frame_address(0)));  // or it would have no frame
}

int main(int count, char** words) {
  unsigned long until = count > 1 ? strtoul(words[1], NULL, 10) * 1000000 : 100000000, spent[4] = {0};
  int fd = open(count > 2 ? words[2] : "/proc/self/exe", O_RDONLY);
  char* buffer = malloc(1 << 20);
  while (spent[0] + spent[1] + spent[2] + spent[3] < until) {
    unsigned long begin = cpu_ns(), next;
    hot_own(4000000);
    spent[0] += (next = cpu_ns()) - begin, begin = next;
    hot_outer(2000000);
    spent[1] += (next = cpu_ns()) - begin, begin = next;
    hot_library(3000000);
    spent[2] += (next = cpu_ns()) - begin, begin = next;
    hot_reads(fd, buffer, 100);
    spent[3] += cpu_ns() - begin;
  }
  printf("{\"hot_own\":%lu,\"hot_inlined\":%lu,\"hot_library\":%lu,\"hot_reads\":%lu}\n", spent[0], spent[1], spent[2],
         spent[3]);
  return 0;
}
