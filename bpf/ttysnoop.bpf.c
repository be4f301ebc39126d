// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Records of what is written to terminals, made when the write is done. */
#include "lib/calls.bpf.h"
#include "lib/filter.bpf.h"
#include "lib/path.bpf.h"
#include "lib/span.bpf.h"
#include "lib/stream.bpf.h"

#include "ttysnoop.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Devices as the kernel writes them, major << 20 | minor. */
const volatile __u32 terminals[TTYSNOOP_TERMINALS];
const volatile __u32 terminal_count; /* 0: all of them */

LOST_COUNTER(data_unreadable);
LOST_COUNTER(data_too_long); /* parts of a write beyond CHUNKS, each a record's */

#define ROOM		   256
#define CHUNKS		   64
#define PIECES		   16 /* of a writev */
#define WITHIN(size, most) ((size) < (most) ? (size) : (most))

/* The other end of a pseudo-terminal, "ptm3" or "ptyp3": what is written there is input. */
static __always_inline bool is_master(struct tty_struct *tty)
{
	char name[4] = {};

	bpf_core_read(name, 3, &tty->name);
	return name[0] == 'p' && name[1] == 't' && (name[2] == 'm' || name[2] == 'y');
}

static __always_inline bool tty_wanted(struct tty_struct *tty)
{
	struct tty_driver *driver = BPF_CORE_READ(tty, driver);
	__u32 device = (BPF_CORE_READ(driver, major) << PATH_MINOR_BITS) + BPF_CORE_READ(driver, minor_start) +
		       BPF_CORE_READ(tty, index);

	if (is_master(tty))
		return false;
	if (!terminal_count)
		return true;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < TTYSNOOP_TERMINALS && i < terminal_count; i++)
		if (terminals[i] == device)
			return true;
	return false;
}

static __always_inline int record_in(struct tty_struct *tty, const char *data, __u32 size, __u32 offset, bool of_user,
				     const __u32 room)
{
	struct ttysnoop_record *record = stream_reserve(struct ttysnoop_record, 0, room);
	long error;

	if (!record)
		return 0;
	/* In words that the verifier follows, with the room a power of two: at most that. */
	size = size < room ? size : room;
	asm volatile("%0 &= %1" : "+r"(size) : "i"(2 * TTYSNOOP_CHUNK - 1));
	if (size > room)
		size = room;
	error = of_user ? bpf_probe_read_user(stream_tail(record), size, data) :
			  bpf_probe_read_kernel(stream_tail(record), size, data);
	if (error) {
		count_lost(data_unreadable);
		stream_discard(record);
		return 0;
	}
	filter_tell_current(record);
	record->offset = offset;
	record->head.tail_size = size;
	bpf_core_read(record->tty, sizeof(record->tty) - 1, &tty->name);
	stream_submit(record);
	return 0;
}

/*
 * Records a chunk of what begins there and is this large. Not static, so that the verifier follows it once; kernels
 * before 5.12 let such a function take only numbers.
 */
__noinline int record_chunk(__u64 tty, __u64 data, __u32 offset, __u32 size, __u32 of_user)
{
	if (size > TTYSNOOP_CHUNK)
		size = TTYSNOOP_CHUNK;
	if (size <= ROOM)
		return record_in((void *)tty, (void *)data, size, offset, of_user, ROOM);
	return record_in((void *)tty, (void *)data, size, offset, of_user, TTYSNOOP_CHUNK);
}

/* What is left of a write: so many records were not made. */
static __always_inline void count_rest(__u32 bytes)
{
	__u32 parts = (bytes + TTYSNOOP_CHUNK - 1) / TTYSNOOP_CHUNK;

	if (parts)
		__sync_fetch_and_add(&lost_data_too_long, parts);
}

/* All of what one call, or one piece of it, writes. Not static either. */
__noinline int record_data(__u64 tty, __u64 data, __u32 size, __u32 offset, __u32 of_user)
{
	/* By numbers that the verifier knows: what it has to work out keeps 5.10 from seeing the loop's end in time. */
#pragma clang loop unroll(disable)
	for (__u32 done = 0; done < CHUNKS * TTYSNOOP_CHUNK; done += TTYSNOOP_CHUNK) {
		if (done >= size)
			return 0;
		record_chunk(tty, data + done, offset + done, size - done, of_user);
	}
	if (size > CHUNKS * TTYSNOOP_CHUNK)
		count_rest(size - CHUNKS * TTYSNOOP_CHUNK);
	return 0;
}

