/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What funclatency's program and its frontend share: the key of its map; the value is a histogram. */
#ifndef FUNCLATENCY_H
#define FUNCLATENCY_H

#include "kit/fetch.h"
#include "kit/slots.h"

struct funclatency_key {
	struct fetch_key of;
};
KIT_SIZE_IS(struct funclatency_key, 184);

#endif
