/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who walks a user stack: this one place, which every tool with stacks asks. It is the kernel, by frame pointers, or,
 * where the frontend has tables for what the process runs (kit/unwind.h), the functions below.
 *
 * A step goes from a frame to its caller's. The process's executable memory is looked through for the frame's address;
 * that leads to a piece of a table, that to a page of rows, and the row says how. Code that has no table, as that of
 * just-in-time compilers, is left by its frame pointer, but only to an address that a call precedes. Whatever does not
 * hold ends the walk, and why is kept with the stack.
 *
 * Each of them is a function of numbers alone, so that the verifier follows it once: what they share is in memory, and
 * so are numbers whose values it is not to know, lest it follows every way through a search.
 */
#ifndef KIT_USER_STACK_BPF_H
#define KIT_USER_STACK_BPF_H

#include "filter.bpf.h"
#include "kit/stacks.h"
#include "kit/unwind.h"

/*
 * Read-only knobs. There are tables: each function asks it first, so that without them nothing is left of it. And frame
 * pointers lead on where a table does not.
 */
const volatile bool unwind_tables, unwind_frames = true;
#ifdef __TARGET_ARCH_arm64
/* Another one: the bits that an address of a program may have. Above them a return address may be signed. */
const volatile __u64 unwind_address_bits = -1;
#endif

/* A row that was found before. It holds as long as the process's ranges have this version: tables never change. */
struct unwind_warm {
	__u64 address;
	__u32 version;
	__u32 rule;
};
#define UNWIND_WARM 512

#define UNWIND_WINDOW 128 /* words */

struct user_walk {
	__u64 pc, sp, frame; /* of the frame that is left next */
	__u64 link; /* and of arm64 the register that calls leave return addresses in; 0 where it is not known */
	__u64 start_stack; /* where the program's first stack begins */
	struct kit_unwind_range range; /* where the last address was */
	__u64 read[7];
	__u32 range_version; /* of the ranges that `range` is from */
	__u32 version; /* of those with which the walk began */
	__u64 window_at; /* of the stack that is in `window`: where it begins */
	__u64 window_words; /* and how much it is */
	__u64 window[UNWIND_WINDOW];
	struct unwind_warm warm[UNWIND_WARM];
	__u32 tgid; /* whose ranges */
	__u32 depth;
	__u32 none; /* 0 */
	bool exact; /* pc is where it was interrupted, not the address that a call returns to */
	bool innermost; /* of the frame that is left next all registers are known */
	bool frame_unknown;
	bool by_frame; /* the last step went by frame pointer */
};

/*
 * Where a stack is walked to: several places on each CPU, since another program, or the same one for another task, may
 * begin a stack on a CPU where one is being taken (stacks.bpf.h).
 */
#define STACKS_PLACES 4
struct stacks_place {
	struct kit_stack stack;
	struct kit_stack_id id; /* of the stack, as it is kept */
	struct user_walk walk;
};
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, STACKS_PLACES);
	__type(key, __u32);
	__type(value, struct stacks_place);
} stacks_scratch SEC(".maps");

/* Processes that are there to have their mappings read. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} stacks_news SEC(".maps");

/*
 * Tells the frontend of the current process, which its user knows by `pid`. A full ring costs nothing but names: what is
 * then still alive is read at the report.
 */
static __always_inline void stacks_tell_now(__u32 pid)
{
	struct kit_stack_news *news = bpf_ringbuf_reserve(&stacks_news, sizeof(*news), 0);

	if (!news)
		return;
	news->pid = pid;
	news->tgid = bpf_get_current_pid_tgid() >> 32;
	bpf_ringbuf_submit(news, BPF_RB_FORCE_WAKEUP);
}

/* By the kernel's tgid. The frontend writes them. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct kit_unwind_process);
} unwind_processes SEC(".maps");

/*
 * Pools are of several sizes, which inner maps of this flag may be (5.10, 4a8f87e60f6d); the loader puts the first. They
 * have no types, since those that the frontend adds have none, either (swap.bpf.h).
 */
struct unwind_pool {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KIT_UNWIND_FIRST_POOL);
	__uint(map_flags, BPF_F_INNER_MAP);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct kit_unwind_page));
} unwind_pools_first SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, KIT_UNWIND_POOLS);
	__type(key, __u32);
	__array(values, struct unwind_pool);
} unwind_pools SEC(".maps");

