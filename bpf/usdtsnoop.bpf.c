// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A record for each hit of a USDT probe; the frontend attaches it to every place of every probe that is asked for. */
#include "lib/fetch.bpf.h"
#include "lib/stream.bpf.h"

#include "usdtsnoop.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("?hit/probe")
int on_probe(struct pt_regs *ctx)
{
	__u32 number = fetch_cookie(ctx);
	struct usdtsnoop_record *record;
	struct task_struct *task = current_task();
	struct fetch_plan *plan;
	struct filter_ids ids;
	__u64 context;

	if (!filter_current_task(task))
		return 0;
	plan = bpf_map_lookup_elem(&fetch_plans, &number);
	if (!plan)
		return 0;
	context = plan->flags & FETCH_OF_CONTEXT ? fetch_context_address(ctx) : 0;
	if (!fetch_wanted(context, number, 0))
		return 0;
	record = stream_reserve(struct usdtsnoop_record, 0, fetch_tail);
	if (!record)
		return 0;
	ids = filter_ids_of_current(task);
	record->pid = ids.pid;
	record->tid = ids.tid;
	current_comm(task, record->comm);
	record->fetched.plan = number;
	fetch_show(context, plan, number, 0, &record->fetched, FETCH_VALUES, stream_tail(record),
		   &record->head.tail_size, false);
	stream_submit(record);
	return 0;
}
