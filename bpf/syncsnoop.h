/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What syncsnoop's program tells its frontend. */
#ifndef SYNCSNOOP_H
#define SYNCSNOOP_H

#include "kit/record.h"

enum syncsnoop_call {
	SYNCSNOOP_SYNC,
	SYNCSNOOP_FSYNC,
	SYNCSNOOP_FDATASYNC,
	SYNCSNOOP_MSYNC,
	SYNCSNOOP_SYNC_FILE_RANGE,
	SYNCSNOOP_SYNCFS,
	SYNCSNOOP_CALLS
};

enum syncsnoop_note {
	SYNCSNOOP_HAS_FILE = 1, /* the tail is its path; empty for the root */
	SYNCSNOOP_NO_FILE =
		2, /* the call names none, no open one, or memory of none; without either the file is not known */
	SYNCSNOOP_CUT_PATH = 4, /* the root's end is missing */
};

struct syncsnoop_record {
	struct kit_head head;
	__u64 latency; /* ns */
	__u32 pid;
	__u32 tid;
	__u32 uid;
	__u32 error; /* positive errno; 0: none */
	__u32 call; /* enum syncsnoop_call */
	__u32 notes;
	char comm[KIT_COMM_SIZE];
};
KIT_SIZE_IS(struct syncsnoop_record, 72);

#endif
