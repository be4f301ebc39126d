// SPDX-License-Identifier: BSD-2-Clause
// ways COUNT: comes to one place, arrived(), by COUNT different ways, once by each: at every one of 15 forks it calls
// left() or right(), as the bits of the way's number say. There it sleeps for a moment.
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#include "call.h"

#define KEPT __attribute__((noipa))

enum { FORKS = 15 };

static void go(unsigned way, int forks);

/* No call is a function's last act, and each function has a frame. */
#define AND_STAY asm volatile("" : : "r"(__builtin_frame_address(0)))

/* How often this process went to sleep of its own will. */
static long sleeps(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_nvcsw;
}

/* Of a moment that is over before its sleep has begun another is tried. */
KEPT void arrived(void)
{
	static const struct timespec moment = { .tv_nsec = 50000 };
	long before = sleeps();

	do
		raw_call(SYS_nanosleep, (long)&moment, 0, 0, 0);
	while (sleeps() == before);
	AND_STAY;
}

/* Between the last fork and arrived(), of which a probe at its first instruction may miss the caller. */
KEPT void arrive(void)
{
	arrived();
	AND_STAY;
}

KEPT void left(unsigned way, int forks)
{
	go(way, forks);
	AND_STAY;
}

KEPT void right(unsigned way, int forks)
{
	go(way, forks);
	AND_STAY;
}

static inline __attribute__((always_inline)) void go(unsigned way, int forks)
{
	if (!forks)
		arrive();
	else if (way & 1)
		left(way >> 1, forks - 1);
	else
		right(way >> 1, forks - 1);
}

int main(int argc, char **argv)
{
	unsigned count = argc > 1 ? atoi(argv[1]) : 0;

	if (!count || count > 1u << FORKS)
		return 64;
	prctl(PR_SET_TIMERSLACK, 1L);
	for (unsigned way = 0; way < count; way++)
		go(way, FORKS);
	return 0;
}
