// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A record for each getrandom and each read of /dev/urandom and /dev/random, made when it returns. The tracepoint
 * random:urandom_read, gone since 5.18, told the bytes that were asked for and not of which device: the functions that
 * read the devices are there before and after, and tell both. */
#include "lib/calls.bpf.h"
#include "lib/filter.bpf.h"
#include "lib/path.bpf.h"
#include "lib/stream.bpf.h"

#include "randomread.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile __u32 only_source; /* enum randomread_source; RANDOMREAD_SOURCES: any */

static __always_inline int record_read(__u32 source, long result)
{
	struct randomread_record *record;

	if ((only_source != RANDOMREAD_SOURCES && source != only_source) || !filter_current())
		return 0;
	record = stream_reserve(struct randomread_record, 0, 0);
	if (!record)
		return 0;
	filter_tell_current(record);
	record->source = source;
	record->result = result;
	stream_submit(record);
	return 0;
}

/* The devices' functions: since 5.18 (1b388e7765f2), and in stable trees from 5.10.119 on, with an iterator. */
SEC("?fexit/urandom_read_iter")
int BPF_PROG(urandom_iter_fexit, struct kiocb *kiocb, struct iov_iter *iterator, long result)
{
	return record_read(RANDOMREAD_URANDOM, result);
}

SEC("?fexit/random_read_iter")
int BPF_PROG(random_iter_fexit, struct kiocb *kiocb, struct iov_iter *iterator, long result)
{
	return record_read(RANDOMREAD_RANDOM, result);
}

SEC("?fexit/urandom_read")
int BPF_PROG(urandom_fexit, struct file *file, char *buffer, size_t size, void *position, long result)
{
	return record_read(RANDOMREAD_URANDOM, result);
}

SEC("?fexit/random_read")
int BPF_PROG(random_fexit, struct file *file, char *buffer, size_t size, void *position, long result)
{
	return record_read(RANDOMREAD_RANDOM, result);
}

SEC("?kretprobe/urandom_read_iter")
int BPF_KRETPROBE(urandom_kretprobe, long result)
{
	return record_read(RANDOMREAD_URANDOM, result);
}

SEC("?kretprobe/random_read_iter")
int BPF_KRETPROBE(random_kretprobe, long result)
{
	return record_read(RANDOMREAD_RANDOM, result);
}

/* asm/unistd.h of each architecture, and of its 32-bit ABI. */
enum {
	READS = 5
};
#ifdef __TARGET_ARCH_arm64
static const __s32 native_reads[READS] = { 63, 67, 65, 69, 286 }; /* read, pread64, readv, preadv, preadv2 */
static const __s32 compat_reads[READS] = { 3, 180, 145, 361, 392 };
enum {
	NR_GETRANDOM = 278,
	NR_COMPAT_GETRANDOM = 384
};
#else
static const __s32 native_reads[READS] = { 0, 17, 19, 295, 327 };
static const __s32 compat_reads[READS] = { 3, 180, 145, 333, 378 };
enum {
	NR_GETRANDOM = 318,
	NR_COMPAT_GETRANDOM = 355
};
#endif

/* drivers/char/mem.c */
#define RANDOM_DEVICE  (1 << PATH_MINOR_BITS | 8)
#define URANDOM_DEVICE (1 << PATH_MINOR_BITS | 9)

/* A read that returned, of whatever file: the descriptor tells which. */
static __always_inline int on_read(__s32 fd, long result)
{
	__u32 device = path_character_device(path_file(current_task(), fd));

	if (device != RANDOM_DEVICE && device != URANDOM_DEVICE)
		return 0;
	return record_read(device == RANDOM_DEVICE ? RANDOMREAD_RANDOM : RANDOMREAD_URANDOM, result);
}

static __always_inline int on_any_read(struct pt_regs *regs, __s32 number, long result)
{
	/* x32 has other numbers for readv and preadv, which are left out. */
	bool native = call_index(native_reads, READS, number & ~CALL_X32_BIT) < READS;
	bool compat = call_index(compat_reads, READS, number) < READS;

	if (!native && !compat)
		return 0;
	if (current_is_compat(current_task()))
		return compat ? on_read(SYSCALL_COMPAT_ARG0(regs), result) : 0;
	return native ? on_read(SYSCALL_ARG0(regs), result) : 0;
}

static __always_inline int on_any_getrandom(struct pt_regs *regs, __s32 number, long result)
{
	bool native = (number & ~CALL_X32_BIT) == NR_GETRANDOM, compat = number == NR_COMPAT_GETRANDOM;

	if (!native && !compat)
		return 0;
	return current_is_compat(current_task()) == compat ? record_read(RANDOMREAD_GETRANDOM, result) : 0;
}

/* Attached to the exit tracepoints of all reads. */
SEC("?tp/syscalls/sys_exit_read")
int read_tracepoint(struct syscall_trace_exit *ctx)
{
	return on_read(SYSCALL_ARG0(entry_regs()), ctx->ret);
}

CALL_EXIT_PROGRAMS(read, on_any_read)

SEC("?tp/syscalls/sys_exit_getrandom")
int getrandom_tracepoint(struct syscall_trace_exit *ctx)
{
	return record_read(RANDOMREAD_GETRANDOM, ctx->ret);
}

CALL_EXIT_PROGRAMS(getrandom, on_any_getrandom)
