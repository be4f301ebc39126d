/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What trace's program tells its frontend. */
#ifndef TRACE_H
#define TRACE_H

#include "kit/fetch.h"

/* The tail is the strings among the values. */
struct trace_record {
	struct kit_head head;
	__u32 pid;
	__u32 tid;
	char comm[KIT_COMM_SIZE];
	struct fetch_result fetched;
};
KIT_SIZE_IS(struct trace_record, 160);

#endif
