/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What usdtsnoop's program tells its frontend. */
#ifndef USDTSNOOP_H
#define USDTSNOOP_H

#include "kit/fetch.h"

/* The tail is the strings among the values. */
struct usdtsnoop_record {
	struct kit_head head;
	__u32 pid;
	__u32 tid;
	char comm[KIT_COMM_SIZE];
	struct fetch_result fetched;
};
KIT_SIZE_IS(struct usdtsnoop_record, 160);

#endif
