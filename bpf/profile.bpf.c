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
	struct profile_count *count, one = { .samples = 1 };
	struct profile_key key = {};
	struct filter_ids ids;
	void *map;

	/* The idle task is PID 0 in every PID namespace. */
	if (!with_idle && !(__u32)bpf_get_current_pid_tgid())
		return 0;
	if (!filter_current())
		return 0;
	if (!stacks_take(ctx, &key.stacks, 0))
		return 0;
	ids = filter_current_ids();
	key.pid = ids.pid;
	key.tid = per_thread ? ids.tid : 0;
	bpf_get_current_comm(key.comm, sizeof(key.comm));
	stacks_tell(ids.pid);
	map = swapped_map(&counts);
	if (!map)
		return 0;
	count = bpf_map_lookup_elem(map, &key);
	if (!count) {
		if (!bpf_map_update_elem(map, &key, &one, BPF_NOEXIST))
			return 0;
		count = bpf_map_lookup_elem(map, &key);
	}
	if (count)
		__sync_fetch_and_add(&count->samples, 1);
	else
		count_lost(map_full__counts);
	return 0;
}
