// SPDX-License-Identifier: BSD-2-Clause
// ways N MANY: asks for its parent from beneath 15 frames, by MANY different stacks in turn, up to 32,768, N times in
// all. Prints the nanoseconds that one took.
#include <sys/syscall.h>
#include <unistd.h>

#include "load.h"

enum { FRAMES = 15 };
static long many;

__attribute__((noipa)) static void left(int frames, long way);
__attribute__((noipa)) static void right(int frames, long way);

static void go(int frames, long way) {
  if (!frames)
    syscall(SYS_getppid);
  else if (way & 1)
    left(frames - 1, way >> 1);
  else
    right(frames - 1, way >> 1);
}

static void left(int frames, long way) {
  go(frames, way);
  __asm__ volatile("");  // or the call above would be a jump
}

static void right(int frames, long way) {
  go(frames, way);
  __asm__ volatile("");
}

static void once(void) {
  static long next;
  go(FRAMES, next);
  if (++next == many) next = 0;
}

int main(int argc, char** argv) {
  many = load_number(argc, argv, 2, 1);
  return many <= 0 || many > 1l << FRAMES ? 64 : run_load(argc, argv, once);
}
