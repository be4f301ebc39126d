// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A record for each open, openat, openat2 and creat, made when the call returns: by then the kernel has faulted the
 * name's page in, and one program sees both the arguments and the result. */
#include "lib/filter.bpf.h"
#include "lib/path.bpf.h"
#include "lib/stream.bpf.h"

#include "opensnoop.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile bool only_failed, only_writes, absolute;
const volatile __s32 only_error;  /* positive errno; 0: any */
const volatile __u32 prefix_size; /* bytes of --path, without its NUL; 0: any */
const volatile char prefix[OPENSNOOP_PREFIX_SIZE];

LOST_COUNTER(name_unreadable);

#define AT_FDCWD (-100)
#define O_CREAT_WRONLY_TRUNC 01101
#define WRITES 03 /* O_ACCMODE: anything but O_RDONLY */

#define NAME_MAX_SIZE 4096
#define BASE_MAX_SIZE 4096

struct open_call {
	__s32 dirfd;
	const char *name;
	__u32 flags;
	__s32 result;
};

static __always_inline bool call_wanted(const struct open_call *call)
{
	if (only_failed && call->result >= 0)
		return false;
	if (only_error && call->result != -only_error)
		return false;
	if (only_writes && !(call->flags & WRITES))
		return false;
	return true;
}

/* Whether the bytes at `path` begin with --path. They are compared eight at a time up to the last, partial word. */
static __always_inline bool prefix_at(const char *path)
{
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < OPENSNOOP_PREFIX_SIZE && i < prefix_size; i++)
		if (path[i] != prefix[i])
			return false;
	return true;
}

/* --path on the name as it was given, before anything is reserved. */
static __always_inline bool name_wanted(const struct open_call *call)
{
	char start[OPENSNOOP_PREFIX_SIZE] = {};

	bpf_probe_read_user(start, prefix_size & (OPENSNOOP_PREFIX_SIZE - 1), call->name);
	return prefix_at(start);
}

/* Where a failed open's name starts from: the descriptor or the working directory, the task's root for "/...". */
static __always_inline bool base_of(const struct open_call *call, char first, struct path_walk *base)
{
	struct task_struct *task = current_task();
	struct file *file;

	if (first == '/') {
		*base = PATH_BEHIND(task, fs, root);
	} else if (call->dirfd == AT_FDCWD) {
		*base = PATH_BEHIND(task, fs, pwd);
	} else {
		file = path_file(task, call->dirfd);
		if (!file)
			return false;
		*base = PATH_OF(file, f_path);
	}
	return true;
}

static __always_inline void fill(struct opensnoop_record *record, const struct open_call *call)
{
	struct filter_ids ids = filter_current_ids();

	record->pid = ids.pid;
	record->tid = ids.tid;
	record->uid = bpf_get_current_uid_gid();
	record->result = call->result;
	record->flags = call->flags;
	bpf_get_current_comm(record->comm, sizeof(record->comm));
}

/* The name alone. True if the record was submitted (or there was no room), false if `room` was too small for it. */
static __always_inline bool record_name(const struct open_call *call, const __u32 room)
{
	struct opensnoop_record *record = stream_reserve(struct opensnoop_record, 0, room);
	long size;

	if (!record)
		return true;
	size = bpf_probe_read_user_str(stream_tail(record), room, call->name);
	if (size == room && room < NAME_MAX_SIZE) {
		stream_discard(record);
		return false;
	}
	fill(record, call);
	if (size < 0) {
		record->notes = OPENSNOOP_UNREADABLE;
		count_lost(name_unreadable);
	} else {
		record->head.tail_size = size - 1;
		if (size == room)
			record->notes = OPENSNOOP_CUT_NAME;
	}
	stream_submit(record);
	return true;
}

/* Reads the name to where a base will end. False if `room` was too small for it. */
static __always_inline bool read_name(struct opensnoop_record *record, char *place, const __u32 room, const char *name,
				      __u32 *size)
{
	long read = bpf_probe_read_user_str(place, room, name);

	*size = 0;
	if (read < 0) {
		record->notes = OPENSNOOP_UNREADABLE;
		count_lost(name_unreadable);
		return true;
	}
	if (read == room) {
		if (room < NAME_MAX_SIZE)
			return false;
		record->notes = OPENSNOOP_CUT_NAME;
	}
	*size = read - 1;
	return true;
}

/*
 * The absolute path. The tail is room for a base, written backwards from its end, then room for the name: so that both
 * lie against each other. True if the record was submitted or there is no room, false if it needs a larger one.
 */
