// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Sums up the time that threads are off CPU, by the stack with which they went and the stack of who woke them. */
#include "lib/waiting.bpf.h"

#include "offwaketime.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SWAPPED_MAP(times, BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC, 65536, struct offwaketime_key, struct kit_wait_sum);

LOST_COUNTER(map_full__times);

WAITING_MAP(sleeps, struct offwaketime_sleep);

/* Who leaves its CPU is the current thread still. */
static __always_inline void goes(void *ctx, bool preempt, __u64 now)
{
	struct task_struct *task = current_task();
	__u32 tid = current_read(task, pid);
	struct offwaketime_sleep *sleep;

	switch (waiting_leaves(task, preempt)) {
	case WAITING_DIES:
		WAITING_FORGET(sleeps, tid);
		bpf_map_delete_elem(&sleeps, &tid);
		return;
	case WAITING_UNWANTED:
		/* Only its state may have been wanted before: else it has no entry. */
		if (states || only_preempted)
			WAITING_FORGET(sleeps, tid);
		return;
	case WAITING_WANTED:
		break;
	}
	sleep = WAITING_ENTRY(sleeps, task, struct offwaketime_sleep);
	if (!sleep)
		return;
	sleep->who.waker = (struct kit_wait_side){};
	if (waiting_take(ctx, &sleep->who.sleeper, task))
		sleep->since = now;
}

static __always_inline void comes(__u32 tid, __u64 now)
{
	struct offwaketime_sleep *sleep = bpf_map_lookup_elem(&sleeps, &tid);
	struct kit_wait_sum *sum, none = {};
	__u64 spent;

	if (!sleep || !sleep->since)
		return;
	spent = now - sleep->since;
	sleep->since = 0;
	if (!waiting_counts(spent))
		return;
	sum = SWAPPED_ENTRY(times, &sleep->who, &none);
	if (sum)
		waiting_add(sum, spent);
}

static __always_inline int on_switch(void *ctx, bool preempt, __u32 comes_tid)
{
	__u64 now = bpf_ktime_get_ns();

	goes(ctx, preempt, now);
	comes(comes_tid, now);
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

	if (!sleep || !sleep->since)
		return 0;
	if (waiting_take(ctx, &waker, current_task()))
		sleep->who.waker = waker;
	else
		sleep->since = 0; /* the wait is the one that is lost: without a waker it would be another */
	return 0;
}

SEC("?tp_btf/sched_switch")
int BPF_PROG(switch_btf, bool preempt, struct task_struct *before, struct task_struct *after)
{
	return on_switch(ctx, preempt, after->pid);
}

SEC("?raw_tp/sched_switch")
int BPF_PROG(switch_raw, bool preempt, struct task_struct *before, struct task_struct *after)
{
	return on_switch(ctx, preempt, BPF_CORE_READ(after, pid));
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