/* Something is not as it was when a process's ranges were read: at every 1st, 2nd, 4th... time the frontend is told. */
static __always_inline void unwind_missed(struct kit_unwind_process *process)
{
	process->missed++;
	if (!(process->missed & (process->missed - 1)))
		stacks_tell_now(filter_current_ids().pid);
}

/* The range that holds an address goes to the state: 0 if there is none. */
__noinline int unwind_find_range(__u32 place, __u64 address)
{
	struct stacks_place *at;
	struct kit_unwind_process *process;
	struct kit_unwind_range *range;
	__u32 found, none;

	if (!unwind_tables)
		return 0;
	at = bpf_map_lookup_elem(&stacks_scratch, &place);
	if (!at)
		return 0;
	process = bpf_map_lookup_elem(&unwind_processes, &at->walk.tgid);
	if (!process)
		return 0;
	none = at->walk.none;
	found = none & 255;
#pragma clang loop unroll(disable)
	for (__u32 step = 128; step; step >>= 1) {
		__u32 next = found + step;

		barrier_var(next);
		if (next < KIT_UNWIND_RANGES && process->ranges[next].start <= address)
			found = (next ^ none) & 255;
	}
	if (found >= KIT_UNWIND_RANGES)
		return 0;
	range = &process->ranges[found];
	if (address - range->start < (__u64)range->pages << 12) {
		at->walk.range = *range;
		at->walk.range_version = process->version;
		return 1;
	}
	at->walk.range.pages = 0;
	unwind_missed(process);
	return 0;
}

/* The rule of the row that holds; `none` is 0, which the verifier is not to know. */
__noinline __u32 unwind_find_rule(__u32 piece, __u32 address, __u32 none)
{
	__u32 number = piece >> KIT_UNWIND_POOL_BITS, page_number = piece & (KIT_UNWIND_PAGES - 1), found = none;
	struct kit_unwind_page *page;
	void *pool;

	if (!unwind_tables)
		return 0;
	pool = bpf_map_lookup_elem(&unwind_pools, &number);
	if (!pool)
		return KIT_UNWIND_GAP;
	page = bpf_map_lookup_elem(pool, &page_number);
	if (!page)
		return KIT_UNWIND_GAP;
	found &= KIT_UNWIND_PAGES - 1;
#pragma clang loop unroll(disable)
	for (__u32 step = KIT_UNWIND_PAGES / 2; step; step >>= 1) {
		__u32 next = (found + step) & (KIT_UNWIND_PAGES - 1);

		barrier_var(next);
		next &= KIT_UNWIND_PAGES - 1;
		if (page->first[next] <= address)
			found = next;
	}
	page_number += 1 + found;
	page = bpf_map_lookup_elem(pool, &page_number);
	if (!page)
		return KIT_UNWIND_GAP;
	found = none & (KIT_UNWIND_PAGE_ROWS - 1);
#pragma clang loop unroll(disable)
	for (__u32 step = KIT_UNWIND_PAGE_ROWS / 2; step; step >>= 1) {
		__u32 next = (found + step) & (KIT_UNWIND_PAGE_ROWS - 1);

		barrier_var(next);
		next &= KIT_UNWIND_PAGE_ROWS - 1;
		if (page->rows[next].start <= address)
			found = next;
	}
	barrier_var(found);
	return page->rows[found & (KIT_UNWIND_PAGE_ROWS - 1)].rule;
}

static __always_inline bool unwind_read(void *to, __u32 size, __u64 from)
{
	return !bpf_probe_read_user(to, size, (void *)from);
}

#ifdef __TARGET_ARCH_arm64
#define UNWIND_SIGRETURN 0xd4000001d2801168 /* mov x8, #139; svc #0 */

/* Whether there is a call before this address, as before every return address: bl, blr, blraa and the like. */
static __always_inline bool unwind_after_call(struct user_walk *walk, __u64 address)
{
	__u32 *code = (__u32 *)walk->read;

	if (address & 3 || !unwind_read(code, 4, address - 4))
		return false;
	return code[0] >> 26 == 0x25 || (code[0] & 0xfefff000) == 0xd63f0000;
}

