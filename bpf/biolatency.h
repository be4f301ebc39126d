/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What biolatency's program and its frontend share: the key and the value of its map. */
#ifndef BIOLATENCY_H
#define BIOLATENCY_H

#include "kit/slots.h"

/* Of which I/O, as one number that is never 0: 8 bits for the operation, above it 32 for the disk, and one that is set. */
struct biolatency_key {
	__u32 disk; /* 0 if not asked for */
	__u32 operation; /* the same */
};
KIT_SIZE_IS(struct biolatency_key, 8);

KIT_INLINE __u64 biolatency_number(const struct biolatency_key *key)
{
	return 1ULL << 63 | (__u64)key->disk << 8 | (key->operation & 0xff);
}

KIT_INLINE struct biolatency_key biolatency_key_of(__u64 number)
{
	struct biolatency_key key;

	key.disk = (__u32)(number >> 8);
	key.operation = number & 0xff;
	return key;
}

struct biolatency_latencies {
	struct kit_histogram ns;
};
KIT_SIZE_IS(struct biolatency_latencies, 16 + 4 * KIT_SLOTS);

#endif
