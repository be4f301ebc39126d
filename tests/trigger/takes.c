// SPDX-License-Identifier: BSD-2-Clause
/* Calls functions that take and return values of every kind, compiled with debug information; prints an address. */
#include <stdio.h>
#include <string.h>

enum color { RED = 1, GREEN = -2 };
struct pair {
	long a, b;
};

__attribute__((noipa)) signed char narrow(signed char a, unsigned char b, short c, unsigned short d)
{
	return (signed char)(a + b + c + d);
}

__attribute__((noipa)) long wide(int a, unsigned int b, long c, unsigned long d, long long e, _Bool f, int seventh)
{
	return a + (long)b + c + (long)d + e + f + seventh;
}

__attribute__((noipa)) const char *text(const char *a, char *none, const char *longer)
{
	return none ? a : longer;
}

__attribute__((noipa)) void *address(void *a, struct pair *b, enum color color)
{
	return color == GREEN ? a : b;
}

__attribute__((noipa)) enum color paint(double brightness, int again)
{
	return again && brightness > 0 ? GREEN : RED;
}

__attribute__((noipa)) struct pair both(struct pair of, int times)
{
	return (struct pair){ of.a * times, of.b * times };
}

__attribute__((noipa)) void nothing(void)
{
	__asm__ volatile("");
}

__attribute__((noipa)) int many(int a, int b, int c, int d, int e, int f, int g, int h, int i, int j, int k, int l, int m)
{
	return a + b + c + d + e + f + g + h + i + j + k + l + m;
}

__attribute__((noipa)) long factorial(int n)
{
	return n < 2 ? 1 : n * factorial(n - 1);
}

int main(void)
{
	static char longer[201];
	struct pair pair = { 1, 2 };

	memset(longer, 'x', sizeof(longer) - 1);
	printf("%p\n", (void *)&pair);
	fflush(stdout);
	nothing();
	narrow(-128, 255, -32768, 65535);
	wide(-2147483647 - 1, 4294967295u, -9223372036854775807L - 1, 18446744073709551615ul, -5, 1, -7);
	text("a \"quoted\"\tline\n", 0, longer);
	address(&pair, 0, GREEN);
	paint(0.5, 3);
	both(pair, 4);
	many(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13);
	factorial(5);
	return 3;
}
