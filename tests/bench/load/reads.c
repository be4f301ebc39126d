// SPDX-License-Identifier: BSD-2-Clause
// reads N DISK DEPTH: reads N blocks of 4 KiB past the page cache, DEPTH at a time. Prints the nanoseconds that one
// took.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "load.h"

enum { SIZE = 4096, BLOCKS = 4096, MOST = 128 };
static char buffer[SIZE] __attribute__((aligned(SIZE)));

static int read_some(aio_context_t context, int fd, long first, long many) {
  static struct iocb blocks[MOST], *pointers[MOST];
  static struct io_event events[MOST];
  for (long i = 0; i < many; i++) {
    blocks[i] = (struct iocb){.aio_fildes = fd,
                              .aio_lio_opcode = IOCB_CMD_PREAD,
                              .aio_buf = (uintptr_t)buffer,
                              .aio_nbytes = SIZE,
                              .aio_offset = (first + i) % BLOCKS * 2 * SIZE};  // none next to another
    pointers[i] = &blocks[i];
  }
  if (syscall(SYS_io_submit, context, many, pointers) != many) return 1;
  if (syscall(SYS_io_getevents, context, many, many, events, NULL) != many) return 1;
  for (long i = 0; i < many; i++)
    if (events[i].res != SIZE) return 1;
  return 0;
}

int main(int argc, char** argv) {
  if (argc < 4) return 64;
  long count = atol(argv[1]), depth = atol(argv[3]);
  int fd = open(argv[2], O_RDONLY | O_DIRECT);
  aio_context_t context = 0;
  if (fd < 0 || count <= 0 || depth <= 0 || depth > MOST || syscall(SYS_io_setup, depth, &context) != 0) return 64;
  double begin = load_now();
  for (long first = 0; first < count; first += depth) {
    long many = count - first < depth ? count - first : depth;
    if (read_some(context, fd, first, many) != 0) return 1;
  }
  printf("%.1f\n", (load_now() - begin) / (double)count);
  return 0;
}
