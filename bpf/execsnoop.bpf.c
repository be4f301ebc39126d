// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A record for each program started, made when its memory is in place: the arguments are then read from where the
 * kernel put them, whole, whichever thread and whichever call asked. Failed calls are seen at their return. */
#include "lib/calls.bpf.h"
#include "lib/filter.bpf.h"
#include "lib/path.bpf.h"
#include "lib/stream.bpf.h"

#include "execsnoop.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile __u32 max_args = 4096; /* bytes, up to 128 K */
const volatile __u32 ancestors; /* how many to follow */
const volatile bool with_exit;
const volatile __u32 cwd_room; /* 0, or CWD_ROOM: room before the arguments for the working directory */

#define CWD_ROOM    4096
#define ARGS_MAX    (128 * 1024)
#define FAILED_ARGS 512 /* pointers that are followed for a call that failed */

LOST_COUNTER(args_unreadable);

/* Programs whose end is awaited (--exit), by the kernel's PID. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u8);
} running SEC(".maps");

LOST_COUNTER(map_full__running);

static __always_inline void fill_ancestors(struct execsnoop_record *record, struct task_struct *task)
{
	__u32 count = 0;

#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < EXECSNOOP_ANCESTORS && i < ancestors; i++) {
		task = BPF_CORE_READ(task, real_parent, group_leader);
		if (!task || BPF_CORE_READ(task, tgid) == 0)
			break;
		record->ancestor[i].pid = filter_pid_of(task);
		bpf_core_read(record->ancestor[i].comm, KIT_COMM_SIZE, &task->comm);
		count = i + 1;
	}
	record->ancestors = count;
}

/* Everything but the arguments. */
static __always_inline void fill(struct execsnoop_record *record, struct task_struct *task, __s32 result)
{
	record->pid = filter_current_ids().pid;
	record->ppid = filter_pid_of(BPF_CORE_READ(task, real_parent));
	record->uid = bpf_get_current_uid_gid();
	record->result = result;
	bpf_get_current_comm(record->comm, sizeof(record->comm));
	if (ancestors)
		fill_ancestors(record, task);
	record->head.tail_at = cwd_room;
}

/* `room` is the bytes of tail behind cwd_room, enough for PATH_NAME_MAX. */
static __always_inline void fill_cwd(struct execsnoop_record *record, struct task_struct *task)
{
	bool cut = false;
	__u32 at = path_prepend(stream_tail(record), CWD_ROOM, PATH_BEHIND(task, fs, pwd), &cut);

	record->cwd_size = CWD_ROOM - at;
	record->head.tail_at = at;
	record->notes |= EXECSNOOP_HAS_CWD | (cut ? EXECSNOOP_CUT_CWD : 0);
}

static __always_inline void finish(struct execsnoop_record *record, __u32 args_size)
{
	record->head.tail_size = record->cwd_size + args_size;
	stream_submit(record);
}

/* One size class of a success: `room` bytes for the arguments. */
static __always_inline void record_args(__u64 start, __u32 size, const __u32 room)
{
	struct task_struct *task = current_task();
	struct execsnoop_record *record = stream_reserve(struct execsnoop_record, EXECSNOOP_EXEC, cwd_room + room);

	if (!record)
		return;
	fill(record, task, 0);
	if (cwd_room)
		fill_cwd(record, task);
	if (size > max_args)
		record->notes |= EXECSNOOP_CUT_ARGS;
	size = size > max_args ? max_args : size;
	if (size > room)
		size = room;
	if (bpf_probe_read_user(stream_tail(record) + cwd_room, size, (void *)start)) {
		record->notes |= EXECSNOOP_UNREADABLE;
		count_lost(args_unreadable);
		size = 0;
	}
	finish(record, size);
}

/* Not static, so that the verifier follows it once, whatever the callers know. */
__noinline int record_exec(__u64 start, __u32 size)
{
	/* With a path to be walked there is one class less, which spares the verifier the walk. */
	if (size <= 512 && !cwd_room)
		record_args(start, size, 512);
	else if (size <= 4096 || max_args <= 4096)
		record_args(start, size, 4096);
	else
		record_args(start, size, ARGS_MAX);
	return 0;
}

static __always_inline int on_exec(struct task_struct *task)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	__u64 start, end;
	__u8 one = 1;

	if (!filter_current())
		return 0;
	start = BPF_CORE_READ(task, mm, arg_start);
	end = BPF_CORE_READ(task, mm, arg_end);
	if (with_exit && bpf_map_update_elem(&running, &tgid, &one, BPF_ANY))
		count_lost(map_full__running);
	return record_exec(start, end - start);
}

