/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What offcputime's program and its frontend share: threads that are off their CPU. */
#ifndef OFFCPUTIME_H
#define OFFCPUTIME_H

#include "kit/waiting.h"

struct offcputime_key {
	struct kit_wait_side who;
};
KIT_SIZE_IS(struct offcputime_key, 56);

/* By the kernel's thread id. */
struct offcputime_sleep {
	__u64 since; /* ns, CLOCK_MONOTONIC, in which suspend does not count */
	struct offcputime_key key;
};
KIT_SIZE_IS(struct offcputime_sleep, 64);

#endif