static __always_inline bool record_path(const struct open_call *call, const __u32 base_room, const __u32 name_room)
{
	struct opensnoop_record *record = stream_reserve(struct opensnoop_record, 0, base_room + name_room);
	bool cut = false, based = true;
	__u32 at = base_room, name_size = 0;
	struct path_walk base;
	struct file *file;
	char *tail;

	if (!record)
		return true;
	tail = stream_tail(record);
	fill(record, call);
	file = call->result >= 0 ? path_file(current_task(), call->result) : NULL;
	/* What is no file of any directory, as a pipe opened through /proc, has no path of its own. */
	if (file && path_has_one(file)) {
		base = PATH_OF(file, f_path);
		record->notes = OPENSNOOP_RESOLVED;
	} else {
		if (!read_name(record, tail + base_room, name_room, call->name, &name_size))
			goto too_small;
		based = base_of(call, tail[base_room], &base);
	}
	if (based)
		at = path_prepend(tail, base_room, base, &cut);
	if (cut && base_room < BASE_MAX_SIZE)
		goto too_small;
	if (cut)
		record->notes |= OPENSNOOP_CUT_PATH;
	record->base_size = base_room - at;
	record->head.tail_at = at;
	record->head.tail_size = record->base_size + name_size;
	stream_submit(record);
	return true;
too_small:
	stream_discard(record);
	return false;
}

static __always_inline int on_open(const struct open_call *call)
{
	if (!call_wanted(call) || !filter_current())
		return 0;
	if (prefix_size && !name_wanted(call))
		return 0;
	if (absolute) {
		if (!record_path(call, 512, 512))
			record_path(call, BASE_MAX_SIZE, NAME_MAX_SIZE);
	} else if (!record_name(call, 128) && !record_name(call, 512)) {
		record_name(call, NAME_MAX_SIZE);
	}
	return 0;
}

static __always_inline __u32 how_flags_user(const void *how)
{
	__u64 flags = 0;

	/* struct open_how begins with its flags, 64 bits wide. */
	bpf_probe_read_user(&flags, sizeof(flags), how);
	return flags;
}

/* Every open by system call comes through here, those of 32-bit callers too. */
SEC("?fexit/do_sys_openat2")
int BPF_PROG(openat2_fexit, int dirfd, const char *name, struct open_how *how, long result)
{
	struct open_call call = {
		.dirfd = dirfd,
		.name = name,
		.flags = BPF_CORE_READ(how, flags),
		.result = result,
	};

	return on_open(&call);
}

static __always_inline struct open_call plain_call(struct pt_regs *regs, long result)
{
	return (struct open_call){ AT_FDCWD, (void *)SYSCALL_ARG0(regs), SYSCALL_ARG1(regs), result };
}

static __always_inline struct open_call at_call(struct pt_regs *regs, long result)
{
	return (struct open_call){ SYSCALL_ARG0(regs), (void *)SYSCALL_ARG1(regs), SYSCALL_ARG2(regs), result };
}

static __always_inline struct open_call at2_call(struct pt_regs *regs, long result)
{
	return (struct open_call){ SYSCALL_ARG0(regs), (void *)SYSCALL_ARG1(regs),
				   how_flags_user((void *)SYSCALL_ARG2(regs)), result };
}

static __always_inline struct open_call creat_call(struct pt_regs *regs, long result)
{
	return (struct open_call){ AT_FDCWD, (void *)SYSCALL_ARG0(regs), O_CREAT_WRONLY_TRUNC, result };
}

#define EXIT_TRACEPOINT(syscall, decode)                                                             \
	SEC("?tp/syscalls/sys_exit_" #syscall)                                                       \
	int syscall##_exit(struct syscall_trace_exit *ctx)                                           \
	{                                                                                            \
		struct open_call call = decode(entry_regs(), ctx->ret);                              \
                                                                                                     \
		return on_open(&call);                                                               \
	}

EXIT_TRACEPOINT(open, plain_call)
EXIT_TRACEPOINT(openat, at_call)
EXIT_TRACEPOINT(openat2, at2_call)
EXIT_TRACEPOINT(creat, creat_call)

/* asm/unistd.h of each architecture. */
#ifdef __TARGET_ARCH_arm64
enum { NR_OPENAT = 56, NR_OPEN = -2, NR_CREAT = -3 };
#else
enum { NR_OPENAT = 257, NR_OPEN = 2, NR_CREAT = 85 };
#endif
enum { NR_OPENAT2 = 437 };

/* Every system call of the machine passes here, so the number is looked at before all else. */
static __always_inline int on_any_exit(struct pt_regs *regs, long result)
{
	struct open_call call;
	__s32 number = SYSCALL_NUMBER(regs) & ~0x40000000; /* x32's calls have the same numbers */

	if (number != NR_OPENAT && number != NR_OPEN && number != NR_OPENAT2 && number != NR_CREAT)
		return 0;
	if (TASK_IS_COMPAT(current_task()))
		return 0;
	if (number == NR_OPENAT)
		call = at_call(regs, result);
	else if (number == NR_OPENAT2)
		call = at2_call(regs, result);
	else if (number == NR_OPEN)
		call = plain_call(regs, result);
	else
		call = creat_call(regs, result);
	return on_open(&call);
}

SEC("?tp_btf/sys_exit")
int BPF_PROG(any_exit_btf, struct pt_regs *regs, long result)
{
	return on_any_exit(regs, result);
}

SEC("?raw_tp/sys_exit")
int BPF_PROG(any_exit_raw, struct pt_regs *regs, long result)
{
	return on_any_exit(regs, result);
}
