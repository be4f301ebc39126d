// SPDX-License-Identifier: BSD-2-Clause
// marks N [wait]: hits the probes test:values, test:plain and, while somebody listens, test:guarded N times, and says
// before and, after a byte of its standard input, in the end whether somebody listened to the latter.
#include "marks.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

MARK_SEMAPHORE(test, guarded);
static const char *words[] = { "zero", "one", "two \"quoted\"", "three\x1b[31m" };

__attribute__((noinline)) static void hit(int i)
{
	uint8_t small = (uint8_t)(200 + i);
	int64_t large = -1 - (int64_t)i * 10000000000LL;
	const char *word = words[i % 4];

	MARK4(test, values, i, small, large, word);
	MARK0(test, plain);
	if (test_guarded_semaphore)
		MARK4_IF(test, guarded, i, 7, large, word);
}

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 1;
	char byte;

	printf("%d\n", (int)test_guarded_semaphore);
	fflush(stdout);
	if (argc > 2 && read(0, &byte, 1) != 1)
		return 2;
	for (int i = 0; i < count; i++)
		hit(i);
	printf("%d\n", (int)test_guarded_semaphore);
	fflush(stdout);
	if (argc > 2 && !strcmp(argv[2], "twice")) {
		if (read(0, &byte, 1) != 1)
			return 2;
		printf("%d\n", (int)test_guarded_semaphore);
	}
	return 0;
}
