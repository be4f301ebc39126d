// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Histograms of how long functions take. */
#include "lib/values.bpf.h"

#include "funclatency.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

VALUE_HISTOGRAMS(funclatency)

HIT_PROGRAMS
