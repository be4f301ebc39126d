/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What randomread's program tells its frontend. */
#ifndef RANDOMREAD_H
#define RANDOMREAD_H

#include "kit/record.h"

enum randomread_source {
	RANDOMREAD_GETRANDOM,
	RANDOMREAD_URANDOM,
	RANDOMREAD_RANDOM,
	RANDOMREAD_SOURCES
};

struct randomread_record {
	struct kit_head head;
	__s64 result; /* bytes, or the negative error */
	__u32 pid;
	__u32 tid;
	__u32 uid;
	__u32 source; /* enum randomread_source */
	char comm[KIT_COMM_SIZE];
};
KIT_SIZE_IS(struct randomread_record, 64);

#endif
