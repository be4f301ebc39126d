// SPDX-License-Identifier: BSD-2-Clause
// compat opens|getppid COUNT [PATH]: makes calls of the 32-bit kind from a 64-bit program. 77 where that cannot be.
#include <stdlib.h>
#include <string.h>

#ifdef __x86_64__
static char path[256]; // where 32 bits reach: a static program is linked at a low address

static long call(long number, long first, long second)
{
	long result = number;

	__asm__ volatile("int $0x80" : "+a"(result) : "b"(first), "c"(second) : "memory", "r8", "r9", "r10", "r11");
	return result;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 64;
	if (argc > 3)
		strncpy(path, argv[3], sizeof(path) - 1);
	for (int i = atoi(argv[2]); i > 0; i--) {
		if (argv[1][0] == 'g')
			call(64, 0, 0);
		else
			call(6, call(5, (long)path, 0), 0);
	}
	return 0;
}
#else
int main(void)
{
	return 77;
}
#endif
