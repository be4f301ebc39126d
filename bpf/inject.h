/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What inject's program tells its frontend. */
#ifndef INJECT_H
#define INJECT_H

#include "kit/record.h"

/* A call that was made to fail. */
struct inject_record {
	struct kit_head head;
	__u64 call; /* which of the matching calls it was, from 1 */
	__u32 pid;
	__u32 tid;
	__u32 uid;
	__u32 place; /* the function, among those that are attached to */
	__s32 error; /* positive */
	__u32 zero;
	char comm[KIT_COMM_SIZE];
};
KIT_SIZE_IS(struct inject_record, 72);

#define INJECT_STACK  127 /* frames, the most that the kernel gives (kernel.perf_event_max_stack) */
#define INJECT_RANGES 16 /* of addresses, for --stack */

/* Addresses of a function's code: a return into it lies behind its first byte, and not behind its end. */
struct inject_range {
	__u64 begin;
	__u64 end;
};
KIT_SIZE_IS(struct inject_range, 16);

#endif
