/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What stackcount's program and its frontend share: hits by place, process and stack. */
#ifndef STACKCOUNT_H
#define STACKCOUNT_H

#include "kit/stacks.h"

struct stackcount_key {
	struct kit_stacks stacks;
	__u32 pid;
	__u32 place;
	char comm[KIT_COMM_SIZE];
};
KIT_SIZE_IS(struct stackcount_key, 56);

#endif
