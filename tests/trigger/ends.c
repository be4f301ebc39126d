// SPDX-License-Identifier: BSD-2-Clause
// ends STATUS [MS]: ends, after so long, with this status, or by the signal of this number if it is negative.
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int status = argc > 1 ? atoi(argv[1]) : 0, ms = argc > 2 ? atoi(argv[2]) : 0;
	struct timespec time = { ms / 1000, ms % 1000 * 1000000L };
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	nanosleep(&time, NULL);
	if (status < 0)
		kill(getpid(), -status);
	return status;
}
