/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The ring that carries records to the frontend: the only way to reserve one, so that a full ring is always counted. */
#ifndef KIT_STREAM_BPF_H
#define KIT_STREAM_BPF_H

#include "places.bpf.h"

/* The reader sets another size before load (--buffer). */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 * 1024 * 1024);
} stream_ring SEC(".maps");

LOST_COUNTER(ring_full);

/*
 * The reader sets this when it has found the ring empty and is about to sleep; the next record clears it and wakes the
 * reader, which then lets more records gather for some milliseconds. So a storm costs a wake-up per batch, not per record.
 */
__u32 stream_armed;

/*
 * And whenever a record lies in another part of the ring than the last that woke the reader, it is woken again: it may
 * still wait, and a storm fills the ring in less time. Read-only knob: a part's size, an eighth, as a power of two.
 */
const volatile __u32 stream_part_bits = 19;
__u32 stream_part;

static __always_inline void *stream_start(void *record, __u32 fixed, __u32 kind)
{
	struct kit_head *head = record;

	head->time = bpf_ktime_get_boot_ns();
	head->fixed = fixed;
	head->kind = kind;
	return record;
}

/*
 * Reserves a record of this type with room for `room` bytes of tail (a constant to the verifier: a literal or a
 * read-only knob) and zeroes its fixed part whole, padding included; NULL, and counted, if the ring is full. Look at
 * the result at once: with other code between, clang asks for NULL a second time, and the verifier of 5.10 believes
 * that the record in hand may be NULL then, and so never given back.
 */
#define stream_reserve(type, kind, room)                                                             \
	({                                                                                           \
		/* Puts the type into the object's BTF, from which the frontend knows its layout. */ \
		asm volatile("" ::"r"(bpf_core_type_id_local(type)));                                \
		type *record_ = bpf_ringbuf_reserve(&stream_ring, sizeof(type) + (room), 0);         \
		if (record_) {                                                                       \
			__builtin_memset(record_, 0, sizeof(type));                                  \
			stream_start(record_, sizeof(type), (kind));                                 \
		} else {                                                                             \
			count_lost(ring_full);                                                       \
		}                                                                                    \
		record_;                                                                             \
	})

/* The first byte after a record's fixed part. */
#define stream_tail(record) ((char *)((record) + 1))

static __always_inline void stream_submit(void *record)
{
	__u32 part = place_low_half((__u64)record) >> (stream_part_bits & 31);
	__u64 flags = BPF_RB_NO_WAKEUP;
	__u64 fence = 0;

	/*
	 * The reader arms, then looks at the ring once more; here the ring was advanced by the reservation, and only then
	 * is "armed" read. The locked add keeps the two in that order, so that one of both sides always sees the other.
	 */
	__sync_fetch_and_add(&fence, 1);
	if (*(volatile __u32 *)&stream_armed || *(volatile __u32 *)&stream_part != part) {
		*(volatile __u32 *)&stream_armed = 0;
		*(volatile __u32 *)&stream_part = part;
		flags = BPF_RB_FORCE_WAKEUP;
	}
	bpf_ringbuf_submit(record, flags);
}

static __always_inline void stream_discard(void *record)
{
	bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);
}

#endif
