// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Counts hits of any probe, by stack. */
#include "lib/hit.bpf.h"
#include "lib/stacks.bpf.h"

#include "stackcount.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SWAPPED_MAP(counts, BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC, 65536, struct stackcount_key, __u64);

LOST_COUNTER(map_full__counts);

static __always_inline void on_hit(struct hit *hit)
{
	struct stackcount_key key = {};
	__u64 *count, zero = 0;
	enum stacks_taken taken;
	struct filter_ids ids;

	taken = stacks_take_anywhere(hit->program_context, &key.stacks, HIT_STACK_FLAGS(hit));
	if (!taken)
		return;
	ids = filter_current_ids();
	key.pid = ids.pid;
	key.place = hit->place;
	bpf_get_current_comm(key.comm, sizeof(key.comm));
	count = SWAPPED_ENTRY(counts, &key, &zero);
	if (!count)
		return;
	if (taken == STACKS_NEW || !*count)
		stacks_tell(ids.pid);
	__sync_fetch_and_add(count, 1);
}

HIT_PROGRAMS
