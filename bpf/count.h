/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What count's program and its frontend share: the key of its map; the value is a count. */
#ifndef COUNT_H
#define COUNT_H

#include "kit/fetch.h"

struct count_key {
	struct fetch_key of;
};
KIT_SIZE_IS(struct count_key, 184);

#endif
