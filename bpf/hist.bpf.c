// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Histograms of a value that any probe has. */
#define HIT_STACKS_IN_KEYS
#include "lib/values.bpf.h"

#include "hist.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

VALUE_HISTOGRAMS(hist)

HIT_PROGRAMS
