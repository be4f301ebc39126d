// SPDX-License-Identifier: BSD-2-Clause
// pingpong COUNT: the thread "ping" hands the CPU to the thread "pong" so often, and gets it back as often. Both are on
// one CPU and, where that is permitted, of a real-time class, so that nobody comes between them.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

static int there[2], back[2];
static long count;

static void *pong(void *argument)
{
	char byte;

	prctl(PR_SET_NAME, "pong");
	for (long i = 0; i < count; i++)
		if (read(there[0], &byte, 1) != 1 || write(back[1], &byte, 1) != 1)
			exit(1);
	return argument;
}

int main(int argc, char **argv)
{
	struct sched_param priority = { .sched_priority = 1 };
	pthread_t thread;
	char byte = 'x';
	cpu_set_t cpus;

	count = argc > 1 ? atol(argv[1]) : 0;
	CPU_ZERO(&cpus);
	CPU_SET(sched_getcpu(), &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	sched_setscheduler(0, SCHED_FIFO, &priority);
	prctl(PR_SET_NAME, "ping");
	if (pipe(there) || pipe(back) || pthread_create(&thread, NULL, pong, NULL))
		return 1;
	for (long i = 0; i < count; i++)
		if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
			return 1;
	pthread_join(thread, NULL);
	return 0;
}
