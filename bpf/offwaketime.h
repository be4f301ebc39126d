/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What offwaketime's program and its frontend share: who waited, and who ended it. */
#ifndef OFFWAKETIME_H
#define OFFWAKETIME_H

#include "kit/waiting.h"

struct offwaketime_key {
	struct kit_wait_side sleeper;
	struct kit_wait_side waker; /* zeroed where nobody has woken it: it was preempted, or still waits */
};
KIT_SIZE_IS(struct offwaketime_key, 112);

/* A thread that is off its CPU, by the kernel's thread id. */
struct offwaketime_sleep {
	__u64 since; /* ns, CLOCK_MONOTONIC */
	struct offwaketime_key who;
};
KIT_SIZE_IS(struct offwaketime_sleep, 120);

#endif