/* As below; unwind_after_call() has read that call. */
static __always_inline bool unwind_is_callee(struct user_walk *walk, __u64 address)
{
	__u32 code = *(__u32 *)walk->read;
	__u64 target;

	if (code >> 26 != 0x25)
		return address - walk->range.start < (__u64)walk->range.pages << 12;
	target = address - 4 + ((__s64)((__u64)code << 38) >> 36);
	return target <= walk->pc && walk->pc - target < 256 << 10;
}

/* Whether an instruction is of what linkers write to call a library, which touches neither stack nor return address. */
static __always_inline bool unwind_is_plt(__u32 code)
{
	return (code & 0x9f00001f) == 0x90000010 /* adrp x16, PAGE */ ||
	       (code & 0xffc003ff) == 0xf9400211 /* ldr x17, [x16, AT] */ ||
	       (code & 0xffc003ff) == 0x91000210 /* add x16, x16, AT */ || code == 0xd61f0220 /* br x17 */ ||
	       code == 0xd71f0a11 /* braa x17, x16 */ || code == 0xd503245f /* bti c */;
}

/* What a register that is signed, or a place that it was kept at, has as a return address. */
static __always_inline __u64 unwind_unsigned(__u64 address)
{
	return address & unwind_address_bits;
}
#else
/*
 * Whether a call ends before this address, as before every return address: E8 and four bytes, or FF with a second
 * byte that says call, with an operand of 0, 1 or 4 bytes and perhaps one more that addresses it.
 */
static __always_inline bool unwind_after_call(struct user_walk *walk, __u64 address)
{
	__u8 *code = (__u8 *)walk->read;

	if (!unwind_read(code, 8, address - 8))
		return false;
	return code[3] == 0xe8 || (code[6] == 0xff && (code[7] & 0x38) == 0x10) ||
	       (code[5] == 0xff && (code[6] & 0x38) == 0x10) || (code[4] == 0xff && (code[5] & 0x38) == 0x10) ||
	       (code[2] == 0xff && (code[3] & 0x38) == 0x10) || (code[1] == 0xff && (code[2] & 0x38) == 0x10);
}

/*
 * Whether that call, whose bytes unwind_after_call() has read, may be of the function that is left: it goes to not far
 * before it, or, where it does not say whereto, is in the same module. A frame pointer that a function has only kept for
 * others leads past its caller.
 */
static __always_inline bool unwind_is_callee(struct user_walk *walk, __u64 address)
{
	__u8 *code = (__u8 *)walk->read;
	__u64 target;

	if (code[3] != 0xe8)
		return address - walk->range.start < (__u64)walk->range.pages << 12;
	target = address + *(__s32 *)(code + 4);
	return target <= walk->pc && walk->pc - target < 256 << 10;
}

static __always_inline __u64 unwind_unsigned(__u64 address)
{
	return address;
}
#endif

/*
 * Whether it is known without a frame pointer who has called the code of which nothing is said. Of arm64 that is what the
 * register for it leads to, if that is not in the same module: then nothing was called from here yet.
 */
static __always_inline bool unwind_by_link(struct user_walk *walk)
{
#ifdef __TARGET_ARCH_arm64
	__u64 record[2] = {};

	if (!walk->link || walk->link - walk->range.start < (__u64)walk->range.pages << 12)
		return false;
	/* The caller's frame pointer may be kept already. */
	if (!unwind_read(record, sizeof(record), walk->frame) || unwind_unsigned(record[1]) != walk->link) {
		if (!unwind_after_call(walk, walk->link))
			return false;
		walk->pc = walk->link;
		return true;
	}
#endif
	return false;
}

/* By the frame pointer, where nothing is said of the code; `why` is how the walk ends where that does not lead on. */
static __always_inline int unwind_by_frame(struct user_walk *walk, __u32 why)
{
	__u64 frame = walk->frame, caller;

	if (unwind_by_link(walk))
		return 0;
	/* The chain's end, as the ABI has it, unless nobody keeps frame pointers here. */
	if (!frame && walk->by_frame)
		return KIT_UNWIND_COMPLETE;
	if (!unwind_frames || walk->frame_unknown || frame < walk->sp || frame - walk->sp > 64 << 20 || frame & 7)
		return why;
	if (!unwind_read(walk->read, 16, frame))
		return why;
	frame = walk->read[0];
	caller = unwind_unsigned(walk->read[1]);
	if (!caller && !frame)
		return KIT_UNWIND_COMPLETE;
	if (!unwind_after_call(walk, caller) || (why == KIT_UNWIND_END_GAP && !unwind_is_callee(walk, caller)))
		return why;
	walk->sp = walk->frame + 16;
	walk->frame = frame;
	walk->pc = caller;
	walk->by_frame = true;
	return 0;
}

