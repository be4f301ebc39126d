// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Sums up the time that threads sleep until they are woken, by who woke them and with which stack. */
#include "lib/waiting.bpf.h"

#include "wakeuptime.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SWAPPED_MAP(times, BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC, 65536, struct wakeuptime_key, struct kit_wait_sum);

LOST_COUNTER(map_full__times);

/* Since when a thread sleeps, in ns, by the kernel's thread id. */
SPAN_MAP(sleeps, __u32, __u64);

static __always_inline int on_switch(bool preempt, __u32 comes)
{
	struct task_struct *task = current_task(); /* who leaves its CPU */
	__u32 goes = current_read(task, pid);
	__u64 now = bpf_ktime_get_ns();

	/* One that was preempted is not woken. Who sleeps may wake others and end right then: it is told of now. */
	if (!preempt && current_state(task) && waiting_leaves(task, preempt) == WAITING_WANTED) {
		stacks_tell(filter_ids_of_current(task).pid);
		span_begin(sleeps, &goes, &now);
	}
	bpf_map_delete_elem(&sleeps, &comes);
	return 0;
}

/* Runs in the waker, on its CPU, before the sleeper is made to run anywhere. */
static __always_inline int on_waking(void *ctx, struct task_struct *woken)
{
	__u32 tid = BPF_CORE_READ(woken, pid);
	__u64 *since = bpf_map_lookup_elem(&sleeps, &tid), spent;
	struct kit_wait_sum *sum, none = {};
	struct wakeuptime_key key = {};

	if (!since)
		return 0;
	spent = bpf_ktime_get_ns() - *since;
	bpf_map_delete_elem(&sleeps, &tid);
	if (!waiting_counts(spent) || !waiting_take(ctx, &key.waker, current_task()))
		return 0;
	waiting_is(&key.woken, woken);
	sum = SWAPPED_ENTRY(times, &key, &none);
	if (sum)
		waiting_add(sum, spent);
	return 0;
}

SEC("?tp_btf/sched_switch")
int BPF_PROG(switch_btf, bool preempt, struct task_struct *before, struct task_struct *after)
{
	return on_switch(preempt, after->pid);
}

SEC("?raw_tp/sched_switch")
int BPF_PROG(switch_raw, bool preempt, struct task_struct *before, struct task_struct *after)
{
	return on_switch(preempt, BPF_CORE_READ(after, pid));
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
