// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Counts the strings that a function of a library or program is called with. */
#include "lib/filter.bpf.h"
#include "lib/swap.bpf.h"

#include "strlencount.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile __u32 argument; /* which one is the string, from 0 */
const volatile bool per_process;

SWAPPED_MAP(counts, BPF_MAP_TYPE_HASH, 0, 16384, struct strlencount_key, __u64);

LOST_COUNTER(map_full__counts);
LOST_COUNTER(string_unread);

/* Read by a helper: the verifier takes no context whose register is chosen by a knob. */
static __always_inline void *string_of(struct pt_regs *ctx)
{
	switch (argument) {
	case 0:
		return (void *)PT_REGS_PARM1_CORE(ctx);
	case 1:
		return (void *)PT_REGS_PARM2_CORE(ctx);
	case 2:
		return (void *)PT_REGS_PARM3_CORE(ctx);
	case 3:
		return (void *)PT_REGS_PARM4_CORE(ctx);
	}
	return (void *)PT_REGS_PARM5_CORE(ctx);
}

SEC("?uprobe")
int on_call(struct pt_regs *ctx)
{
	struct strlencount_key key = {};
	__u64 *count, zero = 0;
	void *map;
	long size;

	if (!filter_current())
		return 0;
	map = swapped_map(&counts);
	if (!map)
		return 0;
	size = bpf_probe_read_user_str(key.text, sizeof(key.text), string_of(ctx));
	if (size < 0) {
		count_lost(string_unread);
		return 0;
	}
	key.cut = size == sizeof(key.text);
	if (per_process)
		key.pid = filter_current_ids().pid;
	count = bpf_map_lookup_elem(map, &key);
	if (!count) {
		bpf_map_update_elem(map, &key, &zero, BPF_NOEXIST);
		count = bpf_map_lookup_elem(map, &key);
	}
	if (count)
		__sync_fetch_and_add(count, 1);
	else
		count_lost(map_full__counts);
	return 0;
}
