// SPDX-License-Identifier: BSD-2-Clause
// family PATH: its child forks a grandchild. Says "x" once all three are there and reads a byte. Then the child ends,
// so that the grandchild is given to another parent and opens PATH.grandchild; the first forks one more, which opens
// PATH.later, and opens PATH itself.
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static void open_name(const char *path, const char *end)
{
	char name[4096];

	snprintf(name, sizeof(name), "%s%s", path, end);
	close(open(name, O_RDONLY));
}

// Waits until the other end has been closed by all who had it.
static void await_end(int fd)
{
	char byte;

	while (read(fd, &byte, 1) > 0)
		;
}

static void run_grandchild(const char *path, int child_lives, int alive)
{
	await_end(child_lives);
	open_name(path, ".grandchild");
	close(alive);
	_exit(0);
}

int main(int argc, char **argv)
{
	int child_lives[2], grandchild_lives[2], gate[2];
	char byte;

	if (argc < 2 || pipe(child_lives) || pipe(grandchild_lives) || pipe(gate))
		return 64;
	pid_t child = fork();
	if (!child) {
		close(gate[1]);
		pid_t grandchild = fork();
		if (!grandchild) {
			close(gate[0]);
			close(child_lives[1]);
			run_grandchild(argv[1], child_lives[0], grandchild_lives[1]);
		}
		await_end(gate[0]);
		_exit(0);
	}
	close(gate[0]);
	close(child_lives[1]);
	close(grandchild_lives[1]);
	if (write(1, "x", 1) != 1 || read(0, &byte, 1) != 1)
		return 1;
	close(gate[1]);
	waitpid(child, NULL, 0);
	await_end(grandchild_lives[0]);
	pid_t later = fork();
	if (!later) {
		open_name(argv[1], ".later");
		_exit(0);
	}
	waitpid(later, NULL, 0);
	open_name(argv[1], "");
	return 0;
}
