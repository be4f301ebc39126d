/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Histograms of the first value that a probe fetches, by place and by the values behind it. */
#ifndef KIT_VALUES_BPF_H
#define KIT_VALUES_BPF_H

#include "hit.bpf.h"
#include "slots.bpf.h"
#include "swap.bpf.h"

/* Read-only knob: whether places are told apart. */
const volatile bool value_by_place;

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
	if ((hit->plan->flags & FETCH_SIGNED) && (__s64)*value < 0) {
		key->negative = 1;
		*value = -*value;
	}
	return true;
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
		if (values_of_key)                                                                                \
			histogram_add(values_of_key, value);                                                      \
		return 0;                                                                                         \
	}                                                                                                         \
                                                                                                                  \
	static __always_inline void on_hit(struct hit *hit)                                                       \
	{                                                                                                         \
		add_value(hit);                                                                                   \
	}

#endif
