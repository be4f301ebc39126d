/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Adding a value to a histogram; the buckets are those of kit/slots.h. */
#ifndef KIT_SLOTS_BPF_H
#define KIT_SLOTS_BPF_H

#include "base.bpf.h"
#include "kit/slots.h"

static __always_inline void slots_add(__u32 *slots, __u64 value)
{
	__u32 slot = kit_slot(value);

	/* In words that clang cannot tell from elsewhere, so that it is this that the verifier sees compared. */
	asm volatile("%0 &= 511" : "+r"(slot));
	if (slot < KIT_SLOTS)
		__sync_fetch_and_add(&slots[slot], 1);
}

/* Two at once on different CPUs may leave the smaller as the largest; the reader sees in the slots that it is not. */
static __always_inline void histogram_add(struct kit_histogram *histogram, __u64 value)
{
	slots_add(histogram->slots, value);
	__sync_fetch_and_add(&histogram->sum, value);
	if (value > histogram->max)
		histogram->max = value;
}

#endif