#ifdef __TARGET_ARCH_arm64
/* Out of the frame that the kernel made for a signal's handler: to what was interrupted. */
static __always_inline int unwind_signal(struct user_walk *walk)
{
	if (!unwind_read(walk->read, 32, walk->sp + KIT_UNWIND_SIGNAL_X29))
		return KIT_UNWIND_END_UNREADABLE;
	walk->frame = walk->read[0];
	walk->link = unwind_unsigned(walk->read[1]);
	walk->sp = walk->read[2];
	walk->pc = walk->read[3];
	walk->exact = true;
	walk->frame_unknown = false;
	return 0;
}

/* What returns from a signal: nobody says of it what it is, or in older kernels so as to lead past what was interrupted. */
static __always_inline bool unwind_at_sigreturn(struct user_walk *walk)
{
	return unwind_read(walk->read, 8, walk->pc) && walk->read[0] == UNWIND_SIGRETURN;
}

/* Code of which its module's table says nothing: what calls a library, the first that a program runs, or another's. */
static __always_inline int unwind_in_gap(struct user_walk *walk)
{
	if (walk->link && unwind_read(walk->read, 4, walk->pc) && unwind_is_plt((__u32)walk->read[0])) {
		walk->pc = walk->link;
		return 0;
	}
	if (walk->sp <= walk->start_stack && walk->start_stack - walk->sp <= 64)
		return KIT_UNWIND_COMPLETE;
	return unwind_by_frame(walk, KIT_UNWIND_END_GAP);
}

static __always_inline __s32 unwind_offset(__u32 rule)
{
	return kit_unwind_link_offset(rule);
}

/* Before the CFA, in words: where the return address is, 0 for in its register, and where the frame pointer is. */
static __always_inline __u32 unwind_link(__u32 rule)
{
	return kit_unwind_frame(rule);
}

static __always_inline __u32 unwind_saved(__u32 rule)
{
	__u32 beside = kit_unwind_beside(rule);

	if (beside == KIT_UNWIND_BESIDE_NONE)
		return KIT_UNWIND_SAME;
	return beside == KIT_UNWIND_BESIDE_UNKNOWN ? KIT_UNWIND_FRAME_UNKNOWN :
						     unwind_link(rule) + kit_unwind_beside_words(beside);
}

/* By a row of the table. */
static __always_inline int unwind_by_rule(struct user_walk *walk, __u32 rule)
{
	__u32 kind = kit_unwind_kind(rule), link = unwind_link(rule), saved = unwind_saved(rule);
	__u64 cfa, caller = walk->link;

	if (kind == KIT_UNWIND_GAP)
		return unwind_in_gap(walk);
	walk->by_frame = false;
	if (kind == KIT_UNWIND_OUTERMOST)
		return KIT_UNWIND_COMPLETE;
	if (kind == KIT_UNWIND_SIGNAL)
		return unwind_signal(walk);
	if (kind != KIT_UNWIND_STACK && kind != KIT_UNWIND_FRAME)
		return KIT_UNWIND_END_UNSUPPORTED;
	if ((kind == KIT_UNWIND_FRAME && walk->frame_unknown) || (!link && !caller))
		return KIT_UNWIND_END_REGISTER;
	cfa = (kind == KIT_UNWIND_STACK ? walk->sp : walk->frame) + unwind_offset(rule);
	/* A caller's frame lies above, but for that of a function that has none. */
	if (cfa < walk->sp || (cfa == walk->sp && link))
		return KIT_UNWIND_END_UNREADABLE;
	if (link) {
		if (!unwind_read(walk->read, 8, cfa - 8 * (__u64)link))
			return KIT_UNWIND_END_UNREADABLE;
		caller = unwind_unsigned(walk->read[0]);
	}
	if (saved == KIT_UNWIND_FRAME_UNKNOWN) {
		walk->frame_unknown = true;
	} else if (saved != KIT_UNWIND_SAME) {
		if (!unwind_read(walk->read, 8, cfa - 8 * (__u64)saved))
			return KIT_UNWIND_END_UNREADABLE;
		walk->frame = walk->read[0];
		walk->frame_unknown = false;
	}
	walk->sp = cfa;
	walk->pc = caller;
	return caller ? 0 : KIT_UNWIND_COMPLETE;
}
#else
/* Out of the frame that the kernel made for a signal's handler: to what was interrupted. */
static __always_inline int unwind_signal(struct user_walk *walk)
{
	if (!unwind_read(walk->read, sizeof(walk->read), walk->sp + KIT_UNWIND_SIGNAL_RBP))
		return KIT_UNWIND_END_UNREADABLE;
	walk->frame = walk->read[0];
	walk->sp = walk->read[(KIT_UNWIND_SIGNAL_RSP - KIT_UNWIND_SIGNAL_RBP) / 8];
	walk->pc = walk->read[(KIT_UNWIND_SIGNAL_RIP - KIT_UNWIND_SIGNAL_RBP) / 8];
	walk->exact = true;
	walk->frame_unknown = false;
	return 0;
}

