// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A record for each open, openat, openat2 and creat, made when the call returns: by then the kernel has faulted the
 * name's page in, and one program sees both the arguments and the result. */
#include "lib/calls.bpf.h"
#include "lib/filter.bpf.h"
#include "lib/path.bpf.h"
#include "lib/stream.bpf.h"

#include "opensnoop.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile bool only_failed, only_writes, absolute;
const volatile __s32 only_error; /* positive errno; 0: any */
const volatile __u32 prefix_size; /* bytes of --path, without its NUL; 0: any */
const volatile char prefix[OPENSNOOP_PREFIX_SIZE];

LOST_COUNTER(name_unreadable);

#define AT_FDCWD	     (-100)
#define O_CREAT_WRONLY_TRUNC 01101
#define WRITES		     03 /* O_ACCMODE: anything but O_RDONLY */
#if defined(__TARGET_ARCH_arm64)
#define O_LARGEFILE 0400000
#else
#define O_LARGEFILE 0100000
#endif

#define NAME_MAX_SIZE 4104 /* PATH_MAX and a little more, which tells a name that is longer */
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

/* Whether the bytes at `path`, of which `room` may be read, begin with --path. */
static __always_inline bool prefix_at(const char *path, const __u32 room)
{
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < OPENSNOOP_PREFIX_SIZE && i < prefix_size && i < room; i++)
		if (path[i] != prefix[i])
			return false;
	return true;
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
	if (prefix_size && (size < 0 || !prefix_at(stream_tail(record), room))) {
		stream_discard(record);
		return true;
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

/*
 * Reads the name to where a base will end, with the slash that joins them if it is relative. Returns its size, or -1 if
 * `room` was too small for it.
 */
static __always_inline __s32 read_name(struct opensnoop_record *record, char *place, const __u32 room, const char *name,
				       char first)
{
	__u32 slash = 0;
	long size;

	if (first != '/') {
		*place = '/';
		slash = 1;
	}
	size = bpf_probe_read_user_str(place + slash, room, name);
	if (size < 0) {
		record->notes = OPENSNOOP_UNREADABLE;
		count_lost(name_unreadable);
		return 0;
	}
	if (size == room) {
		if (room < NAME_MAX_SIZE)
			return -1;
		record->notes = OPENSNOOP_CUT_NAME;
	}
	return slash + size - 1;
}

/*
 * --path on an absolute path that is not shorter. Its start is copied to where the verifier knows that it lies: to the
 * record's spare room, since the stack, of 512 bytes, is shared with the function that walks.
 */
static __always_inline bool path_wanted(const char *path, char *spare)
{
	bpf_probe_read_kernel(spare, prefix_size & (OPENSNOOP_PREFIX_SIZE - 1), path);
	return prefix_at(spare, OPENSNOOP_PREFIX_SIZE);
}

/*
 * The absolute path. The tail is room for a base, written backwards from its end, then room for the name: so that both
 * lie against each other. True if the record is done with, false if it needs more room.
 */
static __always_inline bool record_path(const struct open_call *call, const __u32 base_room, const __u32 name_room)
{
	struct opensnoop_record *record =
		stream_reserve(struct opensnoop_record, 0, base_room + name_room + PATH_NAME_MAX);
	bool cut = false, based = true, done = false;
	__u32 at = base_room;
	struct path_walk base;
	struct file *file;
	__s32 name_size = 0;
	char *tail, first = 0;

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
		bpf_probe_read_user(&first, 1, call->name);
		name_size = read_name(record, tail + base_room, name_room, call->name, first);
		if (name_size < 0)
			goto discard;
		based = base_of(call, first, &base);
	}
	if (based)
		at = path_prepend_some(tail, base_room, base, base_room < BASE_MAX_SIZE ? PATH_SOME : PATH_COMPONENTS,
				       &cut);
	if (cut && base_room < BASE_MAX_SIZE)
		goto discard;
	if (cut)
		record->notes |= OPENSNOOP_CUT_PATH;
	done = true;
	record->head.tail_at = at;
	record->head.tail_size = base_room - at + name_size;
	if (prefix_size &&
	    (record->head.tail_size < prefix_size || !path_wanted(tail + at, tail + base_room + name_room)))
		goto discard;
	stream_submit(record);
	return true;
discard:
	stream_discard(record);
	return done;
}

/*
 * A function of its own, and not static, so that the verifier follows it once and not anew for each way to call it;
 * kernels before 5.12 let such a function take only numbers.
 */
__noinline int record_open(__s32 dirfd, __u64 name, __u32 flags, __s32 result)
{
	/* Before do_sys_openat2 a 64-bit kernel adds this flag to every open, and no other way sees that it did. */
	struct open_call call = { dirfd, (const char *)name, flags & ~O_LARGEFILE, result };

	if (absolute) {
		if (!record_path(&call, 512, 512))
			record_path(&call, BASE_MAX_SIZE, NAME_MAX_SIZE);
	} else if (!record_name(&call, 64) && !record_name(&call, 512)) {
		record_name(&call, NAME_MAX_SIZE);
	}
	return 0;
}

static __always_inline int on_open(const struct open_call *call)
{
	if (!call_wanted(call) || !filter_current())
		return 0;
	return record_open(call->dirfd, (__u64)call->name, call->flags, call->result);
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

/* asm/unistd.h of each architecture; arm64 has neither open nor creat. */
#ifdef __TARGET_ARCH_arm64
enum {
	NR_OPENAT = 56,
	NR_OPEN = -2,
	NR_CREAT = -3
};
#else
enum {
	NR_OPENAT = 257,
	NR_OPEN = 2,
	NR_CREAT = 85
};
#endif
enum {
	NR_OPENAT2 = 437
};

/* Every system call of the machine may pass here, so the number is looked at before all else. */
static __always_inline int on_exit(struct pt_regs *regs, __s32 number, long result)
{
	struct open_call call;

	if (number == NR_OPENAT)
		call = at_call(regs, result);
	else if (number == NR_OPENAT2)
		call = at2_call(regs, result);
	else if (number == NR_OPEN)
		call = plain_call(regs, result);
	else if (number == NR_CREAT)
		call = creat_call(regs, result);
	else
		return 0;
	return on_open(&call);
}

/* Attached to the exit tracepoints of all four. */
SEC("?tp/syscalls/sys_exit_openat")
int exit_tracepoint(struct syscall_trace_exit *ctx)
{
	return on_exit(entry_regs(), ctx->nr & ~CALL_X32_BIT, ctx->ret);
}

static __always_inline int on_any_exit(struct pt_regs *regs, __s32 number, long result)
{
	number &= ~CALL_X32_BIT;
	if (number != NR_OPENAT && number != NR_OPEN && number != NR_OPENAT2 && number != NR_CREAT)
		return 0;
	return current_is_compat(current_task()) ? 0 : on_exit(regs, number, result);
}

CALL_EXIT_PROGRAMS(any_exit, on_any_exit)
