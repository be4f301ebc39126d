// SPDX-License-Identifier: BSD-2-Clause
// ends_thread: its first thread ends alone, with status 5; the process ends later, by exit_group(6) from another.
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void *later(void *none)
{
	struct timespec time = { .tv_nsec = 50000000 };

	nanosleep(&time, NULL);
	_exit(6);
	return none;
}

int main(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, later, NULL);
	syscall(SYS_exit, 5);
	return 0;
}
