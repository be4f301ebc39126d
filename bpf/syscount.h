/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What syscount's program and its frontend share: the values of its maps. */
#ifndef SYSCOUNT_H
#define SYSCOUNT_H

#include "kit/record.h"
#include "kit/slots.h"

/*
 * Per system call everything is in arrays, by `abi * SYSCOUNT_NUMBERS + number`. Two numbers stand for more than one:
 * SYSCOUNT_RETURN for the return from a signal handler, which leaves -1, and SYSCOUNT_OTHER for all that are higher.
 */
#define SYSCOUNT_NUMBERS 640
#define SYSCOUNT_RETURN	 (SYSCOUNT_NUMBERS - 1)
#define SYSCOUNT_OTHER	 (SYSCOUNT_NUMBERS - 2)
enum syscount_abi {
	SYSCOUNT_NATIVE,
	SYSCOUNT_COMPAT,
	SYSCOUNT_X32,
	SYSCOUNT_ABIS
};
#define SYSCOUNT_CALLS	 (SYSCOUNT_ABIS * SYSCOUNT_NUMBERS)
#define SYSCOUNT_X32_BIT 0x40000000

KIT_INLINE __u32 syscount_index(__s32 number, bool compat)
{
	__u32 abi = compat					? SYSCOUNT_COMPAT :
		    number != -1 && (number & SYSCOUNT_X32_BIT) ? SYSCOUNT_X32 :
								  SYSCOUNT_NATIVE;
	__u32 index = number & ~SYSCOUNT_X32_BIT;

	if (number == -1)
		index = SYSCOUNT_RETURN;
	else if (index >= SYSCOUNT_OTHER)
		index = SYSCOUNT_OTHER;
	return abi * SYSCOUNT_NUMBERS + index;
}

struct syscount_calls {
	__u64 count;
	__u64 errors;
	__u64 total; /* ns, under -L */
};
KIT_SIZE_IS(struct syscount_calls, 24);

/* Under -P, by PID. */
struct syscount_process {
	struct syscount_calls calls;
	char comm[KIT_COMM_SIZE];
	__u64 named; /* ns, monotonic: since when that is its name, as this CPU has it; the latest is right */
};
KIT_SIZE_IS(struct syscount_process, 48);

struct syscount_latency {
	__u32 slots[KIT_SLOTS];
};
KIT_SIZE_IS(struct syscount_latency, 4 * KIT_SLOTS);

#endif
