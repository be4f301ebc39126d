// SPDX-License-Identifier: BSD-2-Clause
// calls N: calls a function, with a number that grows, N times. Prints the nanoseconds that one took.
#include "load.h"

__attribute__((noipa)) long called(long number) { return number + 1; }

static void once(void) {
  static long number;
  number = called(number);
}

int main(int argc, char** argv) { return run_load(argc, argv, once); }
