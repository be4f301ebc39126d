/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What taskswitch's program and its frontend share: the keys and values of its maps. */
#ifndef TASKSWITCH_H
#define TASKSWITCH_H

#include "kit/record.h"

/* By the kernel's thread ids, in every PID namespace the same; 0 is the idle task of any CPU. */
struct taskswitch_pair {
	__u32 prev;
	__u32 next;
};
KIT_SIZE_IS(struct taskswitch_pair, 8);

/* Who has a thread id. */
struct taskswitch_task {
	__u32 pid; /* as the tool's user sees it */
	__u32 tid;
	char comm[KIT_COMM_SIZE];
};
KIT_SIZE_IS(struct taskswitch_task, 24);

#endif
