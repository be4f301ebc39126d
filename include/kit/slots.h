/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The buckets of every histogram: log-linear, eight to each power of two, so a bucket is at most 12.5 % wide. */
#ifndef KIT_SLOTS_H
#define KIT_SLOTS_H

#include "kit/record.h"

#define KIT_SLOT_BITS	    3
#define KIT_SLOTS_PER_POWER (1 << KIT_SLOT_BITS)
/* Every 64-bit value has a slot: 0..7 one each, then eight for each power from 2^3 to 2^63. */
#define KIT_SLOTS ((64 - KIT_SLOT_BITS + 1) * KIT_SLOTS_PER_POWER)

/*
 * The position of the highest bit set; 0 for 0. BPF has no instruction for it: all bits below are set and counted,
 * without a branch, since the verifier would follow each way through such, and each value takes another.
 */
KIT_INLINE unsigned int kit_log2(unsigned long long value)
{
	value |= value >> 1;
	value |= value >> 2;
	value |= value >> 4;
	value |= value >> 8;
	value |= value >> 16;
	value |= value >> 32;
	return (unsigned int)__builtin_popcountll(value >> 1);
}

/* The slot of a value: always below KIT_SLOTS. */
KIT_INLINE unsigned int kit_slot(unsigned long long value)
{
	unsigned int power = 0;

	if (value < KIT_SLOTS_PER_POWER)
		return (unsigned int)value;
	power = kit_log2(value);
	return (power - KIT_SLOT_BITS + 1) * KIT_SLOTS_PER_POWER +
	       (unsigned int)((value >> (power - KIT_SLOT_BITS)) & (KIT_SLOTS_PER_POWER - 1));
}

/* A histogram as programs keep it in a map. */
struct kit_histogram {
	__u64 sum;
	__u64 max;
	__u32 slots[KIT_SLOTS];
};
KIT_SIZE_IS(struct kit_histogram, 16 + 4 * KIT_SLOTS);

#endif
