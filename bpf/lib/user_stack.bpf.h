/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who walks a user stack: this one place, which every tool with stacks asks. Here it is the kernel, by frame pointers. */
#ifndef KIT_USER_STACK_BPF_H
#define KIT_USER_STACK_BPF_H

#include "base.bpf.h"
#include "kit/stacks.h"

/* Bytes of frames written, the innermost first; negative where there is no stack or it could not be walked. */
static __always_inline __s64 user_stack_walk(void *ctx, struct kit_stack *into)
{
	return bpf_get_stack(ctx, into->frames, sizeof(into->frames), BPF_F_USER_STACK);
}

#endif
