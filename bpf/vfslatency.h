/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What vfslatency's program and its frontend share: the operations, and the key and the value of its map. */
#ifndef VFSLATENCY_H
#define VFSLATENCY_H

#include "kit/slots.h"

enum vfslatency_op {
	VFSLATENCY_NONE,
	VFSLATENCY_READ,
	VFSLATENCY_WRITE,
	VFSLATENCY_OPEN,
	VFSLATENCY_FSYNC,
	VFSLATENCY_OPS
};

/* System calls of either ABI that are looked up by number. */
#define VFSLATENCY_CALLS 512

struct vfslatency_key {
	__u32 op;
	__u32 pid; /* 0 if not asked for */
};
KIT_SIZE_IS(struct vfslatency_key, 8);

struct vfslatency_latencies {
	struct kit_histogram ns;
	char comm[KIT_COMM_SIZE]; /* the process's */
};
KIT_SIZE_IS(struct vfslatency_latencies, 32 + 4 * KIT_SLOTS);

#endif
