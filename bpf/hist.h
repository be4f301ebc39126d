/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What hist's program and its frontend share: the key of its map; the value is a histogram. */
#ifndef HIST_H
#define HIST_H

#include "kit/fetch.h"
#include "kit/slots.h"

struct hist_key {
	struct fetch_key of;
};
KIT_SIZE_IS(struct hist_key, 184);

#endif
