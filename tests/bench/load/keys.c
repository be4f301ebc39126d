// SPDX-License-Identifier: BSD-2-Clause
// keys N MANY: closes descriptors that nobody has, from 1,000,000 on, MANY different ones in turn, N times in all.
// Prints the nanoseconds that one took.
#include <unistd.h>

#include "load.h"

static long many;

static void once(void) {
  static long next;
  close((int)(1000000 + next));
  if (++next == many) next = 0;
}

int main(int argc, char** argv) {
  many = load_number(argc, argv, 2, 1);
  return many <= 0 ? 64 : run_load(argc, argv, once);
}
