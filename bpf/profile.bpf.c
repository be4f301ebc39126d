// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Counts samples of what runs, by stack. */
#include "lib/stacks.bpf.h"

#include "profile.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile bool with_idle, per_thread;

SWAPPED_MAP(counts, BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC, 65536, struct profile_key, struct profile_count);

LOST_COUNTER(map_full__counts);

SEC("?perf_event")
int sample(struct bpf_perf_event_data *ctx)
{
	struct task_struct *task = current_task();
	struct profile_count *count, none = {};
	struct profile_key key = {};
	enum stacks_taken taken;
	struct filter_ids ids;

	/* The idle task is PID 0 in every PID namespace. */
	if (!with_idle && !current_read(task, pid))
		return 0;
	if (!filter_current_task(task))
		return 0;
	taken = stacks_take(ctx, &key.stacks, EVENT_IS_USER(ctx) ? STACKS_IN_USER : 0);
	if (!taken)
		return 0;
	ids = filter_ids_of_current(task);
	key.pid = ids.pid;
	key.tid = per_thread ? ids.tid : 0;
	current_comm(task, key.comm);
	count = SWAPPED_ENTRY(counts, &key, &none);
	if (!count)
		return 0;
	if (taken == STACKS_NEW || !count->samples)
		stacks_tell(ids.pid);
	__sync_fetch_and_add(&count->samples, 1);
	return 0;
}
