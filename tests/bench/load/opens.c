// SPDX-License-Identifier: BSD-2-Clause
// opens N [THREADS [RATE]]: opens and closes an existing file N times, spread over threads, RATE times a second if it
// can. Prints the nanoseconds that one took a thread.
#include <fcntl.h>
#include <unistd.h>

#include "load.h"

enum { MOST = 64 };
static long count, threads, rate;
static double begin;

// Waits where it is early, in steps that are long enough to be a wait and short enough for no burst.
static void keep_pace(long done) {
  double due = begin + (double)done * 1e9 * (double)threads / (double)rate;
  double early = due - load_now();
  if (early < 50e3) return;
  struct timespec pause = {0, (long)early};
  nanosleep(&pause, NULL);
}

static void* work(void* nothing) {
  for (long i = 0; i < count / threads; i++) {
    close(open("/etc/hostname", O_RDONLY));
    if (rate) keep_pace(i);
  }
  return nothing;
}

int main(int argc, char** argv) {
  pthread_t all[MOST];
  count = load_number(argc, argv, 1, 0);
  threads = load_number(argc, argv, 2, 1);
  rate = load_number(argc, argv, 3, 0);
  if (count <= 0 || threads <= 0 || threads > MOST || count % threads) return 64;
  begin = load_now();
  for (long i = 0; i < threads; i++)
    if (pthread_create(&all[i], NULL, work, NULL) != 0) return 1;
  for (long i = 0; i < threads; i++) pthread_join(all[i], NULL);
  printf("%.1f\n", (load_now() - begin) / (double)count * (double)threads);
  return 0;
}
