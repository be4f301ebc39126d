// SPDX-License-Identifier: BSD-2-Clause
// The part of tests/trigger/unwound.c that lies in a library, and calls back.
static volatile unsigned long calls;

static __attribute__((noinline)) void library_inner(void (*back)(void)) {
  back();
  calls++;
}

__attribute__((noinline)) void library_calls(void (*back)(void)) {
  library_inner(back);
  calls++;
}
