/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the programs and frontends share that show time off CPU: who waits, who ends it, and the sums. */
#ifndef KIT_WAITING_H
#define KIT_WAITING_H

#include "kit/stacks.h"

/* One of the two threads of a wait, the one that sleeps or the one that wakes it. */
struct kit_wait_side {
	struct kit_stacks stacks;
	__u32 pid;
	__u32 tid; /* 0 unless threads are told apart */
	char comm[KIT_COMM_SIZE];
};
KIT_SIZE_IS(struct kit_wait_side, 56);

struct kit_wait_sum {
	__u64 count;
	__u64 total; /* ns */
};
KIT_SIZE_IS(struct kit_wait_sum, 16);

#endif
