// SPDX-License-Identifier: BSD-2-Clause
// acts PATH: says "x"; then, for each byte that it reads, opens PATH, calls getppid and forks a child that becomes
// /proc/self/exe without arguments, which does nothing: an event for every tool.
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char byte;

	if (argc < 2)
		return 0;
	if (write(1, "x", 1) != 1)
		return 1;
	while (read(0, &byte, 1) == 1) {
		close(open(argv[1], O_RDONLY));
		syscall(SYS_getppid);
		pid_t child = fork();
		if (!child) {
			execl("/proc/self/exe", argv[0], (char *)0);
			_exit(1);
		}
		waitpid(child, NULL, 0);
	}
	return 0;
}
