// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Sums up the time that threads are off CPU, by the stack with which they went and the stack of who woke them. */
#include "lib/waiting.bpf.h"

#include "offwaketime.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SWAPPED_MAP(times, BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC, 65536, struct offwaketime_key, struct kit_wait_sum);

LOST_COUNTER(map_full__times);

SPAN_MAP(sleeps, __u32, struct offwaketime_sleep);

static __always_inline void goes(void *ctx, struct task_struct *task, bool preempt, __u64 now)
{
	struct offwaketime_sleep sleep = { .since = now };
	__u32 tid = BPF_CORE_READ(task, pid);

	if (waiting_begins(task, preempt) && waiting_take(ctx, &sleep.who.sleeper, task))
		waiting_left(sleeps, &tid, &sleep);
}

static __always_inline void comes(struct task_struct *task, __u64 now)
{
	__u32 tid = BPF_CORE_READ(task, pid);
	struct offwaketime_sleep *sleep = bpf_map_lookup_elem(&sleeps, &tid);
	struct kit_wait_sum *sum, none = {};

	if (!sleep)
		return;
	if (waiting_counts(now - sleep->since)) {
		sum = SWAPPED_ENTRY(times, &sleep->who, &none);
		if (sum)
			waiting_add(sum, now - sleep->since);
	}
	bpf_map_delete_elem(&sleeps, &tid);
}

static __always_inline int on_switch(void *ctx, bool preempt, struct task_struct *before, struct task_struct *after)
{
	__u64 now = bpf_ktime_get_ns();

	goes(ctx, before, preempt, now);
	comes(after, now);
	return 0;
}

/*
 * Runs in the waker, on its CPU, before the sleeper is made to run anywhere; the sleeper's lock is held (pi_lock), so
 * that nobody else writes here.
 */
static __always_inline int on_waking(void *ctx, struct task_struct *woken)
{
	__u32 tid = BPF_CORE_READ(woken, pid);
	struct offwaketime_sleep *sleep = bpf_map_lookup_elem(&sleeps, &tid);
	struct kit_wait_side waker = {};

	if (!sleep)
		return 0;
	if (waiting_take(ctx, &waker, current_task()))
		sleep->who.waker = waker;
	else
		bpf_map_delete_elem(&sleeps,
				    &tid); /* the wait is the one that is lost: without a waker it would be another */
	return 0;
}

SEC("?tp_btf/sched_switch")
int BPF_PROG(switch_btf, bool preempt, struct task_struct *before, struct task_struct *after)
{
	return on_switch(ctx, preempt, before, after);
}

SEC("?raw_tp/sched_switch")
int BPF_PROG(switch_raw, bool preempt, struct task_struct *before, struct task_struct *after)
{
	return on_switch(ctx, preempt, before, after);
}

SEC("?tp_btf/sched_waking")
int BPF_PROG(waking_btf, struct task_struct *woken)
{
	return on_waking(ctx, woken);
}

SEC("?raw_tp/sched_waking")
int BPF_PROG(waking_raw, struct task_struct *woken)
{
	return on_waking(ctx, woken);
}
