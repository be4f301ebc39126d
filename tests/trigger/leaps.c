// SPDX-License-Identifier: BSD-2-Clause
/* Calls that end in each way there is: by a return, a jump, longjmp, the thread's end, another program, or never. */
#include <alloca.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static jmp_buf place;

__attribute__((noipa)) void after(char *byte)
{
	*byte = 1;
}

__attribute__((noipa)) int deeper(int levels)
{
	int beneath;

	if (levels == 0)
		longjmp(place, 1);
	if (levels > 100)
		return 0;
	beneath = deeper(levels - 1);
	__asm__ volatile("" : "+r"(beneath)); /* no loop of it */
	return beneath + 1;
}

/* What is called after the jump lies deeper on the stack than those that were left by it. */
__attribute__((noipa)) int leap(size_t room)
{
	char *bytes;

	if (setjmp(place) == 0)
		return deeper(2);
	bytes = alloca(room);
	after(bytes);
	return bytes[0];
}

__attribute__((noipa)) int second(int number)
{
	return number + 1;
}

__attribute__((noipa)) int first(int number)
{
	return second(number + 1);
}

__attribute__((noipa)) void work(void)
{
	char byte = 0;

	for (int i = 0; i < 3; i++)
		after(&byte);
}

__attribute__((noipa)) void *thread(void *times)
{
	for (long i = 0; i < (long)times; i++)
		work();
	return NULL;
}

static void threads(int count, long times)
{
	pthread_t all[16];

	for (int i = 0; i < count && i < 16; i++)
		pthread_create(&all[i], NULL, thread, (void *)times);
	for (int i = 0; i < count && i < 16; i++)
		pthread_join(all[i], NULL);
}

__attribute__((noipa)) void become(char *program)
{
	execl(program, program, "tail", (char *)NULL);
}

static void family(void)
{
	pid_t child = fork();

	if (child == 0) {
		work();
		_exit(0);
	}
	waitpid(child, NULL, 0);
	work();
}

__attribute__((noipa)) void forever(void)
{
	char byte = 0;

	after(&byte);
	if (write(1, "y\n", 2) != 2)
		return;
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	const char *way = argc > 1 ? argv[1] : "tail";

	if (!strcmp(way, "longjmp"))
		return leap(16) + leap(4096) - 2;
	if (!strcmp(way, "threads") && argc > 3)
		threads(atoi(argv[2]), atol(argv[3]));
	else if (!strcmp(way, "exec"))
		become(argv[0]);
	else if (!strcmp(way, "fork"))
		family();
	else if (!strcmp(way, "never") && write(1, "x\n", 2) == 2 && read(0, argv[0], 1) == 1)
		forever();
	else
		return first(0) - 2;
	return 0;
}
