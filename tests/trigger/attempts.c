// SPDX-License-Identifier: BSD-2-Clause
// attempts CALL COUNT [PLACE]: says that it is there, waits for a byte, makes a call so often, and writes the error of
// each in a line, 0 for none.
//   open opens PLACE; mount mounts a tmpfs there; connect connects a datagram socket; write and writev, in turn, write
//   to PLACE, opened before; threads has 4 threads that open PLACE, COUNT times each
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define THREADS 4

static const char *place;
static int count, file = -1, *errors;

static int error_of(long result)
{
	return result < 0 ? errno : 0;
}

static int open_place(void)
{
	int fd = open(place, O_RDONLY | O_CLOEXEC), error = error_of(fd);

	if (fd >= 0)
		close(fd);
	return error;
}

static int connect_somewhere(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(9) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), error;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	error = error_of(connect(fd, (struct sockaddr *)&address, sizeof(address)));
	close(fd);
	return error;
}

static int mount_place(void)
{
	int error = error_of(mount("attempts", place, "tmpfs", 0, "size=64k"));

	if (!error)
		umount2(place, MNT_DETACH);
	return error;
}

static int write_place(int number)
{
	struct iovec part = { .iov_base = "x", .iov_len = 1 };

	return error_of(number % 2 ? writev(file, &part, 1) : write(file, "x", 1));
}

static int attempt(const char *call, int number)
{
	if (!strcmp(call, "mount"))
		return mount_place();
	if (!strcmp(call, "connect"))
		return connect_somewhere();
	if (!strcmp(call, "write"))
		return write_place(number);
	return open_place();
}

static void *run(void *from)
{
	for (int i = 0; i < count; i++)
		((int *)from)[i] = open_place();
	return NULL;
}

static void run_threads(void)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, run, errors + i * count);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

int main(int argc, char **argv)
{
	int made = argc > 2 ? atoi(argv[2]) : 0, threaded = argc > 1 && !strcmp(argv[1], "threads");
	char byte;

	count = made;
	place = argc > 3 ? argv[3] : "/dev/null";
	errors = calloc(THREADS, count * sizeof(*errors));
	if (argc > 1 && !strcmp(argv[1], "write"))
		file = open(place, O_WRONLY | O_CLOEXEC);
	if (syscall(SYS_write, 1, "ready\n", 6) != 6 || read(0, &byte, 1) != 1)
		return 1;
	if (threaded) {
		run_threads();
		made *= THREADS;
	}
	for (int i = 0; i < made && !threaded; i++)
		errors[i] = attempt(argv[1], i);
	for (int i = 0; i < made; i++)
		dprintf(1, "%d\n", errors[i]);
	return 0;
}
