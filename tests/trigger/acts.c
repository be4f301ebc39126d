// SPDX-License-Identifier: BSD-2-Clause
// acts PATH: says "x"; then, for each byte that it reads, opens PATH, calls getppid, getrandom and fdatasync, writes to a
// terminal of its own, and forks a child that becomes /proc/self/exe without arguments, which does nothing: an event for
// every tool.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static int open_terminal(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY);

	if (master < 0 || grantpt(master) || unlockpt(master))
		_exit(1);
	return open(ptsname(master), O_WRONLY | O_NOCTTY | O_NONBLOCK);
}

int main(int argc, char **argv)
{
	int terminal, file;
	char byte;

	if (argc < 2)
		return 0;
	terminal = open_terminal();
	file = open(argv[1], O_RDONLY);
	if (write(1, "x", 1) != 1)
		return 1;
	while (read(0, &byte, 1) == 1) {
		close(open(argv[1], O_RDONLY));
		syscall(SYS_getppid);
		syscall(SYS_getrandom, &byte, 1, 0);
		syscall(SYS_fdatasync, file);
		if (write(terminal, "x", 1) != 1)
			tcflush(terminal, TCOFLUSH);
		pid_t child = fork();
		if (!child) {
			execl("/proc/self/exe", argv[0], (char *)0);
			_exit(1);
		}
		waitpid(child, NULL, 0);
	}
	return 0;
}
