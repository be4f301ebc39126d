// SPDX-License-Identifier: BSD-2-Clause
// syncs COUNT PATH CALL...: writes a byte to PATH (-: memory of its own) and makes these calls on it, each of them
// COUNT times, in turn:
// sync, fsync, fdatasync, msync, sync_file_range, syncfs; bad is an fsync of no descriptor, compat one of the 32-bit
// kind, anonymous an msync of memory of no file, crowd one of the file mapped amidst 5,000 mappings, wait a pause of
// 300 ms.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Pages by turns of the file, anonymous and absent, so that no two make one mapping. */
static void crowd(int fd)
{
	enum { PAGES = 10000, MIDDLE = 5002 };
	char *all = mmap(NULL, PAGES * 4096L, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (int i = 0; i < PAGES; i += 2)
		mmap(all + i * 4096L, 4096, PROT_READ, MAP_FIXED | (i == MIDDLE ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS),
		     i == MIDDLE ? fd : -1, 0);
	msync(all + MIDDLE * 4096L, 4096, MS_SYNC);
	munmap(all, PAGES * 4096L);
}

static void anonymous(void)
{
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	msync(memory, 4096, MS_SYNC);
	munmap(memory, 4096);
}

static void call(const char *name, int fd, void *memory)
{
	if (!strcmp(name, "sync"))
		sync();
	else if (!strcmp(name, "fsync"))
		fsync(fd);
	else if (!strcmp(name, "fdatasync"))
		fdatasync(fd);
	else if (!strcmp(name, "msync"))
		msync(memory, 4096, MS_SYNC);
	else if (!strcmp(name, "sync_file_range"))
		sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	else if (!strcmp(name, "syncfs"))
		syncfs(fd);
	else if (!strcmp(name, "bad"))
		fsync(-1);
	else if (!strcmp(name, "anonymous"))
		anonymous();
	else if (!strcmp(name, "crowd"))
		crowd(fd);
	else if (!strcmp(name, "wait"))
		usleep(300000);
#ifdef __x86_64__
	else if (!strcmp(name, "compat")) {
		long number = 118;

		__asm__ volatile("int $0x80" : "+a"(number) : "b"(fd) : "memory", "r8", "r9", "r10", "r11");
	}
#endif
}

static int file_of(const char *path)
{
	return strcmp(path, "-") ? open(path, O_RDWR | O_CREAT, 0666) : memfd_create("syncs", 0);
}

int main(int argc, char **argv)
{
	long count = argc > 3 ? atol(argv[1]) : 0;
	int fd = argc > 3 ? file_of(argv[2]) : -1;
	void *memory;

	if (fd < 0 || pwrite(fd, "x", 1, 0) != 1)
		return 64;
	memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	for (; count > 0; count--)
		for (int i = 3; i < argc; i++)
			call(argv[i], fd, memory);
	return 0;
}
