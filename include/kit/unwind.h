/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How a walker in the kernel finds a function's caller: tables made from what compilers say of each instruction. */
#ifndef KIT_UNWIND_H
#define KIT_UNWIND_H

#include "kit/record.h"

/*
 * A row holds from its address on until the next row's. Its rule says in 32 bits where the caller's frame begins, the
 * "CFA", before which the return address lies, and where the caller's frame pointer is:
 *   bits 0-4: a KIT_UNWIND_ word; 5-15: the frame pointer (x86_64: rbp); 16-31: a signed offset, in units of 8 bytes.
 */
struct kit_unwind_row {
	__u32 start; /* from the table's base */
	__u32 rule;
};
KIT_SIZE_IS(struct kit_unwind_row, 8);

enum kit_unwind_kind {
	KIT_UNWIND_GAP,         /* nothing is said of these addresses */
	KIT_UNWIND_OUTERMOST,   /* there is no caller */
	KIT_UNWIND_UNSUPPORTED, /* said in a way that the walker does not know */
	KIT_UNWIND_PLT,         /* CFA: stack pointer + 8, and another 8 from the offset'th byte of 16 on */
	KIT_UNWIND_SIGNAL,      /* the kernel's signal frame is at the stack pointer: all registers are in it */
	KIT_UNWIND_AT_FRAME,    /* CFA: what is kept at frame pointer + offset */
	KIT_UNWIND_AT_STACK,    /* CFA: what is kept at stack pointer + offset */
	KIT_UNWIND_STACK,       /* CFA: stack pointer + offset */
	KIT_UNWIND_FRAME,       /* CFA: frame pointer + offset */
	KIT_UNWIND_REGISTER     /* and on: CFA: another register + offset, the word of pt_regs that is added */
};
#define KIT_UNWIND_REGISTERS 15 /* the words of pt_regs from which user code's registers are: r15 to rdi */

/* Where the caller's frame pointer is: at CFA - 8 * N for 1 to KIT_UNWIND_SAVED_MOST, or: */
enum kit_unwind_frame {
	KIT_UNWIND_SAME,               /* where it was */
	KIT_UNWIND_SAVED_MOST = 2045,
	KIT_UNWIND_SAVED_AT_FRAME,     /* at what the frame pointer points to */
	KIT_UNWIND_FRAME_UNKNOWN
};

KIT_INLINE __u32 kit_unwind_rule(__u32 kind, __u32 frame, __s32 offset)
{
	return kind | frame << 5 | (__u32)offset << 16;
}

KIT_INLINE __u32 kit_unwind_kind(__u32 rule)
{
	return rule & 31;
}

KIT_INLINE __u32 kit_unwind_frame(__u32 rule)
{
	return rule >> 5 & 2047;
}

/* In bytes. */
KIT_INLINE __s32 kit_unwind_offset(__u32 rule)
{
	return ((__s32)rule >> 16) * 8;
}

/*
 * Of arm64, where a call leaves its return address in a register, x30, and a function puts it by where it likes, mostly
 * beside the caller's frame pointer, x29:
 *   bits 0-4: as above, of which KIT_UNWIND_SIGNAL, _STACK and _FRAME are used; 5-15: the return address is at CFA - 8 * N,
 *   or, as 0, in x30; 16-18: a KIT_UNWIND_BESIDE_ word; 19-31: a signed offset, in units of 16 bytes.
 */
enum kit_unwind_beside {
	KIT_UNWIND_BESIDE_NONE,    /* the caller's frame pointer is where it was */
	KIT_UNWIND_BESIDE_UNKNOWN, /* or not told of, */
	KIT_UNWIND_BESIDE          /* and on: or 1 word before the return address, 1 behind it, 2 before, 2 behind, 3, 3 */
};
#define KIT_UNWIND_LINK_MOST 2040

KIT_INLINE __u32 kit_unwind_link_rule(__u32 kind, __u32 link, __u32 beside, __s32 offset)
{
	return kind | link << 5 | beside << 16 | (__u32)offset << 19;
}

