// SPDX-License-Identifier: BSD-2-Clause
// tells COUNT TERMINAL TEXT [writev]: opens a terminal of its own ("-") or this one and writes TEXT to it so often; with
// writev in two pieces.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int master = -1, fd;
	char name[64];

	if (argc < 4)
		return 64;
	if (!strcmp(argv[2], "-")) {
		master = posix_openpt(O_RDWR | O_NOCTTY);
		if (master < 0 || grantpt(master) || unlockpt(master) || ptsname_r(master, name, sizeof(name)))
			return 1;
	}
	fd = open(master >= 0 ? name : argv[2], O_WRONLY | O_NOCTTY);
	for (long i = atol(argv[1]); i > 0 && fd >= 0; i--) {
		struct iovec pieces[2] = { { argv[3], 1 }, { argv[3] + 1, strlen(argv[3]) - 1 } };

		if (argc > 4 ? writev(fd, pieces, 2) < 0 : write(fd, argv[3], strlen(argv[3])) < 0)
			return 1;
	}
	return fd < 0;
}
