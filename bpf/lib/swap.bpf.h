/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Maps that are read and cleared each interval without losing what is counted meanwhile: a slot holds the map that is
 * in use, and the reader puts an empty one there before it reads the full one. The kernel lets that call return only
 * when no program uses the old map any more (synchronize_rcu() in maybe_wait_bpf_programs(), 5.0). The loader puts
 * NAME_first there. */
#ifndef KIT_SWAP_BPF_H
#define KIT_SWAP_BPF_H

#include "places.bpf.h"

/*
 * The slot's own pattern of a map is made small: its size need not be that of the maps (5.10, 134fede4eecf). The types of
 * keys and values must be told of it as of the maps (5.15 to 6.1, 68134668c17f); `const`, since clang tells of what a
 * pointer leads to only where the very type of the pointer is first met, and that is to be in the maps.
 */
#define SWAPPED_PATTERN_OF(name, map_type, flags, entries, key_type, value_type) \
	struct name {                                                            \
		__uint(type, map_type);                                          \
		__uint(max_entries, entries);                                    \
		__uint(map_flags, flags);                                        \
		__type(key, const key_type);                                     \
		__type(value, const value_type);                                 \
	}
#define SWAPPED_MAP_OF(name, map_type, flags, entries, key_type, value_type) \
	struct name {                                                        \
		__uint(type, map_type);                                      \
		__uint(max_entries, entries);                                \
		__uint(map_flags, flags);                                    \
		__type(key, key_type);                                       \
		__type(value, value_type);                                   \
	}
#define SWAPPED_MAP(name, map_type, flags, entries, key_type, value_type)             \
	SWAPPED_PATTERN_OF(name##_pattern, map_type, flags, 1, key_type, value_type); \
	SWAPPED_MAP_OF(name##_map, map_type, flags, entries, key_type, value_type)    \
	name##_first SEC(".maps"), name##_second SEC(".maps");                        \
	struct {                                                                      \
		__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);                             \
		__uint(max_entries, 1);                                               \
		__type(key, __u32);                                                   \
		__array(values, struct name##_pattern);                               \
	} name SEC(".maps")

/*
 * The same, keyed by a number that is never 0, with 2^bits places before the map (places.bpf.h). The reader leaves each
 * place to its owner when it clears what is counted there, so that both arrays have the same ones.
 */
#define SWAPPED_PLACES(name, bits, entries, value_type)                                                                \
	SWAPPED_MAP(name, BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC, entries, __u64, value_type);                           \
	enum {                                                                                                         \
		name##_place_bits = bits                                                                               \
	};                                                                                                             \
	struct name##_place {                                                                                          \
		__u64 owner; /* 0: free */                                                                             \
		value_type value;                                                                                      \
	};                                                                                                             \
	SWAPPED_PATTERN_OF(name##_places_pattern, BPF_MAP_TYPE_ARRAY, BPF_F_MMAPABLE, 1 << (bits), __u32,              \
			   struct name##_place);                                                                       \
	SWAPPED_MAP_OF(name##_places_map, BPF_MAP_TYPE_ARRAY, BPF_F_MMAPABLE, 1 << (bits), __u32, struct name##_place) \
	name##_places_first SEC(".maps"), name##_places_second SEC(".maps");                                           \
	struct {                                                                                                       \
		__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);                                                              \
		__uint(max_entries, 1);                                                                                \
		__type(key, __u32);                                                                                    \
		__array(values, struct name##_places_pattern);                                                         \
	} name##_places SEC(".maps");                                                                                  \
	NUMBER_SET(name##_places_taken, 1 << (bits))

static __always_inline void *swapped_map(void *slot)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(slot, &zero);
}

/* The entry of a key in the map in use, made from `first` if there is none; NULL, and counted, if there is no room. */
#define SWAPPED_ENTRY(name, key, first)                                              \
	({                                                                           \
		void *map_ = swapped_map(&(name));                                   \
		typeof(first) entry_ = map_ ? bpf_map_lookup_elem(map_, key) : NULL; \
		if (map_ && !entry_) {                                               \
			bpf_map_update_elem(map_, key, first, BPF_NOEXIST);          \
			entry_ = bpf_map_lookup_elem(map_, key);                     \
			if (!entry_)                                                 \
				count_lost(map_full__##name);                        \
		}                                                                    \
		(void *)entry_;                                                      \
	})

/* The entry of a number in what is in use: in its own place, or in the map; made from `first` if there is none. */
#define SWAPPED_PLACES_ENTRY(name, key, first)                                                        \
	({                                                                                            \
		void *places_ = swapped_map(&(name##_places));                                        \
		__u32 index_ = place_index((__u32)((key) ^ (key) >> 32), name##_place_bits);          \
		struct name##_place *place_ = places_ ? bpf_map_lookup_elem(places_, &index_) : NULL; \
		typeof(first) value_;                                                                 \
		if (place_ && place_->owner == (key)) {                                               \
			value_ = &place_->value;                                                      \
		} else if (place_ && !place_->owner && place_claim(&(name##_places_taken), index_)) { \
			place_->owner = (key);                                                        \
			value_ = &place_->value;                                                      \
		} else {                                                                              \
			value_ = SWAPPED_ENTRY(name, &(key), first);                                  \
		}                                                                                     \
		value_;                                                                               \
	})

#endif
