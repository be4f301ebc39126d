// SPDX-License-Identifier: BSD-2-Clause
// disk_io DISK WHAT SIZE COUNT [DEPTH]: makes COUNT I/Os of SIZE bytes, none next to another, and says "done".
// WHAT: read, write (both direct; DEPTH at a time), osync (written through), fsync (buffered, then flushed), discard,
// sequential (buffered, all flushed at once), refusable (reads that the kernel may refuse rather than wait).
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static void fail(const char* what) {
  perror(what);
  exit(1);
}

// All in the air, `depth` at a time.
static void in_parallel(int fd, int op, int flags, char* buffer, size_t size, long count, long depth) {
  aio_context_t context = 0;
  struct iocb* blocks = calloc(depth, sizeof *blocks);
  struct iocb** pointers = calloc(depth, sizeof *pointers);
  struct io_event* events = calloc(depth, sizeof *events);
  if (syscall(SYS_io_setup, depth, &context) != 0) fail("io_setup");
  for (long first = 0; first < count; first += depth) {
    long many = count - first < depth ? count - first : depth;
    for (long i = 0; i < many; i++) {
      blocks[i] = (struct iocb){.aio_fildes = fd,
                                .aio_lio_opcode = op,
                                .aio_rw_flags = flags,
                                .aio_buf = (uintptr_t)buffer,
                                .aio_nbytes = size,
                                .aio_offset = (first + i) * 2 * size};
      pointers[i] = &blocks[i];
    }
    if (syscall(SYS_io_submit, context, many, pointers) != many) fail("io_submit");
    puts("submitted");
    fflush(stdout);
    if (syscall(SYS_io_getevents, context, many, many, events, NULL) != many) fail("io_getevents");
    for (long i = 0; i < many; i++)
      if (events[i].res != (long long)size && !(flags && events[i].res == -EAGAIN)) fail("an I/O");
  }
}

static void one_by_one(int fd, const char* what, char* buffer, size_t size, long count) {
  for (long i = 0; i < count; i++) {
    off_t at = (off_t)(i * 2 * size);
    uint64_t range[2] = {at, size};
    if (!strcmp(what, "discard")) {
      if (ioctl(fd, BLKDISCARD, range) != 0) fail("BLKDISCARD");
    } else if (!strcmp(what, "read")) {
      if (pread(fd, buffer, size, at) != (ssize_t)size) fail("pread");
    } else if (!strcmp(what, "sequential")) {
      if (pwrite(fd, buffer, size, (off_t)(i * size)) != (ssize_t)size) fail("pwrite");
    } else {
      if (pwrite(fd, buffer, size, at) != (ssize_t)size) fail("pwrite");
      if (!strcmp(what, "fsync") && fsync(fd) != 0) fail("fsync");
    }
  }
  if (!strcmp(what, "sequential") && fsync(fd) != 0) fail("fsync");
}

int main(int argc, char** argv) {
  if (argc < 5) return 2;
  const char* what = argv[2];
  size_t size = strtoul(argv[3], NULL, 0);
  long count = atol(argv[4]), depth = argc > 5 ? atol(argv[5]) : 1;
  int flags = what[0] == 'r' ? O_RDONLY | O_DIRECT : O_RDWR;
  if (!strcmp(what, "write")) flags |= O_DIRECT;
  if (!strcmp(what, "osync")) flags |= O_DIRECT | O_SYNC;
  int fd = open(argv[1], flags);
  if (fd < 0) fail(argv[1]);
  char* buffer = aligned_alloc(4096, (size + 4095) / 4096 * 4096);
  memset(buffer, 'x', size);
  if (depth > 1)
    in_parallel(fd, what[0] == 'r' ? IOCB_CMD_PREAD : IOCB_CMD_PWRITE, !strcmp(what, "refusable") ? RWF_NOWAIT : 0,
                buffer, size, count, depth);
  else
    one_by_one(fd, what, buffer, size, count);
  puts("done");
  return 0;
}
