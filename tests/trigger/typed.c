// SPDX-License-Identifier: BSD-2-Clause
// typed N: calls functions with parameters of all kinds N times, compiled with debug information.
#include <stdlib.h>

enum color { RED = 1, GREEN = -2 };
struct inner {
	short first;
	char name[8];
};
struct thing {
	int id;
	struct inner in;
	struct thing *next;
	unsigned flag : 3;
};
struct large {
	long all[3];
};

__attribute__((noipa)) int handle(const char *path, struct thing *thing, enum color color, double weight,
				  unsigned char small, long fourth, int fifth, short sixth, int seventh)
{
	return path[0] + thing->id + color + (int)weight + small + (int)fourth + fifth + sixth - seventh;
}

__attribute__((noipa)) struct large make(int all)
{
	return (struct large){ { all, all, all } };
}

__attribute__((noipa)) double half(int number)
{
	return number / 2.0;
}

__attribute__((noipa)) struct thing *next_of(struct thing *thing)
{
	return thing->next;
}

int main(int argc, char **argv)
{
	struct thing last = { 8, { 3, "last" }, 0, 5 }, thing = { -7, { -2, "inner" }, &last, 2 };
	long count = argc > 1 ? atol(argv[1]) : 0;

	for (int i = 0; i < count; i++)
		if (handle("/a/path", &thing, GREEN, 2.5, 200, 1L << 40, -8, -300, i) != -68 - i || make(i).all[1] != i ||
		    half(i) * 2 != i || next_of(&thing) != &last)
			return 1;
	return 0;
}
