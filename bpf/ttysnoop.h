/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What ttysnoop's program tells its frontend. */
#ifndef TTYSNOOP_H
#define TTYSNOOP_H

#include "kit/record.h"

#define TTYSNOOP_TERMINALS 16 /* that can be asked for at once */
#define TTYSNOOP_CHUNK	   4096 /* bytes of a write that one record holds */
#define TTYSNOOP_NAME_SIZE 16

/* The tail is what was written: of a longer write the part that begins at `offset`. */
struct ttysnoop_record {
	struct kit_head head;
	__u32 pid;
	__u32 tid;
	__u32 uid;
	__u32 offset; /* bytes */
	char tty[TTYSNOOP_NAME_SIZE]; /* as the kernel calls it: "pts3", "tty1" */
	char comm[KIT_COMM_SIZE];
};
KIT_SIZE_IS(struct ttysnoop_record, 72);

#endif
