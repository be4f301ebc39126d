// SPDX-License-Identifier: BSD-2-Clause
// open_in WAY DIRECTORY NAME [SOURCE]: opens NAME once, as seen from DIRECTORY. WAY: cwd (it is the working directory),
// dirfd (openat), root (it is the root: chroot), mount (in a mount namespace where SOURCE is mounted on it).
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

static int enter(const char *way, const char *directory, const char *source)
{
	if (!strcmp(way, "cwd"))
		return chdir(directory);
	if (!strcmp(way, "root"))
		return chroot(directory) || chdir("/");
	if (!strcmp(way, "mount"))
		return unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		       mount(source, directory, NULL, MS_BIND, NULL) || chdir(directory);
	return -1;
}

int main(int argc, char **argv)
{
	int at = AT_FDCWD;

	if (argc < 4)
		return 64;
	if (!strcmp(argv[1], "dirfd"))
		at = open(argv[2], O_PATH | O_DIRECTORY);
	else if (enter(argv[1], argv[2], argc > 4 ? argv[4] : NULL))
		return 1;
	openat(at, argv[3], O_RDONLY);
	return 0;
}
