/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What every record begins with, on its way from a BPF program to its frontend. Plain C, read by both sides. */
#ifndef KIT_RECORD_H
#define KIT_RECORD_H

#ifdef __cplusplus
#include <linux/types.h>
#include <cstddef>
#define KIT_INLINE constexpr inline
#define KIT_SIZE_IS(type, size) static_assert(sizeof(type) == (size), #type " has changed its size")
#elif defined(__bpf__)
#define KIT_INLINE static __always_inline
#define KIT_SIZE_IS(type, size) _Static_assert(sizeof(type) == (size), #type " has changed its size")
#endif

#define KIT_COMM_SIZE 16

/* No process of the tool's PID namespace: shown as unknown. */
#define KIT_NO_PID 0xffffffffU

/*
 * A record is a fixed part, which begins with this head, and a tail of `tail_size` bytes that lies `tail_at` bytes
 * after the end of the fixed part. What the ring holds outside those two is neither read nor shown: the reader moves
 * the tail up to the fixed part, so that a frontend always finds it at `tail_at` 0.
 */
struct kit_head {
	__u64 time;      /* ns since boot, suspend included (CLOCK_BOOTTIME), when the event was complete */
	__u32 tail_at;   /* bytes */
	__u32 tail_size; /* bytes */
	__u16 fixed;     /* bytes of the fixed part, this head included */
	__u16 kind;      /* which of a tool's records it is; 0 for the only or main one */
	__u32 zero;
};
KIT_SIZE_IS(struct kit_head, 24);

#endif
