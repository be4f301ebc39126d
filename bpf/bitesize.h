/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What bitesize's program and its frontend share: the key and the value of its map. */
#ifndef BITESIZE_H
#define BITESIZE_H

#include "kit/slots.h"

/*
 * Whose I/O, as one number that is never 0: from the lowest bit on 22 for the PID (there are no more, PID_MAX_LIMIT), 8
 * for the operation, 32 for the disk, one that the PID is known, and one that is set.
 */
struct bitesize_key {
	__u32 pid; /* KIT_NO_PID: not known */
	__u32 disk; /* 0 if not asked for */
	__u32 operation; /* the same */
};
KIT_SIZE_IS(struct bitesize_key, 12);

KIT_INLINE __u64 bitesize_number(const struct bitesize_key *key)
{
	__u64 number = 1ULL << 63 | (__u64)key->disk << 30 | (__u64)(key->operation & 0xff) << 22;

	return key->pid == KIT_NO_PID ? number : number | 1ULL << 62 | (key->pid & 0x3fffff);
}

KIT_INLINE struct bitesize_key bitesize_key_of(__u64 number)
{
	struct bitesize_key key;

	key.pid = number >> 62 & 1 ? (__u32)(number & 0x3fffff) : KIT_NO_PID;
	key.disk = (__u32)(number >> 30);
	key.operation = number >> 22 & 0xff;
	return key;
}

struct bitesize_sizes {
	char comm[KIT_COMM_SIZE]; /* the process's at its last I/O; empty if it is not known */
	struct kit_histogram bytes;
};
KIT_SIZE_IS(struct bitesize_sizes, 32 + 4 * KIT_SLOTS);

#endif
