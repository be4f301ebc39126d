// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Sums up the time that threads are off CPU, by the stack with which they went. */
#include "lib/stacks.bpf.h"

#include "offcputime.h"
#include "lib/span.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile bool per_thread;
const volatile __u64 shortest, longest = -1; /* ns */
const volatile __u32 states; /* bits of the task's state of which one must be set; 0: any */
const volatile bool only_preempted; /* states: those that were still willing to run */

SWAPPED_MAP(times, BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC, 65536, struct offcputime_key, struct offcputime_time);

LOST_COUNTER(map_full__times);

SPAN_MAP(sleeps, __u32, struct offcputime_sleep);

static __always_inline void add_time(const struct offcputime_key *key, __u64 spent)
{
	struct offcputime_time *time, first = { .count = 1, .total = spent };
	void *map = swapped_map(&times);

	if (!map)
		return;
	time = bpf_map_lookup_elem(map, key);
	if (!time) {
		if (!bpf_map_update_elem(map, key, &first, BPF_NOEXIST))
			return;
		time = bpf_map_lookup_elem(map, key);
	}
	if (time) {
		__sync_fetch_and_add(&time->count, 1);
		__sync_fetch_and_add(&time->total, spent);
	} else {
		count_lost(map_full__times);
	}
}

static __always_inline void goes(void *ctx, struct task_struct *task, bool preempt, __u64 now)
{
	struct offcputime_sleep sleep = {};
	struct filter_ids ids;
	__u32 tid = BPF_CORE_READ(task, pid), state;

	if (!tid)
		return;
	state = preempt ? 0 : task_state(task);
	if (state & TASK_STATE_DEAD)
		return;
	if ((only_preempted && state) || (states && !(state & states)))
		return;
	if (!filter_task(task))
		return;
	if (!stacks_take(ctx, &sleep.key.stacks, 0))
		return;
	ids = filter_ids_of(task);
	sleep.since = now;
	sleep.key.pid = ids.pid;
	sleep.key.tid = per_thread ? ids.tid : 0;
	bpf_core_read(sleep.key.comm, sizeof(sleep.key.comm), &task->comm);
	stacks_tell(ids.pid);
	span_begin(sleeps, &tid, &sleep);
}

static __always_inline void comes(struct task_struct *task, __u64 now)
{
	__u32 tid = BPF_CORE_READ(task, pid);
	struct offcputime_sleep *sleep = bpf_map_lookup_elem(&sleeps, &tid);
	__u64 spent;

	if (!sleep)
		return;
	spent = now - sleep->since;
	if (spent >= shortest && spent <= longest)
		add_time(&sleep->key, spent);
	bpf_map_delete_elem(&sleeps, &tid);
}

static __always_inline int on_switch(void *ctx, bool preempt, struct task_struct *before, struct task_struct *after)
{
	__u64 now = bpf_ktime_get_ns();

	goes(ctx, before, preempt, now);
	comes(after, now);
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
