// SPDX-License-Identifier: BSD-2-Clause
// Comes to ends_here() by known ways, as its standard input says: `a` by first() and shared(), `b` by second() and
// shared(), `c` by first() alone; there it calls getppid(2). At a newline it says "done".
#include <stdio.h>
#include <unistd.h>

#include "call.h"

#define KEPT __attribute__((noipa))
/* No call is a function's last act, and each function has a frame. */
#define AND_STAY asm volatile("" : : "r"(__builtin_frame_address(0)))

KEPT void ends_here(char way)
{
	(void)way;
	raw_call(SYS_getppid, 0, 0, 0, 0);
	AND_STAY;
}

KEPT void shared(char way)
{
	ends_here(way);
	AND_STAY;
}

KEPT void first(char way)
{
	way == 'a' ? shared(way) : ends_here(way);
	AND_STAY;
}

KEPT void second(char way)
{
	shared(way);
	AND_STAY;
}

int main(void)
{
	char byte;

	puts("ready");
	fflush(stdout);
	while (read(0, &byte, 1) == 1) {
		if (byte == '\n') {
			puts("done");
			fflush(stdout);
		} else if (byte == 'b') {
			second(byte);
		} else {
			first(byte);
		}
	}
	return 0;
}