/*
 * Code of which its module's table says nothing: what returns from a signal, the first that a program runs, or what
 * another compiler made, as Go's beside C.
 */
static __always_inline int unwind_in_gap(struct user_walk *walk)
{
	/* mov $15,%rax; syscall: rt_sigreturn, as C libraries have it that say nothing of it. */
	if (unwind_read(walk->read, 9, walk->pc) && walk->read[0] == 0x0f0000000fc0c748 && (__u8)walk->read[1] == 0x05)
		return unwind_signal(walk);
	if (walk->sp <= walk->start_stack && walk->start_stack - walk->sp <= 64)
		return KIT_UNWIND_COMPLETE;
	return unwind_by_frame(walk, KIT_UNWIND_END_GAP);
}

/* Where the caller's frame begins, 0 and `why` if it is not known. */
static __always_inline __u64 unwind_cfa(struct user_walk *walk, __u32 rule, int *why)
{
	__u32 kind = kit_unwind_kind(rule);
	__s64 offset = kit_unwind_offset(rule);
	__u64 from = walk->frame;

	*why = KIT_UNWIND_END_REGISTER;
	if (kind == KIT_UNWIND_STACK)
		return walk->sp + offset;
	if (kind == KIT_UNWIND_PLT)
		return walk->sp + 8 + ((walk->pc & 15) * 8 >= offset ? 8 : 0);
	if (kind >= KIT_UNWIND_REGISTER) {
		kind -= KIT_UNWIND_REGISTER;
		if (!walk->innermost || kind >= KIT_UNWIND_REGISTERS ||
		    bpf_probe_read_kernel(walk->read, 8, (__u64 *)entry_regs() + kind))
			return 0;
		return walk->read[0] + offset;
	}
	if (kind == KIT_UNWIND_AT_STACK)
		from = walk->sp;
	else if (walk->frame_unknown)
		return 0;
	if (kind == KIT_UNWIND_FRAME)
		return from + offset;
	*why = KIT_UNWIND_END_UNREADABLE;
	return unwind_read(walk->read, 8, from + offset) ? walk->read[0] : 0;
}

