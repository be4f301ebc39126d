// SPDX-License-Identifier: BSD-2-Clause
// steps N [wait]: calls its own steps(I, 10, "text") for I from 0 on, N times; it returns I + 10. Its instructions
// begin at +0, +2, +4 and +7. With `wait` only after a byte of its standard input.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int steps(int first, int second, const char *text);
#ifdef __x86_64__
__asm__(".globl steps\n.type steps, @function\nsteps:\n"
	"mov %edi, %eax\n"
	"add %esi, %eax\n"
	"nopl 0(%rax)\n.byte 0x90\n"
	"ret\n.size steps, . - steps\n");
#else
__attribute__((noipa)) int steps(int first, int second, const char *text)
{
	__asm__ volatile("" ::"r"(text) : "memory");
	return first + second;
}
#endif

struct pair {
	int left;
	long right;
} watched;

__attribute__((noipa)) static long deeper(long depth)
{
	long below = depth ? deeper(depth - 1) : -1;

	__asm__ volatile("" : "+r"(below)); /* or it would be a loop */
	return below + 1;
}

int main(int argc, char **argv)
{
	const char *volatile start = "text";
	const char *text = start;
	char byte = *(const volatile char *)text;

	printf("%d\n", getpid());
	fflush(stdout);
	if (argc > 2 && read(0, &byte, 1) != 1)
		return 2;
	long count = argc > 1 ? atol(argv[1]) : 0;
	for (long i = 0; i < count; i++) {
		if (steps((int)i, 10, text) != i + 10)
			return 3;
		watched.right = i;
	}
	return deeper(3) == 3 ? 0 : 4;
}
