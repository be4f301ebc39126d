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

/* i386 passes arguments on the stack, above the address that the function returns to. */
static __always_inline void *string_on_stack(struct pt_regs *ctx)
{
	__u32 address = 0;

	bpf_probe_read_user(&address, sizeof(address),
			    (void *)(PT_REGS_SP_CORE(ctx) + sizeof(address) * (1 + argument)));
	return (void *)(__u64)address;
}

/* Read by a helper: the verifier takes no context whose register is chosen by a knob. */
static __always_inline void *string_of(struct pt_regs *ctx)
{
	if (USER_IS_I386(ctx))
		return string_on_stack(ctx);
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
	char last, *string;
	long size;

	if (!filter_current())
		return 0;
	string = string_of(ctx);
	size = bpf_probe_read_user_str(key.text, sizeof(key.text), string);
	if (size < 0) {
		count_lost(string_unread);
		return 0;
	}
	/* One that fills its room may end there, or go on. */
	key.cut = size == sizeof(key.text) &&
		  (bpf_probe_read_user(&last, sizeof(last), string + sizeof(key.text) - 1) || last);
	if (per_process)
		key.pid = filter_current_ids().pid;
	count = SWAPPED_ENTRY(counts, &key, &zero);
	if (count)
		__sync_fetch_and_add(count, 1);
	return 0;
}
