/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What disksnoop's program tells its frontend. */
#ifndef DISKSNOOP_H
#define DISKSNOOP_H

#include "kit/record.h"

struct disksnoop_record {
	struct kit_head head;
	__u64 sector;
	__u64 latency; /* ns, from issue to completion */
	__u64 queue; /* ns, from submission to issue; 0 if the process is not known */
	__u32 disk;
	__u32 bytes;
	__u32 flags; /* as the kernel has them: the operation is the lowest byte */
	__u32 merges;
	__u32 pid;
	__u32 tid;
	char comm[KIT_COMM_SIZE]; /* empty if the process is not known */
};
KIT_SIZE_IS(struct disksnoop_record, 88);

#endif