/*
 * The line discipline's function: it sees a copy in the kernel of what is written, in one piece or some, whichever call
 * it comes from, and returns how much it has taken.
 */
SEC("?fexit/n_tty_write")
int BPF_PROG(write_fexit, struct tty_struct *tty, struct file *file, const unsigned char *data, size_t size,
	     long result)
{
	if (result > 0 && tty_wanted(tty) && filter_current())
		record_data(as_number(tty), as_number(data), result, 0, false);
	return 0;
}

struct tty_span {
	__u64 tty;
	__u64 data;
};

/* By the kernel's thread id. */
SPAN_MAP(writes, __u32, struct tty_span);

SEC("?kprobe/n_tty_write")
int BPF_KPROBE(write_kprobe, struct tty_struct *tty, struct file *file, const unsigned char *data)
{
	struct tty_span span = { .tty = (__u64)tty, .data = (__u64)data };
	__u32 tid = bpf_get_current_pid_tgid();

	if (tty_wanted(tty) && filter_current())
		span_begin(writes, &tid, &span);
	return 0;
}

SEC("?kretprobe/n_tty_write")
int BPF_KRETPROBE(write_kretprobe, long result)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct tty_span *found = bpf_map_lookup_elem(&writes, &tid), span;

	if (!found)
		return 0;
	span = *found;
	bpf_map_delete_elem(&writes, &tid);
	if (result > 0)
		record_data(span.tty, span.data, result, 0, false);
	return 0;
}

/* Documentation/admin-guide/devices.txt: whose files are terminals' for sure. 5:2 opens the master of a pty. */
static __always_inline bool is_tty_device(__u32 device)
{
	__u32 major = device >> PATH_MINOR_BITS;

	return major == 4 || (major >= 136 && major <= 143) || device == (5 << PATH_MINOR_BITS) ||
	       device == (5 << PATH_MINOR_BITS | 1) || major == 188 || major == 204 || major == 229;
}

/* The terminal whose file a descriptor is; NULL if it is none that is wanted. */
static __always_inline struct tty_struct *tty_of(__s32 fd)
{
	struct file *file = path_file(current_task(), fd);
	struct tty_file_private *private;
	struct tty_struct *tty;

	if (!is_tty_device(path_character_device(file)))
		return NULL;
	private = BPF_CORE_READ(file, private_data);
	tty = BPF_CORE_READ(private, tty);
	return tty && tty_wanted(tty) && filter_current() ? tty : NULL;
}

static __always_inline int on_write(struct pt_regs *regs, long result)
{
	struct tty_struct *tty;

	if (result <= 0)
		return 0;
	tty = tty_of(SYSCALL_ARG0(regs));
	if (tty)
		record_data((__u64)tty, SYSCALL_ARG1(regs), result, 0, true);
	return 0;
}

static __always_inline int on_writev(struct pt_regs *regs, long result)
{
	struct iovec *pieces = (void *)SYSCALL_ARG1(regs), piece;
	struct tty_struct *tty;
	__u32 done = 0, size;

	if (result <= 0)
		return 0;
	tty = tty_of(SYSCALL_ARG0(regs));
	if (!tty)
		return 0;
#pragma clang loop unroll(disable)
	for (int i = 0; i < PIECES && done < result; i++) {
		if (bpf_probe_read_user(&piece, sizeof(piece), pieces + i))
			break;
		size = WITHIN(piece.iov_len, (__u32)result - done);
		record_data((__u64)tty, (__u64)piece.iov_base, size, done, true);
		done += size;
	}
	count_rest(result - done);
	return 0;
}

/* asm/unistd.h of each architecture. */
#ifdef __TARGET_ARCH_arm64
enum {
	NR_WRITE = 64,
	NR_WRITEV = 66
};
#else
enum {
	NR_WRITE = 1,
	NR_WRITEV = 20
};
#endif

SEC("?tp/syscalls/sys_exit_write")
int write_tracepoint(struct syscall_trace_exit *ctx)
{
	return on_write(entry_regs(), ctx->ret);
}

SEC("?tp/syscalls/sys_exit_writev")
int writev_tracepoint(struct syscall_trace_exit *ctx)
{
	return on_writev(entry_regs(), ctx->ret);
}

static __always_inline int on_exit(struct pt_regs *regs, __s32 number, long result)
{
	if ((number != NR_WRITE && number != NR_WRITEV) || current_is_compat(current_task()))
		return 0;
	return number == NR_WRITE ? on_write(regs, result) : on_writev(regs, result);
}

CALL_EXIT_PROGRAMS(exit, on_exit)
