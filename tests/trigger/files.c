// SPDX-License-Identifier: BSD-2-Clause
// files FOLDER [NAME COUNT]...: does these things to a file of its own there so often, in turn.
//   open, read (a byte), write (a byte), fsync; wait: reads a byte that another process writes, 20 ms after the last.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int pipe_ends[2];

// The child writes a byte each 20 ms.
static void start_writer(long count)
{
	struct timespec pause = { .tv_nsec = 20000000 };
	char byte = 0;

	if (pipe(pipe_ends))
		exit(1);
	if (fork() == 0) {
		for (; count; count--)
			if (nanosleep(&pause, NULL) || write(pipe_ends[1], &byte, 1) != 1)
				_exit(1);
		_exit(0);
	}
}

static void act(int fd, const char *path, char name)
{
	char byte = 'x';
	int failed = 0;

	if (name == 'o')
		failed = close(open(path, O_RDONLY | O_CLOEXEC));
	else if (name == 'r')
		failed = pread(fd, &byte, 1, 0) != 1;
	else if (name == 'w')
		failed = pwrite(fd, &byte, 1, 0) != 1;
	else if (name == 'f')
		failed = fsync(fd);
	else
		failed = read(pipe_ends[0], &byte, 1) != 1;
	if (failed)
		exit(1);
}

int main(int argc, char **argv)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/files", argv[1]);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || pwrite(fd, "x", 1, 0) != 1)
		return 1;
	for (int i = 2; i + 1 < argc; i += 2) {
		long count = atol(argv[i + 1]);
		char name = !strcmp(argv[i], "wait") ? 's' : argv[i][0];

		if (name == 's')
			start_writer(count);
		for (long made = 0; made < count; made++)
			act(fd, path, name);
	}
	return 0;
}
