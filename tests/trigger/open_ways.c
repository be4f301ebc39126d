// SPDX-License-Identifier: BSD-2-Clause
// open_ways PATH: opens PATH once by each system call there is for it: open, creat (not on arm64), openat, openat2.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct open_how how = { .flags = O_RDWR | O_CLOEXEC };

	if (argc < 2)
		return 64;
#ifdef SYS_open
	syscall(SYS_open, argv[1], O_RDONLY | O_NOFOLLOW);
	syscall(SYS_creat, argv[1], 0644);
#endif
	syscall(SYS_openat, AT_FDCWD, argv[1], O_WRONLY | O_APPEND);
	syscall(SYS_openat2, AT_FDCWD, argv[1], &how, sizeof(how));
	return 0;
}
