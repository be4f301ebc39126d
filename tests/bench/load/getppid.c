// SPDX-License-Identifier: BSD-2-Clause
// getppid N: the cheapest system call N times. Prints the nanoseconds that one took.
#include <sys/syscall.h>
#include <unistd.h>

#include "load.h"

static void once(void) { syscall(SYS_getppid); }

int main(int argc, char** argv) { return run_load(argc, argv, once); }
