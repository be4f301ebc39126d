// SPDX-License-Identifier: BSD-2-Clause
// exec_thread PROGRAM ARG...: a second thread becomes PROGRAM.
#include <pthread.h>
#include <unistd.h>

static void *become(void *words)
{
	char **argv = words;

	execv(argv[0], argv);
	_exit(1);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	if (argc < 2)
		return 64;
	pthread_create(&thread, NULL, become, argv + 1);
	pthread_join(thread, NULL);
	return 1;
}