/* By a row of the table. */
static __always_inline int unwind_by_rule(struct user_walk *walk, __u32 rule)
{
	__u32 kind = kit_unwind_kind(rule), saved = kit_unwind_frame(rule);
	__u64 cfa, caller;
	int why;

	if (kind == KIT_UNWIND_GAP)
		return unwind_in_gap(walk);
	walk->by_frame = false;
	if (kind == KIT_UNWIND_OUTERMOST)
		return KIT_UNWIND_COMPLETE;
	if (kind == KIT_UNWIND_UNSUPPORTED)
		return KIT_UNWIND_END_UNSUPPORTED;
	if (kind == KIT_UNWIND_SIGNAL)
		return unwind_signal(walk);
	cfa = unwind_cfa(walk, rule, &why);
	if (!cfa)
		return why;
	/* A caller's frame lies above. */
	if (cfa <= walk->sp || !unwind_read(walk->read, 16, cfa - 16))
		return KIT_UNWIND_END_UNREADABLE;
	caller = walk->read[1];
	if (saved == KIT_UNWIND_FRAME_UNKNOWN) {
		walk->frame_unknown = true;
	} else if (saved == 2) {
		walk->frame = walk->read[0];
		walk->frame_unknown = false;
	} else if (saved != KIT_UNWIND_SAME) {
		__u64 from = saved == KIT_UNWIND_SAVED_AT_FRAME ? walk->frame : cfa - 8 * (__u64)saved;

		if (!unwind_read(walk->read, 8, from))
			return KIT_UNWIND_END_UNREADABLE;
		walk->frame = walk->read[0];
		walk->frame_unknown = false;
	}
	walk->sp = cfa;
	walk->pc = caller;
	return caller ? 0 : KIT_UNWIND_COMPLETE;
}

/* It is told of as such, or stands in a gap. */
static __always_inline bool unwind_at_sigreturn(struct user_walk *walk)
{
	return false;
}

static __always_inline __s32 unwind_offset(__u32 rule)
{
	return kit_unwind_offset(rule);
}

/* Before the CFA, in words: where the return address is, and where the frame pointer is. */
static __always_inline __u32 unwind_link(__u32 rule)
{
	return 1;
}

static __always_inline __u32 unwind_saved(__u32 rule)
{
	return kit_unwind_frame(rule);
}
#endif

/* An address's own two places, of which the first has what came last. Its neighbours', a line of memory with them. */
static __always_inline struct unwind_warm *unwind_warm_of(struct user_walk *walk, __u64 address)
{
	return &walk->warm[(address >> 2 ^ address >> 12) & (UNWIND_WARM - 2)];
}

/* Whether unwind_quickly() knows what to do with a rule. */
static __always_inline bool unwind_is_quick(__u32 rule)
{
	__u32 kind = kit_unwind_kind(rule);

	if (kind == KIT_UNWIND_STACK || kind == KIT_UNWIND_FRAME)
		return unwind_link(rule) && unwind_link(rule) <= UNWIND_WINDOW && unwind_saved(rule) <= UNWIND_WINDOW;
	return kind == KIT_UNWIND_OUTERMOST;
}

static __always_inline void unwind_remember(struct user_walk *walk, __u64 address, __u32 rule)
{
	struct unwind_warm *warm = unwind_warm_of(walk, address);

	if (!unwind_is_quick(rule))
		return;
	warm[1] = warm[0];
	warm->address = address;
	warm->version = walk->range_version;
	warm->rule = rule;
}

/* Reads the stack from there on, far, or to the page's end, where that is as much as there is. */
__noinline int unwind_look(__u32 place, __u64 from)
{
	struct stacks_place *at;
	struct user_walk *walk;
	__u32 size = 4096 - (from & 4095);

	if (!unwind_tables)
		return 0;
	at = bpf_map_lookup_elem(&stacks_scratch, &place);
	if (!at)
		return 0;
	walk = &at->walk;
	walk->window_at = from;
	walk->window_words = UNWIND_WINDOW;
	if (unwind_read(walk->window, sizeof(walk->window), from))
		return 0;
	walk->window_words = 0;
	if (size < sizeof(walk->window) && unwind_read(walk->window, size, from))
		walk->window_words = size / 8;
	return 0;
}

/* Keeps the frame that is left next: false where there is no room for it. */
static __always_inline bool unwind_keep(struct stacks_place *at)
{
	struct user_walk *walk = &at->walk;
	__u32 depth = walk->depth;

	/* 5.10 forgets what it knows of a number that was put by, as this one is if it is read before it is asked for. */
	barrier_var(depth);
	if (depth >= KIT_STACK_DEPTH)
		return false;
	/* The reader takes all but the first for return addresses. */
	at->stack.frames[depth] = walk->pc + (walk->exact & !walk->innermost);
	walk->depth = depth + 1;
	return true;
}

#define UNWIND_SLOWLY -1

