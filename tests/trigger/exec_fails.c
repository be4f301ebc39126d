// SPDX-License-Identifier: BSD-2-Clause
// exec_fails PATH COUNT ARG...: tries to become PATH, by execve and by execveat in turn, so often; then ends.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv)
{
	if (argc < 4)
		return 64;
	for (int i = 0; i < atoi(argv[2]); i++) {
		if (i % 2)
			syscall(SYS_execveat, AT_FDCWD, argv[1], argv + 3, environ, 0);
		else
			execve(argv[1], argv + 3, environ);
	}
	return 0;
}
