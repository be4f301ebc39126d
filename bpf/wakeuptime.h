/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What wakeuptime's program and its frontend share: who woke whom. */
#ifndef WAKEUPTIME_H
#define WAKEUPTIME_H

#include "kit/waiting.h"

struct wakeuptime_key {
	struct kit_wait_side waker;
	struct kit_wait_side woken; /* without stacks */
};
KIT_SIZE_IS(struct wakeuptime_key, 112);

#endif