KIT_INLINE __u32 kit_unwind_beside(__u32 rule)
{
	return rule >> 16 & 7;
}

/* By how many words the frame pointer lies before the return address. */
KIT_INLINE __s32 kit_unwind_beside_words(__u32 beside)
{
	__s32 words = (__s32)(beside - KIT_UNWIND_BESIDE) / 2 + 1;

	return beside & 1 ? -words : words;
}

/* In bytes. */
KIT_INLINE __s32 kit_unwind_link_offset(__u32 rule)
{
	return ((__s32)rule >> 19) * 16;
}

/* Where its signal frame keeps registers: x29, x30, the stack pointer and the place. */
#define KIT_UNWIND_SIGNAL_X29 544

/* Where the kernel's signal frame keeps registers, from the stack pointer of whoever returns from the signal. */
#define KIT_UNWIND_SIGNAL_RBP 120
#define KIT_UNWIND_SIGNAL_RSP 160
#define KIT_UNWIND_SIGNAL_RIP 168

/*
 * Rows travel in pages. A piece of a table is a page that says where the pages behind it begin, padded with addresses that
 * none has, and those pages, padded likewise; so nothing needs to be counted. Pages lie in pools, arrays in the kernel.
 */
#define KIT_UNWIND_PAGE_ROWS 512
#define KIT_UNWIND_PAGES     1024
#define KIT_UNWIND_NOWHERE   0xffffffffU

struct kit_unwind_page {
	union {
		struct kit_unwind_row rows[KIT_UNWIND_PAGE_ROWS];
		__u32 first[KIT_UNWIND_PAGES]; /* of the next pages: the start of their first row */
	};
};
KIT_SIZE_IS(struct kit_unwind_page, 4096);

/* A piece's number: its pool and, in the lowest 10 bits, its first page. The last pool's are taken for what has none. */
#define KIT_UNWIND_POOL_BITS 10
#define KIT_UNWIND_POOLS     63
#define KIT_UNWIND_FIRST_POOL 256 /* pages */
#define KIT_UNWIND_NO_TABLE  0xffff
#define KIT_UNWIND_JIT       0xfffe /* code of no file, made at run time */

/* Executable memory of a process. */
struct kit_unwind_range {
	__u64 start;
	__u32 delta; /* what `start` is in the rows' terms */
	__u16 pages; /* of 4096 bytes */
	__u16 piece;
};
KIT_SIZE_IS(struct kit_unwind_range, 16);

#define KIT_UNWIND_RANGES 240

struct kit_unwind_process {
	__u64 start_stack, start_code; /* of the program that it runs: another one's ranges are not its */
	__u32 version; /* no other process's, and no earlier of this one, which may have had other ranges */
	__u32 missed; /* how often an address was in no range, or the program was another */
	struct kit_unwind_range ranges[KIT_UNWIND_RANGES]; /* by address */
};
KIT_SIZE_IS(struct kit_unwind_process, 24 + 16 * KIT_UNWIND_RANGES);

/* How the walk of a user stack ended, which is kept with the stack. */
enum kit_unwind_end {
	KIT_UNWIND_NOT_TOLD, /* the kernel walked it, by frame pointers */
	KIT_UNWIND_COMPLETE,
	KIT_UNWIND_CUT, /* there are more frames than are kept */
	/* The last frame's caller could not be found: */
	KIT_UNWIND_END_NO_TABLE,    /* its module has no table, and frame pointers do not lead on */
	KIT_UNWIND_END_JIT,         /* the same of code made at run time */
	KIT_UNWIND_END_NEW,         /* the same of what was mapped since the process was read */
	KIT_UNWIND_END_GAP,         /* its module's table says nothing of this code */
	KIT_UNWIND_END_UNSUPPORTED, /* KIT_UNWIND_UNSUPPORTED */
	KIT_UNWIND_END_REGISTER,    /* by a register that is not known any more */
	KIT_UNWIND_END_UNREADABLE,  /* the stack could not be read there */
	KIT_UNWIND_END_UNMAPPED,    /* what should be the return address is in no code */
	KIT_UNWIND_ENDS
};

#endif
