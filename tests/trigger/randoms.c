// SPDX-License-Identifier: BSD-2-Clause
// randoms COUNT BYTES SOURCE: reads so many bytes so often, by getrandom or from a file; bad is a getrandom that fails.
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static char buffer[65536];

int main(int argc, char **argv)
{
	long count = argc > 3 ? atol(argv[1]) : 0, size = argc > 3 ? atol(argv[2]) : 0;
	int fd = argc > 3 && argv[3][0] == '/' ? open(argv[3], O_RDONLY) : -1;

	for (; count > 0 && size <= (long)sizeof(buffer); count--) {
		if (fd >= 0)
			count = read(fd, buffer, size) == size ? count : 0;
		else
			syscall(SYS_getrandom, buffer, size, strcmp(argv[3], "bad") ? 0 : 0xffff);
	}
	return 0;
}
