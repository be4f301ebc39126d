/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What offcputime's program and its frontend share: time off CPU by thread name, process and stack. */
#ifndef OFFCPUTIME_H
#define OFFCPUTIME_H

#include "kit/stacks.h"

struct offcputime_key {
	struct kit_stacks stacks;
	__u32 pid;
	__u32 tid; /* 0 unless threads are told apart */
	char comm[KIT_COMM_SIZE];
};
KIT_SIZE_IS(struct offcputime_key, 56);

struct offcputime_time {
	__u64 count;
	__u64 total; /* ns */
};
KIT_SIZE_IS(struct offcputime_time, 16);

/* A thread that is off its CPU, by the kernel's thread id. */
struct offcputime_sleep {
	__u64 since; /* ns, CLOCK_MONOTONIC, in which suspend does not count */
	struct offcputime_key key;
};
KIT_SIZE_IS(struct offcputime_sleep, 64);

#endif
