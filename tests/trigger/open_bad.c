// SPDX-License-Identifier: BSD-2-Clause
// open_bad COUNT: opens, so often, a name at an address where nothing is.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	for (int i = argc > 1 ? atoi(argv[1]) : 0; i > 0; i--)
		syscall(SYS_openat, AT_FDCWD, 16, O_RDONLY);
	return 0;
}
