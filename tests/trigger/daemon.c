// SPDX-License-Identifier: BSD-2-Clause
// daemon PATH: a process of its own session, whose parent has ended, opens PATH; then the first ends with status 4.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

static void run_daemon(const char *path)
{
	pid_t parent;

	setsid();
	parent = getpid();
	if (fork())
		_exit(0);
	while (getppid() == parent)
		usleep(1000);
	close(open(path, O_RDONLY));
	_exit(0);
}

int main(int argc, char **argv)
{
	int alive[2];
	char byte;

	if (argc < 2 || pipe(alive))
		return 64;
	pid_t child = fork();
	if (!child)
		run_daemon(argv[1]);
	close(alive[1]);
	waitpid(child, NULL, 0);
	return read(alive[0], &byte, 1) == 0 ? 4 : 1;
}
