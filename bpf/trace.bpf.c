// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A record for each hit of any probe. */
#define HIT_STACKS
#include "lib/hit.bpf.h"
#include "lib/stream.bpf.h"

#include "trace.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Not inlined, so that what it takes of the stack is free again when values are fetched. */
static __noinline int take_stacks(struct hit *hit, struct fetch_stacks *into)
{
	return hit_take(hit, into);
}

static __always_inline void on_hit(struct hit *hit)
{
	struct trace_record *record = stream_reserve(struct trace_record, 0, fetch_tail);
	struct task_struct *task;
	struct filter_ids ids;
	char *tail;

	if (!record)
		return;
	tail = stream_tail(record);
	task = current_task();
	ids = filter_ids_of_current(task);
	record->pid = ids.pid;
	record->tid = ids.tid;
	current_comm(task, record->comm);
	record->fetched.plan = hit->place;
	if (hit_stacks) {
		record->fetched.stacks = hit_stacks;
		take_stacks(hit, (struct fetch_stacks *)tail);
		tail += sizeof(struct fetch_stacks);
	}
	fetch_show(hit->context, hit->plan, hit->plan_number, hit->latency, &record->fetched, FETCH_VALUES, tail,
		   &record->head.tail_size, false);
	if (hit_stacks)
		record->head.tail_size += sizeof(struct fetch_stacks);
	stream_submit(record);
}

HIT_PROGRAMS
