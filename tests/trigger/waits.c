// SPDX-License-Identifier: BSD-2-Clause
// Threads that wait for known things and say for how long, in nanoseconds: one sleeps, one wants a lock that is held,
// one reads a slow pipe. "waits MILLISECONDS".
#include <linux/futex.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "call.h"

static int lock = 1;  // 1 while it is held
static pthread_barrier_t begun;
static int ends[2];
static struct timespec span;
static unsigned long waited[3];

static unsigned long now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000UL + now.tv_nsec;
}

__attribute__((noinline)) void wait_sleeping(void) {
  raw_call(SYS_nanosleep, (long)&span, 0, 0, 0);
  asm volatile("" : : "r"(__builtin_frame_address(0)));  // or it would have no frame
}

__attribute__((noinline)) void wait_locking(void) {
  while (__atomic_load_n(&lock, __ATOMIC_ACQUIRE)) raw_call(SYS_futex, (long)&lock, FUTEX_WAIT, 1, 0);
  asm volatile("" : : "r"(__builtin_frame_address(0)));  // or it would have no frame
}

__attribute__((noinline)) void wait_reading(void) {
  char byte;
  if (raw_call(SYS_read, ends[0], (long)&byte, 1, 0) != 1) exit(1);
  asm volatile("" : : "r"(__builtin_frame_address(0)));  // or it would have no frame
}

static void* thread(void* which) {
  static void (*const waits[])(void) = {wait_sleeping, wait_locking, wait_reading};
  static const char* const names[] = {"sleeping", "locking", "reading"};
  long i = (long)which;
  prctl(PR_SET_NAME, names[i]);
  pthread_barrier_wait(&begun);
  unsigned long begin = now_ns();
  waits[i]();
  waited[i] = now_ns() - begin;
  return NULL;
}

int main(int count, char** words) {
  long ms = count > 1 ? atol(words[1]) : 500;
  pthread_t threads[3];
  span.tv_sec = ms / 1000;
  span.tv_nsec = ms % 1000 * 1000000;
  pthread_barrier_init(&begun, NULL, 4);
  if (pipe(ends) != 0) return 1;
  for (long i = 0; i < 3; i++) pthread_create(&threads[i], NULL, thread, (void*)i);
  pthread_barrier_wait(&begun);
  nanosleep(&span, NULL);
  __atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
  syscall(SYS_futex, &lock, FUTEX_WAKE, 1, NULL);
  if (write(ends[1], "x", 1) != 1) return 1;
  for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
  printf("{\"sleeping\":%lu,\"locking\":%lu,\"reading\":%lu}\n", waited[0], waited[1], waited[2]);
  return 0;
}
