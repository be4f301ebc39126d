// SPDX-License-Identifier: BSD-2-Clause
// exec_at PROGRAM ARG...: becomes PROGRAM by execveat on a descriptor, with "exec_at" before the arguments.
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv)
{
	if (argc < 2)
		return 64;
	int fd = open(argv[1], O_PATH | O_CLOEXEC);

	argv[1] = "exec_at";
	syscall(SYS_execveat, fd, "", argv + 1, environ, AT_EMPTY_PATH);
	return 1;
}
