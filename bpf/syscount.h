/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What syscount's program and its frontend share: the key and values of its maps. */
#ifndef SYSCOUNT_H
#define SYSCOUNT_H

#include "kit/record.h"
#include "kit/slots.h"

/* By system call: `number` and `compat`, pid 0. Per process: `pid` alone. */
struct syscount_key {
	__s32 number;
	__u32 compat; /* 1: by the 32-bit entry of a 64-bit kernel, whose numbers are others */
	__u32 pid;
};
KIT_SIZE_IS(struct syscount_key, 12);

struct syscount_calls {
	__u64 count;
	__u64 errors;
	__u64 total; /* ns, under -L */
	char comm[KIT_COMM_SIZE];
};
KIT_SIZE_IS(struct syscount_calls, 40);

struct syscount_latency {
	__u32 slots[KIT_SLOTS];
};

#endif
