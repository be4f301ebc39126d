// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Counts system calls where they return, so that one program sees the number and the result. The entry is attached
 * only for latencies. */
#include "lib/filter.bpf.h"
#include "lib/slots.bpf.h"
#include "lib/span.bpf.h"
#include "lib/swap.bpf.h"

#include "syscount.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile bool per_process, only_failed, with_latency;
const volatile __s32 only_error; /* positive errno; 0: any */
const volatile bool only_some; /* --syscall: those marked in `wanted`, by index */
const volatile bool wanted[SYSCOUNT_CALLS];

/* Per system call: arrays that only grow. The reader subtracts what it saw last, so nothing is lost between reports. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SYSCOUNT_CALLS);
	__type(key, __u32);
	__type(value, struct syscount_calls);
} calls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SYSCOUNT_CALLS);
	__type(key, __u32);
	__type(value, struct syscount_latency);
} latencies SEC(".maps");

/* Per process (-P). */
SWAPPED_MAP(processes, BPF_MAP_TYPE_PERCPU_HASH, 0, 16384, __u32, struct syscount_process);
SWAPPED_MAP(process_latencies, BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC, 16384, __u32, struct syscount_latency);

LOST_COUNTER(map_full__processes);
LOST_COUNTER(map_full__process_latencies);

/* When the running call of a thread began, by the kernel's thread id; 0 when none runs. */
SPAN_MAP(starts, __u32, __u64);

static const struct syscount_process no_process;
static const struct syscount_latency no_latency;

static __always_inline struct syscount_process *process_of(__u32 pid, struct task_struct *task)
{
	void *map = swapped_map(&processes);
	struct syscount_process *process;

	if (!map)
		return NULL;
	process = bpf_map_lookup_elem(map, &pid);
	if (!process) {
		bpf_map_update_elem(map, &pid, &no_process, BPF_NOEXIST);
		process = bpf_map_lookup_elem(map, &pid);
	}
	if (!process)
		count_lost(map_full__processes);
	else if (current_process_comm_keep(task, process->comm))
		process->named = bpf_ktime_get_ns();
	return process;
}

static __always_inline struct syscount_latency *process_latency_of(__u32 pid)
{
	void *map = swapped_map(&process_latencies);
	struct syscount_latency *latency;

	if (!map)
		return NULL;
	latency = bpf_map_lookup_elem(map, &pid);
	if (!latency) {
		bpf_map_update_elem(map, &pid, &no_latency, BPF_NOEXIST);
		latency = bpf_map_lookup_elem(map, &pid);
	}
	if (!latency)
		count_lost(map_full__process_latencies);
	return latency;
}

/* 0 where the call began before we did. The entry stays: its thread's next call needs one again. */
static __always_inline __u64 take_latency(__u32 tid)
{
	__u64 *start = bpf_map_lookup_elem(&starts, &tid);
	__u64 latency;

	if (!start || !*start)
		return 0;
	latency = bpf_ktime_get_ns() - *start;
	*start = 0;
	return latency;
}

/* Atomic although per CPU: a program can be preempted by another task that runs it too. */
static __always_inline void add_call(struct syscount_calls *to, bool failed, __u64 latency)
{
	__sync_fetch_and_add(&to->count, 1);
	if (failed)
		__sync_fetch_and_add(&to->errors, 1);
	if (with_latency)
		__sync_fetch_and_add(&to->total, latency);
}

static __always_inline void count_call(__u32 index, bool failed, __u64 latency)
{
	struct syscount_calls *to = bpf_map_lookup_elem(&calls, &index);
	struct syscount_latency *slots;

	if (to)
		add_call(to, failed, latency);
	if (!with_latency)
		return;
	slots = bpf_map_lookup_elem(&latencies, &index);
	if (slots)
		slots_add(slots->slots, latency);
}

static __always_inline void count_process(struct task_struct *task, bool failed, __u64 latency)
{
	__u32 pid = filter_ids_of_current(task).pid;
	struct syscount_process *process = process_of(pid, task);
	struct syscount_latency *slots;

	if (process)
		add_call(&process->calls, failed, latency);
	if (!with_latency)
		return;
	slots = process_latency_of(pid);
	if (slots)
		slots_add(slots->slots, latency);
}

static __always_inline int on_exit(__s32 number, long result)
{
	/* A return from a signal has put back the registers of what it interrupted, so it has no result of its own. */
	bool failed = number != -1 && (unsigned long)result >= (unsigned long)-4095L;
	struct task_struct *task;
	__u64 latency = 0;
	__u32 index;

	if (!with_latency && only_failed && !failed)
		return 0;
	task = current_task();
	if (with_latency)
		latency = take_latency(current_read(task, pid));
	if (only_failed && !failed)
		return 0;
	if (only_error && (!failed || result != -only_error))
		return 0;
	index = syscount_index(number, current_is_compat(task));
	if (only_some && (index >= SYSCOUNT_CALLS || !wanted[index]))
		return 0;
	if (!filter_current_task(task))
		return 0;
	if (with_latency && !latency)
		return 0;
	if (per_process)
		count_process(task, failed, latency);
	else
		count_call(index, failed, latency);
	return 0;
}

/* asm/unistd.h of each architecture. */
#ifdef __TARGET_ARCH_arm64
enum {
	NR_EXIT = 93,
	NR_EXIT_GROUP = 94
};
#else
enum {
	NR_EXIT = 60,
	NR_EXIT_GROUP = 231
};
#endif

static __always_inline int on_enter(long number)
{
	struct task_struct *task = current_task();
	__u32 tid = current_read(task, pid);
	__u64 *start, now;

	/* Those two never return; the thread takes its entry with it. */
	if (number == NR_EXIT || number == NR_EXIT_GROUP) {
		bpf_map_delete_elem(&starts, &tid);
		return 0;
	}
	if (!filter_current_task(task))
		return 0;
	now = bpf_ktime_get_ns();
	start = bpf_map_lookup_elem(&starts, &tid);
	if (start)
		*start = now;
	else
		span_begin(starts, &tid, &now);
	return 0;
}

SEC("?tp_btf/sys_exit")
int BPF_PROG(exit_btf, struct pt_regs *regs, long result)
{
	return on_exit(SYSCALL_NUMBER_TYPED(regs), result);
}

SEC("?raw_tp/sys_exit")
int BPF_PROG(exit_raw, struct pt_regs *regs, long result)
{
	return on_exit(SYSCALL_NUMBER(regs), result);
}

SEC("?tp_btf/sys_enter")
int BPF_PROG(enter_btf, struct pt_regs *regs, long number)
{
	return on_enter(number);
}

SEC("?raw_tp/sys_enter")
int BPF_PROG(enter_raw, struct pt_regs *regs, long number)
{
	return on_enter(number);
}