/*
 * The same as unwind_step() for a frame whose row was met before, as most were, and is of a common kind: nothing is
 * called, since calls are most of what a step costs. Else UNWIND_SLOWLY, and nothing is changed. Where numbers can be
 * reckoned without a branch they are: the verifier would follow the rest, and the turns that come after, for each way.
 */
static __always_inline int unwind_quickly(struct stacks_place *at, __u32 place)
{
	struct user_walk *walk = &at->walk;
	__u64 address = walk->pc - !walk->exact, cfa, words, caller;
	struct unwind_warm *warm = unwind_warm_of(walk, address);
	__u32 rule, saved, link, low;

	if (warm->address != address)
		warm++;
	if (warm->address != address || warm->version != walk->version)
		return UNWIND_SLOWLY;
	rule = warm->rule;
	if (kit_unwind_kind(rule) == KIT_UNWIND_OUTERMOST)
		return unwind_keep(at) ? KIT_UNWIND_COMPLETE : UNWIND_SLOWLY;
	saved = unwind_saved(rule);
	link = unwind_link(rule);
	low = saved | link; /* at least as much as either */
	if (kit_unwind_kind(rule) == KIT_UNWIND_STACK)
		cfa = walk->sp;
	else if (!walk->frame_unknown)
		cfa = walk->frame;
	else
		return UNWIND_SLOWLY;
	cfa += unwind_offset(rule);
	if (cfa <= walk->sp || cfa & 7)
		return UNWIND_SLOWLY;
	words = (cfa - walk->window_at) >> 3;
	if (words > walk->window_words || words < low) {
		unwind_look(place, cfa - 8 * low);
		words = low;
		if (words > walk->window_words)
			return UNWIND_SLOWLY;
	}
	if (!unwind_keep(at))
		return UNWIND_SLOWLY;
	if (saved) {
		walk->frame = walk->window[(words - saved) & (UNWIND_WINDOW - 1)];
		walk->frame_unknown = false;
	}
	caller = unwind_unsigned(walk->window[(words - link) & (UNWIND_WINDOW - 1)]);
	walk->link = 0;
	walk->exact = walk->innermost = walk->by_frame = false;
	walk->sp = cfa;
	walk->pc = caller;
	return caller ? 0 : KIT_UNWIND_COMPLETE;
}

/* Keeps the frame and goes to its caller's: how the walk ended, or 0. */
__noinline int unwind_step(__u32 place)
{
	struct stacks_place *at;
	struct user_walk *walk;
	__u32 depth, rule;
	__u64 address;
	bool exact;
	int why;

	if (!unwind_tables)
		return 0;
	at = bpf_map_lookup_elem(&stacks_scratch, &place);
	if (!at)
		return KIT_UNWIND_CUT;
	walk = &at->walk;
	depth = walk->depth;
	if (depth >= KIT_STACK_DEPTH)
		return KIT_UNWIND_CUT;
	exact = walk->exact;
	address = exact ? walk->pc : walk->pc - 1;
	if (address - walk->range.start >= (__u64)walk->range.pages << 12) {
		int found = unwind_find_range(place, address);

		/* It may have been mapped since the ranges were read. */
		if (!found && depth && !(exact || unwind_after_call(walk, walk->pc)))
			return KIT_UNWIND_END_UNMAPPED;
	}
	if (!unwind_keep(at))
		return KIT_UNWIND_CUT;
	walk->exact = false;
	if (unwind_at_sigreturn(walk)) {
		why = unwind_signal(walk);
	} else if (!walk->range.pages) {
		why = unwind_by_frame(walk, KIT_UNWIND_END_NEW);
	} else if (walk->range.piece >= KIT_UNWIND_JIT) {
		bool jit = walk->range.piece == KIT_UNWIND_JIT;

		why = unwind_by_frame(walk, jit ? KIT_UNWIND_END_JIT : KIT_UNWIND_END_NO_TABLE);
	} else {
		rule = unwind_find_rule(walk->range.piece, address - walk->range.start + walk->range.delta, walk->none);
		unwind_remember(walk, address, rule);
		why = unwind_by_rule(walk, rule);
	}
	walk->innermost = false;
	if (!walk->exact)
		walk->link = 0;
	/* What returns from a signal is a function's first instruction, and nobody has called it. */
	if (walk->exact && depth)
		at->stack.frames[depth]++;
	return why;
}

