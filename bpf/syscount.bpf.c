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
const volatile bool only_some;   /* --syscall: those with a bit in `wanted` */

#define NUMBERS 1024 /* above the highest number of any ABI; x32 has bit 30 set as well */

/* A byte for each number, of the native and the 32-bit ABI: bit 0 native, bit 1 compat, bit 2 x32. */
const volatile __u8 wanted[NUMBERS];

SWAPPED_MAP(calls, BPF_MAP_TYPE_PERCPU_HASH, 0, 16384, struct syscount_key, struct syscount_calls);
SWAPPED_MAP(latencies, BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC, 16384, struct syscount_key, struct syscount_latency);

LOST_COUNTER(map_full__calls);
LOST_COUNTER(map_full__latencies);

/* When the running call of a thread began, by the kernel's thread id. */
SPAN_MAP(starts, __u32, __u64);

#define X32_BIT 0x40000000

static __always_inline bool number_wanted(__s32 number, bool compat)
{
	__u32 index = number & ~X32_BIT;
	__u32 bit = compat ? 1 : number & X32_BIT ? 2 : 0;

	return index < NUMBERS && (wanted[index] >> bit) & 1;
}

static const struct syscount_calls no_calls;
static const struct syscount_latency no_latency;

static __always_inline struct syscount_calls *calls_of(const struct syscount_key *key)
{
	void *map = swapped_map(&calls);
	struct syscount_calls *value;

	if (!map)
		return NULL;
	value = bpf_map_lookup_elem(map, key);
	if (value)
		return value;
	bpf_map_update_elem(map, key, &no_calls, BPF_NOEXIST);
	value = bpf_map_lookup_elem(map, key);
	if (!value)
		count_lost(map_full__calls);
	return value;
}

static __always_inline void add_latency(const struct syscount_key *key, __u64 latency)
{
	void *map = swapped_map(&latencies);
	struct syscount_latency *value;

	if (!map)
		return;
	value = bpf_map_lookup_elem(map, key);
	if (!value) {
		bpf_map_update_elem(map, key, &no_latency, BPF_NOEXIST);
		value = bpf_map_lookup_elem(map, key);
	}
	if (value)
		slots_add(value->slots, latency);
	else
		count_lost(map_full__latencies);
}

/* 0 where the call began before we did. */
static __always_inline __u64 take_latency(void)
{
	__u32 tid = bpf_get_current_pid_tgid();
	__u64 *start = bpf_map_lookup_elem(&starts, &tid);
	__u64 latency;

	if (!start)
		return 0;
	latency = bpf_ktime_get_ns() - *start;
	bpf_map_delete_elem(&starts, &tid);
	return latency;
}

static __always_inline int on_exit(struct pt_regs *regs, long result)
{
	struct task_struct *task = current_task();
	__s32 number = SYSCALL_NUMBER(regs);
	/* A return from a signal has put back the registers of what it interrupted, so it has no result of its own. */
	bool failed = number != -1 && (unsigned long)result >= (unsigned long)-4095L;
	struct syscount_key key = {};
	struct syscount_calls *value;
	__u64 latency = 0;
	bool compat;

	if (with_latency)
		latency = take_latency();
	if (only_failed && !failed)
		return 0;
	if (only_error && (!failed || result != -only_error))
		return 0;
	compat = TASK_IS_COMPAT(task);
	if (only_some && !number_wanted(number, compat))
		return 0;
	if (!filter_current())
		return 0;
	if (with_latency && !latency)
		return 0;
	if (per_process) {
		key.pid = filter_current_ids().pid;
	} else {
		key.number = number;
		key.compat = compat;
	}
	value = calls_of(&key);
	if (!value)
		return 0;
	if (per_process && !value->comm[0])
		bpf_get_current_comm(value->comm, sizeof(value->comm));
	/* Atomic although per CPU: a program can be preempted by another task that runs it too. */
	__sync_fetch_and_add(&value->count, 1);
	if (failed)
		__sync_fetch_and_add(&value->errors, 1);
	if (with_latency) {
		__sync_fetch_and_add(&value->total, latency);
		add_latency(&key, latency);
	}
	return 0;
}

/* asm/unistd.h of each architecture. */
#ifdef __TARGET_ARCH_arm64
enum { NR_EXIT = 93, NR_EXIT_GROUP = 94 };
#else
enum { NR_EXIT = 60, NR_EXIT_GROUP = 231 };
#endif

static __always_inline int on_enter(long number)
{
	__u32 tid = bpf_get_current_pid_tgid();
	__u64 now;

	/* Those two never return, and would leave their start behind. */
	if (number == NR_EXIT || number == NR_EXIT_GROUP || !filter_current())
		return 0;
	now = bpf_ktime_get_ns();
	span_begin(starts, &tid, &now);
	return 0;
}

SEC("?tp_btf/sys_exit")
int BPF_PROG(exit_btf, struct pt_regs *regs, long result)
{
	return on_exit(regs, result);
}

SEC("?raw_tp/sys_exit")
int BPF_PROG(exit_raw, struct pt_regs *regs, long result)
{
	return on_exit(regs, result);
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
