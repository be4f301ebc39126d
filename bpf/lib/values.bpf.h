/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Histograms of the first value that a probe fetches, by place and by the values behind it. */
#ifndef KIT_VALUES_BPF_H
#define KIT_VALUES_BPF_H

#include "hit.bpf.h"
#include "slots.bpf.h"
#include "swap.bpf.h"

/* Read-only knob: whether places are told apart. */
const volatile bool value_by_place;

/* Read-only knobs: so many equal buckets of `value_step` from `value_min` on, instead of those of kit/slots.h. */
const volatile __u32 value_buckets;
const volatile __u64 value_step = 1;
const volatile __s64 value_min;

static const struct kit_histogram no_values;

/* Makes the key of a hit; false if the value could not be read. A negative one is counted by what it is without sign. */
static __always_inline bool value_key(struct hit *hit, struct fetch_key *key, __u64 *value)
{
	hit_key(hit, key);
	if (key->unread & 1) {
		/* A call that was entered before anybody looked: nobody knows how long it took. */
		if (!(hit->plan->flags & FETCH_RETURN) || hit->latency)
			count_lost(value_unread);
		return false;
	}
	*value = key->values[0];
	key->values[0] = 0;
	if (!value_by_place)
		key->place = 0;
	if (!value_buckets && (hit->plan->flags & FETCH_SIGNED) && (__s64)*value < 0) {
		key->negative = 1;
		*value = -*value;
	}
	return true;
}

/* Below the first bucket is slot 0, behind the last one more. The largest is kept so that it has the order of numbers. */
static __always_inline void value_add_equal(struct kit_histogram *histogram, __s64 value, bool is_signed)
{
	__u64 sign = 1ULL << 63, bucket = 0, order;

	if (!is_signed && value < 0)
		value = ~sign;
	order = (__u64)value ^ sign;
	if (value >= value_min) {
		bucket = ((__u64)value - (__u64)value_min) / value_step;
		if (bucket > value_buckets)
			bucket = value_buckets;
		bucket++;
	}
	asm volatile("%0 &= 511" : "+r"(bucket));
	if (bucket < KIT_SLOTS)
		__sync_fetch_and_add(&histogram->slots[bucket], 1);
	__sync_fetch_and_add(&histogram->sum, (__u64)value);
	if (order > histogram->max)
		histogram->max = order;
}

#define VALUE_HISTOGRAMS(tool)                                                                                    \
	SWAPPED_MAP(values, BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC, 8192, struct tool##_key, struct kit_histogram); \
	LOST_COUNTER(map_full__values);                                                                           \
                                                                                                                  \
	/* Not inlined, so that the key is not on the stack while a filter compares strings. */                   \
	static __noinline int add_value(struct hit *hit)                                                          \
	{                                                                                                         \
		struct tool##_key key = {};                                                                       \
		struct kit_histogram *values_of_key;                                                              \
		__u64 value = 0;                                                                                  \
                                                                                                                  \
		if (!value_key(hit, &key.of, &value))                                                             \
			return 0;                                                                                 \
		values_of_key = SWAPPED_ENTRY(values, &key, (struct kit_histogram *)&no_values);                  \
		if (!values_of_key)                                                                               \
			return 0;                                                                                 \
		if (value_buckets)                                                                                \
			value_add_equal(values_of_key, value, hit->plan->flags &FETCH_SIGNED);                    \
		else                                                                                              \
			histogram_add(values_of_key, value);                                                      \
		return 0;                                                                                         \
	}                                                                                                         \
                                                                                                                  \
	static __always_inline void on_hit(struct hit *hit)                                                       \
	{                                                                                                         \
		hit_before_key(hit);                                                                              \
		add_value(hit);                                                                                   \
	}

#endif
