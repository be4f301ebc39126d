/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What opensnoop's program tells its frontend. */
#ifndef OPENSNOOP_H
#define OPENSNOOP_H

#include "kit/record.h"

enum opensnoop_note {
	OPENSNOOP_UNREADABLE = 1, /* the name could not be read */
	OPENSNOOP_CUT_NAME = 2, /* longer than the tail's room */
	OPENSNOOP_CUT_PATH = 4, /* more components, or longer, than are walked: the root's end is missing */
	OPENSNOOP_RESOLVED = 8, /* the tail is the opened file's own path, not the name that was asked for */
};

/* The tail is the path; empty for the root. */
struct opensnoop_record {
	struct kit_head head;
	__u32 pid;
	__u32 tid;
	__u32 uid;
	__s32 result; /* the descriptor, or the negative error */
	__u32 flags; /* as the call had them */
	__u32 notes;
	char comm[KIT_COMM_SIZE];
};
KIT_SIZE_IS(struct opensnoop_record, 64);

#define OPENSNOOP_PREFIX_SIZE 256

#endif
