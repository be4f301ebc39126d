/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Places in an array for keys that come again and again. The first key that asks for the place to which its hash leads
 * has it for good; those that come to a place of another's are kept in a hash map. A look at an array is a few
 * instructions in line, a look at a hash map a call, some 50 ns where returns are guarded.
 */
#ifndef KIT_PLACES_BPF_H
#define KIT_PLACES_BPF_H

#include "base.bpf.h"

/*
 * An array of places, and the set of those that are taken; the frontend may set another power of two before load. What
 * can be mapped begins at a page, so that no place lies in more cache lines than it must.
 */
#define PLACES(name, place_type)                   \
	struct {                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);  \
		__uint(max_entries, 1);            \
		__uint(map_flags, BPF_F_MMAPABLE); \
		__type(key, __u32);                \
		__type(value, place_type);         \
	} name SEC(".maps");                       \
	NUMBER_SET(name##_taken, 1)

/* The lower half of what may be a typed pointer, which the verifier takes apart by a copy in 32 bits only. */
static __always_inline __u32 place_low_half(__u64 pointer)
{
	register __u64 low asm("r1") = pointer;

	asm volatile("w1 = w1" : "+r"(low));
	return low;
}

/* The place of a number among 2^bits: the highest bits of its product with 2^32 divided by the golden ratio. */
static __always_inline __u32 place_index(__u32 number, __u32 bits)
{
	return (number * 0x9e3779b1u) >> (32 - bits);
}

/* Whether the caller is the first to claim a place: one of several at once is. */
static __always_inline bool place_claim(void *taken, __u32 index)
{
	__u8 yes = 1;

	return !bpf_map_update_elem(taken, &index, &yes, BPF_NOEXIST);
}

#endif