SEC("?tp_btf/sched_process_exec")
int BPF_PROG(exec_btf, struct task_struct *task)
{
	return on_exec(task);
}

SEC("?raw_tp/sched_process_exec")
int BPF_PROG(exec_raw, struct task_struct *task)
{
	return on_exec(task);
}

/* The caller's argument strings, one after another, each with its NUL. Returns the bytes used. */
static __always_inline __u32 read_args(struct execsnoop_record *record, char *tail, const char *const *argv,
				       const __u32 room)
{
	__u32 used = 0;

	record->notes |= EXECSNOOP_CUT_ARGS;
#pragma clang loop unroll(disable)
	for (int i = 0; i < FAILED_ARGS; i++) {
		const char *arg = NULL;
		long size;

		if (bpf_probe_read_user(&arg, sizeof(arg), &argv[i])) {
			record->notes |= EXECSNOOP_UNREADABLE;
			break;
		}
		if (!arg) {
			record->notes &= ~EXECSNOOP_CUT_ARGS;
			break;
		}
		if (used >= room)
			break;
		size = bpf_probe_read_user_str(tail + used, room, arg);
		if (size < 0) {
			record->notes |= EXECSNOOP_UNREADABLE;
			break;
		}
		used += size;
		if (used >= max_args)
			return max_args;
	}
	return used;
}

#define FAILED_ROOM 4096

static __always_inline int on_failed(const char *const *argv, long result)
{
	struct task_struct *task = current_task();
	struct execsnoop_record *record;
	__u32 used;

	if (result >= 0 || !filter_current())
		return 0;
	record = stream_reserve(struct execsnoop_record, EXECSNOOP_EXEC, cwd_room + 2 * FAILED_ROOM);
	if (!record)
		return 0;
	fill(record, task, result);
	if (cwd_room)
		fill_cwd(record, task);
	used = read_args(record, stream_tail(record) + cwd_room, argv, FAILED_ROOM);
	if (record->notes & EXECSNOOP_UNREADABLE)
		count_lost(args_unreadable);
	finish(record, used);
	return 0;
}

#ifdef __TARGET_ARCH_arm64
enum {
	NR_EXECVE = 221,
	NR_EXECVEAT = 281
};
#else
enum {
	NR_EXECVE = 59,
	NR_EXECVEAT = 322
};
#endif

static __always_inline int on_exit(struct pt_regs *regs, __s32 number, long result)
{
	return on_failed(number == NR_EXECVE ? (void *)SYSCALL_ARG1(regs) : (void *)SYSCALL_ARG2(regs), result);
}

/* Attached to the exit tracepoints of both. */
SEC("?tp/syscalls/sys_exit_execve")
int exit_tracepoint(struct syscall_trace_exit *ctx)
{
	return on_exit(entry_regs(), ctx->nr, ctx->ret);
}

static __always_inline int on_any_exit(struct pt_regs *regs, __s32 number, long result)
{
	if (result >= 0 || (number != NR_EXECVE && number != NR_EXECVEAT) || current_is_compat(current_task()))
		return 0;
	return on_exit(regs, number, result);
}

CALL_EXIT_PROGRAMS(any_exit, on_any_exit)

/* exit_group() sets the group's code once for all threads; a lone exit leaves it with the leader (wait_task_zombie()). */
static __always_inline __u32 wait_status(struct task_struct *task)
{
	if (BPF_CORE_READ(task, signal, flags) & 0x4) /* SIGNAL_GROUP_EXIT */
		return BPF_CORE_READ(task, signal, group_exit_code);
	return BPF_CORE_READ(task, group_leader, exit_code);
}

static __always_inline int on_process_exit(struct task_struct *task)
{
	__u32 tgid = BPF_CORE_READ(task, tgid);
	struct execsnoop_exit *record;

	/* Not the last thread yet; `live` was counted down before the tracepoint. */
	if (BPF_CORE_READ(task, signal, live.counter) || !bpf_map_lookup_elem(&running, &tgid))
		return 0;
	bpf_map_delete_elem(&running, &tgid);
	record = stream_reserve(struct execsnoop_exit, EXECSNOOP_EXIT, 0);
	if (!record)
		return 0;
	record->pid = filter_pid_of(task);
	record->status = wait_status(task);
	stream_submit(record);
	return 0;
}

SEC("?tp_btf/sched_process_exit")
int BPF_PROG(process_exit_btf, struct task_struct *task)
{
	return on_process_exit(task);
}

SEC("?raw_tp/sched_process_exit")
int BPF_PROG(process_exit_raw, struct task_struct *task)
{
	return on_process_exit(task);
}
