/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Time off CPU: which threads' and which lengths count, who a thread is, and the sums. kit::Waiting is the other side.
 * All of it runs in the scheduler with interrupts off, so that no two of these programs meet on a CPU.
 */
#ifndef KIT_WAITING_BPF_H
#define KIT_WAITING_BPF_H

#include "stacks.bpf.h"
#include "span.bpf.h"
#include "kit/waiting.h"

const volatile bool per_thread;
const volatile __u64 shortest, longest = -1; /* ns */
const volatile __u32 states; /* bits of the task's state of which one must be set; 0: any */
const volatile bool only_preempted; /* states: those that were still willing to run */

/* Whether a thread that leaves its CPU is one that is asked for. */
static __always_inline bool waiting_begins(struct task_struct *task, bool preempt)
{
	__u32 state;

	if (!BPF_CORE_READ(task, pid))
		return false;
	state = preempt ? 0 : task_state(task);
	if (state & TASK_STATE_DEAD)
		return false;
	if ((only_preempted && state) || (states && !(state & states)))
		return false;
	return filter_task(task);
}

/*
 * A thread leaves its CPU that was not seen to come back: not every switch from an idle task is told (6.18, where the
 * tracefs' own event misses them, too). When it came nobody knows: its wait is lost.
 */
LOST_COUNTER(return_unseen);

/* Remembers that a thread left its CPU, as span_begin() does. */
#define waiting_left(name, tid, value)                                              \
	do {                                                                        \
		int error_ = bpf_map_update_elem(&(name), tid, value, BPF_NOEXIST); \
                                                                                    \
		if (error_ == -17) { /* EEXIST */                                   \
			count_lost(return_unseen);                                  \
			error_ = bpf_map_update_elem(&(name), tid, value, BPF_ANY); \
		}                                                                   \
		if (error_)                                                         \
			count_lost(map_full__##name);                               \
	} while (0)

static __always_inline bool waiting_counts(__u64 spent)
{
	return spent >= shortest && spent <= longest;
}

/* All of a side but its stacks. */
static __always_inline void waiting_is(struct kit_wait_side *side, struct task_struct *task)
{
	struct filter_ids ids = filter_ids_of(task);

	side->pid = ids.pid;
	side->tid = per_thread ? ids.tid : 0;
	bpf_core_read(side->comm, sizeof(side->comm), &task->comm);
}

/* The current task's side. False, and counted, if a stack is lost. */
static __always_inline bool waiting_take(void *ctx, struct kit_wait_side *side, struct task_struct *current)
{
	if (!stacks_take(ctx, &side->stacks, 0))
		return false;
	waiting_is(side, current);
	stacks_tell(side->pid);
	return true;
}

static __always_inline void waiting_add(struct kit_wait_sum *sum, __u64 spent)
{
	__sync_fetch_and_add(&sum->count, 1);
	__sync_fetch_and_add(&sum->total, spent);
}

#endif
