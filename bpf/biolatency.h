/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What biolatency's program and its frontend share: the key and the value of its map. */
#ifndef BIOLATENCY_H
#define BIOLATENCY_H

#include "kit/slots.h"

/* What is not asked for is 0. */
struct biolatency_key {
	__u32 disk;
	__u32 operation;
};
KIT_SIZE_IS(struct biolatency_key, 8);

struct biolatency_latencies {
	struct kit_histogram ns;
};
KIT_SIZE_IS(struct biolatency_latencies, 16 + 4 * KIT_SLOTS);

#endif
