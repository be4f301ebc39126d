/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What fgraph's programs tell their frontend: where calls begin and end, thread by thread. */
#ifndef FGRAPH_H
#define FGRAPH_H

#include "kit/fetch.h"

/* A record's kind. */
enum fgraph_kind {
	FGRAPH_ENTER,
	FGRAPH_RETURN,
	FGRAPH_JUMP, /* the function jumps to another, which returns in its stead */
	FGRAPH_EXEC, /* the process has become another program: none of its calls will return */
	FGRAPH_EXIT, /* the thread ends */
};

/*
 * How a frontend tells a program which place it is at: which function (the low 32 bits), and flags. A library's function
 * is one that only the program's own calls count of.
 */
#define FGRAPH_AT_RETURN (1ULL << 32)
#define FGRAPH_AT_JUMP	 (1ULL << 33)
#define FGRAPH_POPPED	 (1ULL << 34) /* the return address is off the stack: a probe of the kernel's own way of returns */
#define FGRAPH_LIBRARY	 (1ULL << 35)
#define FGRAPH_AT_ONCE	 (1ULL << 36) /* its first instruction is its return, or with FGRAPH_AT_JUMP its jump, too */

#define FGRAPH_KERNEL (1ULL << 37) /* a function of the kernel */

/* Behind the flags: which plan (kit/fetch.h) fetches the values that the call begins or ends with, from 1; 0: none. */
#define FGRAPH_PLAN_AT 40

/* Numbers of functions: those of programs from 0, then the kernel's, then the system calls by their own numbers. */
#define FGRAPH_FIRST_KERNEL  0x40000000U
#define FGRAPH_FIRST_SYSCALL 0x80000000U
#define FGRAPH_COMPAT	     0x20000000U /* of a system call: one of the 32-bit ABI */

struct fgraph_record {
	struct kit_head head;
	__u32 pid;
	__u32 tid;
	__u32 number; /* of the thread's records, from 1; one that is missing was lost */
	__u32 function;
	__u64 frame; /* where on the stack its return address is: lower, the deeper; the kernel's lie beneath all others */
	__u64 caller; /* the return address; 0: it was reached by a jump from the open call of the same frame */
	__u64 address; /* of the place itself */
	char comm[KIT_COMM_SIZE];
};
KIT_SIZE_IS(struct fgraph_record, 80);

/* The same with values. The tail is the strings among them. */
struct fgraph_valued {
	struct fgraph_record call;
	struct fetch_result fetched;
};
KIT_SIZE_IS(struct fgraph_valued, 192);

#define FGRAPH_MOST_DEPTH 64

#endif
