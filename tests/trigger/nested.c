// SPDX-License-Identifier: BSD-2-Clause
/* Opens a file, writes two lines to it at each of 10 levels of a recursion, closes it. */
#include <stdio.h>

__attribute__((noipa)) static void write_line(FILE *file, int level)
{
	fprintf(file, "level %d\n", level);
}

__attribute__((noipa)) static int levels(FILE *file, int level)
{
	write_line(file, level);
	if (level > 1 && levels(file, level - 1) < 0)
		return -1;
	write_line(file, -level);
	return level;
}

int main(int argc, char **argv)
{
	FILE *file = fopen(argc > 1 ? argv[1] : "/dev/null", "w");
	int made;

	if (!file)
		return 1;
	made = levels(file, 10);
	return fclose(file) != 0 || made != 10;
}
