// SPDX-License-Identifier: BSD-2-Clause
// The same program, not optimized: its debug information tells only where parameters are put later.
#include "typed.c"
