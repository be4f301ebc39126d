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

/* In a program of a session, which runs at a function's beginning and return: whether this is the return. */
static __always_inline bool session_returns(void *ctx)
{
	register void *r1 asm("r1") = ctx; /* which 7.0 asks for */
	register __u64 r0 asm("r0");

	/* The frontend puts the kernel's own function bpf_session_is_return there, for which libbpf would read all types. */
	asm volatile("call %[call]"
		     : "=r"(r0), "+r"(r1)
		     : [call] "i"(SESSION_IS_RETURN)
		     : "r2", "r3", "r4", "r5", "memory");
	return r0 & 1;
}

/* In such a program: where a call keeps a number from its beginning to its return, made as the above. */
static __always_inline __u64 *session_cookie(void *ctx)
{
	register void *r1 asm("r1") = ctx;
	register __u64 *r0 asm("r0");

	asm volatile("call %[call]"
		     : "=r"(r0), "+r"(r1)
		     : [call] "i"(SESSION_COOKIE)
		     : "r2", "r3", "r4", "r5", "memory");
	return r0;
}

#endif
