/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* System calls seen where all of them pass, at sys_enter and sys_exit: told by their numbers, in each ABI. */
#ifndef KIT_CALLS_BPF_H
#define KIT_CALLS_BPF_H

#include "shims.bpf.h"

#define CALL_X32_BIT 0x40000000 /* x32 has the numbers of x86_64 and this bit, but for a few of its own */

/* Which one of some numbers it is; `count` if it is none. */
static __always_inline __u32 call_index(const __s32 *numbers, const __u32 count, __s32 number)
{
	__u32 index = 0;

#pragma clang loop unroll(full)
	for (; index < count; index++)
		if (number == numbers[index])
			break;
	return index;
}

/* A program at every system call's return, in its two ways, NAME_btf and NAME_raw: handler(regs, number, result). */
#define CALL_EXIT_PROGRAMS(name, handler)                                 \
	SEC("?tp_btf/sys_exit")                                           \
	int BPF_PROG(name##_btf, struct pt_regs *regs, long result)       \
	{                                                                 \
		return handler(regs, SYSCALL_NUMBER_TYPED(regs), result); \
	}                                                                 \
	SEC("?raw_tp/sys_exit")                                           \
	int BPF_PROG(name##_raw, struct pt_regs *regs, long result)       \
	{                                                                 \
		return handler(regs, SYSCALL_NUMBER(regs), result);       \
	}

#endif