#ifdef __TARGET_ARCH_arm64
#define UNWIND_USER_CS 0
#else
#define UNWIND_USER_CS 0x33
#endif

/* Whether a process's ranges are of the program that it runs now. */
static __always_inline bool unwind_is_of(struct kit_unwind_process *process, __u64 start_stack, __u64 start_code)
{
	return process->start_stack == start_stack && process->start_code == start_code;
}

/* Whose ranges are those of the current process, its own or, just after fork(), its parent's; or NULL. */
static __always_inline struct kit_unwind_process *unwind_owner(struct task_struct *task, struct user_walk *walk)
{
	struct kit_unwind_process *process;
	__u64 start_code;

	current_program(task, &start_code, &walk->start_stack);
	walk->tgid = current_read(task, tgid);
	if (!walk->start_stack) /* a kernel thread */
		return NULL;
	process = bpf_map_lookup_elem(&unwind_processes, &walk->tgid);
	if (process) {
		if (unwind_is_of(process, walk->start_stack, start_code))
			return process;
		unwind_missed(process);
		return NULL;
	}
	walk->tgid = BPF_CORE_READ(task, real_parent, tgid);
	process = bpf_map_lookup_elem(&unwind_processes, &walk->tgid);
	return process && unwind_is_of(process, walk->start_stack, start_code) ? process : NULL;
}

/* So many frames are left in one call, each turn of which the verifier follows: all at once took it 100 ms. */
#define UNWIND_TURNS 8

/* Leaves some frames: how the walk ended, or 0. */
__noinline int unwind_some(__u32 place)
{
	struct stacks_place *at;
	int end = 0;

	if (!unwind_tables)
		return 0;
	at = bpf_map_lookup_elem(&stacks_scratch, &place);
	if (!at)
		return KIT_UNWIND_CUT;
#pragma clang loop unroll(disable)
	for (int i = 0; i < UNWIND_TURNS; i++) {
		/* Lest the compiler enters the loop in its middle for what it knows of the first turn, which 5.10 refuses. */
		barrier();
		end = unwind_quickly(at, place);
		if (end == UNWIND_SLOWLY)
			end = unwind_step(place);
		if (end)
			break;
	}
	return end;
}

/*
 * Walks the current task's user stack: how that ended, or KIT_UNWIND_NOT_TOLD where nothing is known of its process. The
 * registers are those with which it came into the kernel, by an interrupt also.
 */
__noinline int unwind_walk(__u32 place)
{
	struct stacks_place *at;
	struct user_walk *walk;
	struct kit_unwind_process *process;
	struct entry_state entry;
	int end = 0;

	if (!unwind_tables)
		return 0;
	at = bpf_map_lookup_elem(&stacks_scratch, &place);
	if (!at)
		return 0;
	walk = &at->walk;
	process = unwind_owner(current_task(), walk);
	if (!process)
		return 0;
	entry_state(&entry);
	if (entry.cs != UNWIND_USER_CS)
		return 0;
	walk->pc = entry.ip;
	walk->sp = entry.sp;
	walk->frame = entry.bp;
#ifdef __TARGET_ARCH_arm64
	walk->link = unwind_unsigned(entry.link);
#endif
	walk->version = process->version;
	walk->range.pages = 0;
	walk->range.start = 0;
	walk->window_words = 0;
	walk->depth = 0;
	walk->none = 0;
	walk->exact = walk->innermost = true;
	walk->frame_unknown = walk->by_frame = false;
#pragma clang loop unroll(disable)
	for (int i = 0; i <= KIT_STACK_DEPTH / UNWIND_TURNS; i++) {
		end = unwind_some(place);
		if (end)
			break;
	}
	return end;
}

/* Bytes of frames written, the innermost first; negative where there is no stack or it could not be walked. */
static __always_inline __s64 user_stack_walk(void *ctx, struct stacks_place *at, __u32 place)
{
	at->stack.end = 0;
	if (unwind_tables) {
		int end = unwind_walk(place);

		if (end) {
			at->stack.end = end;
			return 8 * (__u64)at->walk.depth;
		}
	}
	return bpf_get_stack(ctx, at->stack.frames, sizeof(at->stack.frames), BPF_F_USER_STACK);
}

#endif
