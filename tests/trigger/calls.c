// SPDX-License-Identifier: BSD-2-Clause
// calls [NAME COUNT]...: makes these system calls so often, in turn. A COUNT of 0: until it is killed.
//   getppid succeeds; close fails with EBADF; chdir fails with ENOENT; nanosleep takes 20 ms, so long that
//   even a machine that is slow to fall asleep has not been woken before.
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void call(char name)
{
	struct timespec moment = { .tv_nsec = 20000000 };

	if (name == 'g')
		syscall(SYS_getppid);
	else if (name == 'n')
		syscall(SYS_nanosleep, &moment, 0);
	else if (name == 'c')
		syscall(SYS_close, -1);
	else
		syscall(SYS_chdir, "/nonexistent");
}

int main(int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i += 2) {
		char name = !strcmp(argv[i], "chdir") ? 'd' : argv[i][0];
		long count = atol(argv[i + 1]);

		for (long made = 0; !count || made < count; made++)
			call(name);
	}
	return 0;
}
