/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What execsnoop's program tells its frontend. */
#ifndef EXECSNOOP_H
#define EXECSNOOP_H

#include "kit/record.h"

#define EXECSNOOP_ANCESTORS 16

enum execsnoop_kind {
	EXECSNOOP_EXEC,
	EXECSNOOP_EXIT
};

enum execsnoop_note {
	EXECSNOOP_CUT_ARGS = 1, /* longer than --max-args */
	EXECSNOOP_CUT_CWD = 2, /* the root's end is missing */
	EXECSNOOP_UNREADABLE = 4, /* some or all arguments could not be read */
	EXECSNOOP_HAS_CWD = 8,
};

struct execsnoop_ancestor {
	__u32 pid;
	char comm[KIT_COMM_SIZE];
};
KIT_SIZE_IS(struct execsnoop_ancestor, 20);

/* The tail is the working directory's path, `cwd_size` bytes of it, then the arguments, each ended by a NUL. */
struct execsnoop_record {
	struct kit_head head;
	__u32 pid;
	__u32 ppid;
	__u32 uid;
	__s32 result;
	__u32 notes;
	__u32 cwd_size;
	char comm[KIT_COMM_SIZE];
	__u32 ancestors; /* how many are filled in */
	struct execsnoop_ancestor ancestor[EXECSNOOP_ANCESTORS];
	__u32 zero;
};
KIT_SIZE_IS(struct execsnoop_record, 392);

struct execsnoop_exit {
	struct kit_head head;
	__u32 pid;
	__u32 status; /* as wait(2) has it */
};
KIT_SIZE_IS(struct execsnoop_exit, 32);

#endif
