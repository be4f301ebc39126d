// SPDX-License-Identifier: BSD-2-Clause
// deep BASE COUNT LENGTH: makes COUNT directories beneath BASE, one in another, each with a name of LENGTH bytes, and
// opens "leaf" in the innermost: creates it, opens it by its absolute name if that is one, and misses "nothing" there.
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[1 << 16];

int main(int argc, char **argv)
{
	if (argc < 4 || chdir(argv[1]))
		return 64;
	int count = atoi(argv[2]), length = atoi(argv[3]);
	size_t size = strlen(argv[1]);

	memcpy(path, argv[1], size);
	for (int i = 0; i < count; i++) {
		char *name = path + size + 1;

		name[-1] = '/';
		memset(name, 'a' + i % 26, length);
		name[length] = 0;
		size += length + 1;
		if (mkdir(name, 0755) || chdir(name))
			return 1;
	}
	strcpy(path + size, "/leaf");
	open("leaf", O_CREAT | O_WRONLY, 0644);
	if (size + 5 < 4096)
		open(path, O_RDONLY);
	open("nothing", O_RDONLY);
	return 0;
}
