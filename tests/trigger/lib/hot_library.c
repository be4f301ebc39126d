// SPDX-License-Identifier: BSD-2-Clause
// The part of tests/trigger/hot.c that lies in a library.
static volatile unsigned long sum;

__attribute__((noinline)) void hot_library(unsigned long rounds) {
  for (unsigned long i = 0; i < rounds; i++) sum += i & 7;
  asm volatile("" : : "r"(__builtin_frame_address(0)));  // or it would have no frame
}
