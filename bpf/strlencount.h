/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What strlencount's program and its frontend share: the key of its map; the value is a count. */
#ifndef STRLENCOUNT_H
#define STRLENCOUNT_H

#include "kit/record.h"

#define STRLENCOUNT_TEXT 120

struct strlencount_key {
	__u32 pid; /* under -P, else 0 */
	__u32 cut; /* whether the string is longer than what is kept of it */
	char text[STRLENCOUNT_TEXT]; /* with its NUL, and zeros behind */
};
KIT_SIZE_IS(struct strlencount_key, 8 + STRLENCOUNT_TEXT);

#endif
