// SPDX-License-Identifier: BSD-2-Clause
// opens COUNT PATH [w]: opens PATH that often, at full speed, and nothing else.
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int flags = argc > 3 ? O_WRONLY | O_APPEND : O_RDONLY;

	for (long i = argc > 2 ? atol(argv[1]) : 0; i > 0; i--) {
		int fd = open(argv[2], flags);

		if (fd >= 0)
			close(fd);
	}
	return 0;
}
