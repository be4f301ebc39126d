/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What hello's program tells its frontend. */
#ifndef HELLO_H
#define HELLO_H

#include "kit/record.h"

struct hello_record {
	struct kit_head head;
	__u32 pid;
	__u32 ppid;
	__u32 uid;
	char comm[KIT_COMM_SIZE];
	__u32 zero;
};
KIT_SIZE_IS(struct hello_record, 56);

#endif
