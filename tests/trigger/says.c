// SPDX-License-Identifier: BSD-2-Clause
// says [WORD]: prints its PID, and WORD; waits for the end of its input.
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char byte;

	printf("%d %s\n", getpid(), argc > 1 ? argv[1] : "");
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	return 0;
}
