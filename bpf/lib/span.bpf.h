/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Remember at entry, take at exit: the start map that every latency tool needs. */
#ifndef KIT_SPAN_BPF_H
#define KIT_SPAN_BPF_H

#include "base.bpf.h"

/* Spans open at one time; the frontend sets another size before load where more are to be expected. */
#define SPAN_MAP(name, key_type, value_type)          \
	struct {                                      \
		__uint(type, BPF_MAP_TYPE_HASH);      \
		__uint(max_entries, 65536);           \
		__uint(map_flags, BPF_F_NO_PREALLOC); \
		__type(key, key_type);                \
		__type(value, value_type);            \
	} name SEC(".maps");                          \
	LOST_COUNTER(map_full__##name)

/* Remembers a value; a map without room is counted, and the span is not seen. */
#define span_begin(name, key, value)                                       \
	do {                                                               \
		if (bpf_map_update_elem(&(name), (key), (value), BPF_ANY)) \
			count_lost(map_full__##name);                      \
	} while (0)

#endif
