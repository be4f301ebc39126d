// SPDX-License-Identifier: BSD-2-Clause
// opens N: opens and closes an existing file N times. Prints the nanoseconds that one took.
#include <fcntl.h>
#include <unistd.h>

#include "load.h"

static void once(void) { close(open("/etc/hostname", O_RDONLY)); }

int main(int argc, char** argv) { return run_load(argc, argv, once); }
