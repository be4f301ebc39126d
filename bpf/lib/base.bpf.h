/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What every program of the suite includes first: the kernel's types, libbpf's helpers, counters of what was lost. */
#ifndef KIT_BASE_BPF_H
#define KIT_BASE_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "kit/record.h"

/*
 * A place that can lose data declares a counter and counts there. The frontend finds every variable of this section
 * by its BTF name and reports it without the prefix, "__" written as a dot: lost_map_full__start is "map_full.start".
 */
#define LOST_COUNTER(name) __u64 lost_##name SEC(".data.lost")
/* Not fetched, so that it is an atomic add that 5.10 knows; fetching atomics came with 5.12. */
#define count_lost(name) ((void)__sync_fetch_and_add(&lost_##name, 1))

/* A set of numbers that grows as they come; the frontend may make it larger before load. */
#define NUMBER_SET(name, entries)                     \
	struct {                                      \
		__uint(type, BPF_MAP_TYPE_HASH);      \
		__uint(max_entries, entries);         \
		__uint(map_flags, BPF_F_NO_PREALLOC); \
		__type(key, __u32);                   \
		__type(value, __u8);                  \
	} name SEC(".maps")

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* Helpers newer than 5.10 are called only where the running kernel's BTF has them; elsewhere the branch is dead code. */
#define kernel_has_helper(name) bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_##name)

#endif
