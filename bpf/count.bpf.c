// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Counts hits of any probe, by place and by the values that are asked for. */
#define HIT_STACKS_IN_KEYS
#include "lib/hit.bpf.h"
#include "lib/swap.bpf.h"

#include "count.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SWAPPED_MAP(counts, BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC, 65536, struct count_key, __u64);

LOST_COUNTER(map_full__counts);

/* Not inlined, so that the key is not on the stack while a filter compares strings. */
static __noinline int count_hit(struct hit *hit)
{
	struct count_key key = {};
	__u64 *count, zero = 0;

	hit_key(hit, &key.of);
	count = SWAPPED_ENTRY(counts, &key, &zero);
	if (count)
		__sync_fetch_and_add(count, 1);
	return 0;
}

static __always_inline void on_hit(struct hit *hit)
{
	hit_before_key(hit);
	count_hit(hit);
}

HIT_PROGRAMS
