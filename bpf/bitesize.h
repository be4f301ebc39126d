/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What bitesize's program and its frontend share: the key and the value of its map. */
#ifndef BITESIZE_H
#define BITESIZE_H

#include "kit/slots.h"

struct bitesize_key {
	__u32 pid;
	__u32 disk; /* 0 if not asked for */
	__u32 operation; /* the same */
};
KIT_SIZE_IS(struct bitesize_key, 12);

struct bitesize_sizes {
	struct kit_histogram bytes;
	char comm[KIT_COMM_SIZE]; /* the process's when it was first seen; empty if it is not known */
};
KIT_SIZE_IS(struct bitesize_sizes, 32 + 4 * KIT_SLOTS);

#endif
