// SPDX-License-Identifier: BSD-2-Clause
// threads COUNT PATH: prints the number of its second thread and reads a byte; then the second thread opens PATH so
// often and the first as often.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static sem_t go;
static const char *path;
static int count, second;

static void open_all(void)
{
	for (int i = 0; i < count; i++)
		close(open(path, O_RDONLY));
}

static void *run(void *told)
{
	second = syscall(SYS_gettid);
	sem_post(told);
	sem_wait(&go);
	open_all();
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	sem_t told;
	char byte;

	if (argc < 3)
		return 64;
	count = atoi(argv[1]);
	path = argv[2];
	sem_init(&go, 0, 0);
	sem_init(&told, 0, 0);
	pthread_create(&thread, NULL, run, &told);
	sem_wait(&told);
	printf("%d\n", second);
	fflush(stdout);
	if (read(0, &byte, 1) != 1)
		return 1;
	sem_post(&go);
	pthread_join(thread, NULL);
	open_all();
	return 0;
}
