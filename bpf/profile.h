/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What profile's program and its frontend share: samples by thread name, process and stack. */
#ifndef PROFILE_H
#define PROFILE_H

#include "kit/stacks.h"

struct profile_key {
	struct kit_stacks stacks;
	__u32 pid;
	__u32 tid; /* 0 unless threads are told apart */
	char comm[KIT_COMM_SIZE];
};
KIT_SIZE_IS(struct profile_key, 56);

struct profile_count {
	__u64 samples;
};
KIT_SIZE_IS(struct profile_count, 8);

#endif
