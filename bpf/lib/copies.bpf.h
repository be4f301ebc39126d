/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Programs that are loaded once for each of their places, with the place's number in their instructions. */
#ifndef KIT_COPIES_BPF_H
#define KIT_COPIES_BPF_H

#include "base.bpf.h"

#include "kit/fetch.h"

/* The number that a program's own copy has in FETCH_COOKIE's place; that itself if it has none. */
static __always_inline __u64 own_cookie(void)
{
	__u64 cookie;

	asm volatile("%0 = %1 ll" : "=r"(cookie) : "i"(FETCH_COOKIE));
	return cookie;
}

#endif
