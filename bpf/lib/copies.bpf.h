/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which of its places a program runs at: the kernel tells it, or it is loaded once for each with the number in it. */
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

/* Its own copy's number, else what the kernel tells (7adfc6c9b315, 5.15). */
static __always_inline __u64 fetch_cookie(void *ctx)
{
	__u64 cookie = own_cookie(), none = ~FETCH_COOKIE;

	/* Not the number itself, which would be replaced here, too. */
	barrier_var(none);
	if (cookie == ~none && kernel_has_helper(get_attach_cookie))
		return bpf_get_attach_cookie(ctx);
	return cookie;
}

#endif
