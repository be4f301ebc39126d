// SPDX-License-Identifier: BSD-2-Clause
// texts N [wait]: calls its own look_up(0, TEXT) N times with "a known text", once with 199 bytes, once with the first
// 119 of them, and once with what would act on a terminal; with `wait` only after a byte of its standard input.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__attribute__((noipa)) static int look_up(int kind, const char *text)
{
	__asm__ volatile("" ::"r"(kind), "r"(text) : "memory");
	return text[0];
}

int main(int argc, char **argv)
{
	char large[200], byte;

	printf("%d\n", getpid());
	fflush(stdout);
	if (argc > 2 && read(0, &byte, 1) != 1)
		return 2;
	memset(large, 'x', sizeof(large));
	large[sizeof(large) - 1] = 0;
	for (long i = argc > 1 ? atol(argv[1]) : 0; i > 0; i--)
		look_up(0, "a known text");
	look_up(0, large);
	large[119] = 0;
	look_up(0, large);
	look_up(0, "\033[31mred");
	return 0;
}
