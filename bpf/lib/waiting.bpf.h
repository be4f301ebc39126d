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

/*
 * A thread leaves its CPU that was not seen to come back: not every switch from an idle task is told (6.18, where the
 * tracefs' own event misses them, too). When it came nobody knows: its wait is lost.
 */
LOST_COUNTER(return_unseen);

/* What waiting_leaves() finds out of a thread that leaves its CPU. */
enum waiting_leaves {
	WAITING_UNWANTED,
	WAITING_WANTED,
	WAITING_DIES /* its last switch */
};

/* Of the current thread, which current_task() returned. */
static __always_inline enum waiting_leaves waiting_leaves(struct task_struct *task, bool preempt)
{
	__u32 state;

	if (!current_read(task, pid))
		return WAITING_UNWANTED;
	state = preempt ? 0 : current_state(task);
	if (state & TASK_STATE_DEAD)
		return WAITING_DIES;
	if ((only_preempted && state) || (states && !(state & states)))
		return WAITING_UNWANTED;
	return filter_current_task(task) ? WAITING_WANTED : WAITING_UNWANTED;
}

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

/* The side of the current thread, which current_task() returned. STACKS_LOST, and counted, if a stack is. */
static __always_inline enum stacks_taken waiting_take(void *ctx, struct kit_wait_side *side,
						      struct task_struct *current)
{
	enum stacks_taken taken = stacks_take(ctx, &side->stacks, 0);
	struct filter_ids ids = filter_ids_of_current(current);

	side->pid = ids.pid;
	side->tid = per_thread ? ids.tid : 0;
	current_comm(current, side->comm);
	if (taken == STACKS_NEW)
		stacks_tell(ids.pid);
	return taken;
}

/*
 * Threads by the kernel's thread id, with since when they are off their CPU: 0 while they are on one. An entry is kept
 * from a thread's first wait to its end, so that a switch costs no memory to be given or taken.
 */
#define WAITING_MAP(name, value_type) SPAN_MAP(name, __u32, value_type)

/* A thread leaves its CPU in a way that is not asked for, or for ever: a wait that has not ended till now never will. */
#define WAITING_FORGET(name, tid)                              \
	({                                                     \
		typeof(*(name).value) *entry_;                 \
		entry_ = bpf_map_lookup_elem(&(name), &(tid)); \
		if (entry_ && entry_->since) {                 \
			count_lost(return_unseen);             \
			entry_->since = 0;                     \
		}                                              \
	})

/* The entry of a thread that leaves its CPU, `since` 0, made and the process told of if there is none; or NULL. */
#define WAITING_ENTRY(name, task, type)                                            \
	({                                                                         \
		static const type awake_;                                          \
		__u32 tid_ = current_read(task, pid);                              \
		type *entry_ = bpf_map_lookup_elem(&(name), &tid_);                \
		if (entry_ && entry_->since) {                                     \
			count_lost(return_unseen);                                 \
			entry_->since = 0;                                         \
		} else if (!entry_) {                                              \
			bpf_map_update_elem(&(name), &tid_, &awake_, BPF_NOEXIST); \
			entry_ = bpf_map_lookup_elem(&(name), &tid_);              \
			if (!entry_)                                               \
				count_lost(map_full__##name);                      \
			stacks_tell(filter_ids_of_current(task).pid);              \
		}                                                                  \
		entry_;                                                            \
	})

static __always_inline void waiting_add(struct kit_wait_sum *sum, __u64 spent)
{
	__sync_fetch_and_add(&sum->count, 1);
	__sync_fetch_and_add(&sum->total, spent);
}

#endif
