/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stacks, kept by their content in a map of our own. bpf_get_stackid() keeps a stack under 32 bits of hash in a table
 * without room for two that fall together: one of both is lost, and the more there are the likelier it is the hottest.
 * Here the key is 128 bits of the content, the map says when it is full, and that is counted.
 *
 * `stacks` and `stacks_short` are swapped with each report, as the counts are; a frontend keeps those it has read, since a count may name a
 * stack of an earlier interval (a thread sleeps through several). kit::Stacks is the other side.
 */
#ifndef KIT_STACKS_BPF_H
#define KIT_STACKS_BPF_H

#include "filter.bpf.h"
#include "swap.bpf.h"
#include "user_stack.bpf.h"

const volatile bool stacks_of_kernel = true, stacks_of_user = true;

/* The frontend sets another size before load (--stacks). */
SWAPPED_MAP(stacks, BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC, 65536, struct kit_stack_id, struct kit_stack);
/* Those of up to KIT_STACK_SHORT frames. */
SWAPPED_MAP(stacks_short, BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC, 65536, struct kit_stack_id, struct kit_stack_short);

LOST_COUNTER(map_full__stacks);

/*
 * Which of the places (user_stack.bpf.h) a program takes, by what it is attached to:
 *  - in the scheduler, and at perf events of CPUs: nothing like them can come between; they take place 0 unasked;
 *  - kprobes, classic tracepoints: an interrupt's would (until bpf_prog_active keeps it from running, then it is
 *    counted as skipped); raw and BTF tracepoints: an interrupt's, which nothing counts;
 *  - fentry, fexit (5.12 on) and uprobes (6.0 on): another task's, too, since they are only kept on their CPU.
 *
 * Which places are taken, by CPU * STACKS_PLACES + place: an entry that is there. BPF_NOEXIST makes the claim one step
 * that nothing comes between; comparing and exchanging would, too, but needs 5.12. kit::Stacks sets the size.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, STACKS_PLACES);
	__type(key, __u32);
	__type(value, __u8);
} stacks_claims SEC(".maps");

LOST_COUNTER(stacks_busy);

/*
 * Processes whose mappings are to be read: how often something new was seen of each, in the lower half, and its PID in
 * the upper. One that finds another's PID at its place begins anew there, which costs no more than being told again.
 */
#define STACKS_SEEN 16384
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, STACKS_SEEN);
	__type(key, __u32);
	__type(value, __u64);
} stacks_seen SEC(".maps");

/*
 * Tells the frontend of a process at every 1st, 2nd, 4th, 8th... call: it may have loaded libraries meanwhile. Called
 * where something is new, a stack or a thread, which is seldom.
 */
static __always_inline void stacks_tell(__u32 pid)
{
	__u32 place = pid % STACKS_SEEN, times = 1;
	__u64 *seen = bpf_map_lookup_elem(&stacks_seen, &place);

	if (!seen)
		return;
	if (*seen >> 32 == pid)
		times = (__u32)*seen + 1;
	*seen = (__u64)pid << 32 | times;
	if (!(times & (times - 1)))
		stacks_tell_now(pid);
}

/* Whether the last process that was told of at its place was this one. */
static __always_inline bool stacks_is_told(__u32 pid)
{
	__u32 place = pid % STACKS_SEEN;
	__u64 *seen = bpf_map_lookup_elem(&stacks_seen, &place);

	return seen && *seen >> 32 == pid;
}

static __always_inline struct kit_stack_id stacks_none(__u64 why)
{
	return (struct kit_stack_id){ .low = 0, .high = why };
}

/* Two sums over the frames that share nothing but them: multiply and rotate, as MurmurHash3 does. */
static __always_inline struct kit_stack_id stacks_hash(const struct kit_stack *stack, __u32 depth)
{
	__u64 low = 0x9e3779b97f4a7c15ULL + depth, high = 0xc2b2ae3d27d4eb4fULL ^ depth;

#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < KIT_STACK_DEPTH; i++) {
		__u64 frame;

		if (i >= depth)
			break;
		frame = stack->frames[i];
		low = (low ^ frame) * 0xff51afd7ed558ccdULL;
		low ^= low >> 32;
		high = ((high << 27) | (high >> 37)) + frame * 0x87c37b91114253d5ULL;
	}
	high ^= high >> 29;
	high *= 0x4cf5ad432745937fULL;
	return (struct kit_stack_id){ .low = low | 1, .high = high };
}

/* Of the flags below: the task runs in user space, and has no kernel stack to be walked. */
#define STACKS_IN_USER (1ULL << 63)
/* The context is pt_regs, of a kernel function's beginning. */
#define STACKS_CALLED (1ULL << 62)

enum stacks_taken {
	STACKS_LOST,
	STACKS_KNOWN,
	STACKS_NEW /* at least one was not in the map */
};

/*
 * Keeps what was walked into the place; its id, there too, says also where there is nothing. A function of numbers, so
 * that the verifier follows the loop over the frames once.
 */
__noinline int stacks_put(__u32 place, __s64 bytes)
{
	struct kit_stack_short *before;
	struct kit_stack *scratch;
	struct stacks_place *at;
	__u32 depth;
	void *map;

	/* Where no stacks are asked for the maps are not there, and before 6.8 the verifier looks at this all the same. */
	if (!stacks_of_kernel && !stacks_of_user)
		return STACKS_LOST;
	at = bpf_map_lookup_elem(&stacks_scratch, &place);
	if (!at)
		return STACKS_LOST;
	/* A kernel thread's user stack and the kernel stack of one in user mode: EINVAL or nothing; EFAULT: no walk. */
	if (bytes <= 0) {
		at->id = stacks_none(bytes == -14 ? KIT_STACK_FAILED : KIT_STACK_EMPTY);
		return STACKS_KNOWN;
	}
	scratch = &at->stack;
	scratch->depth = (__u64)bytes / 8;
	/* By way of memory, or the verifier would follow what comes behind the loop for each depth. */
	at->id = stacks_hash(scratch, scratch->depth);
	depth = scratch->depth;
	map = depth <= KIT_STACK_SHORT ? swapped_map(&stacks_short) : swapped_map(&stacks);
	if (!map)
		goto lost;
	before = bpf_map_lookup_elem(map, &at->id);
	if (before) {
		/* The same frames may have been walked before there were tables. */
		if (before->end != scratch->end && before->end != KIT_UNWIND_COMPLETE)
			before->end = scratch->end;
		return STACKS_KNOWN;
	}
	/* Another CPU may have put the same one in meanwhile. */
	if (bpf_map_update_elem(map, &at->id, scratch, BPF_NOEXIST) && !bpf_map_lookup_elem(map, &at->id))
		goto lost;
	return STACKS_NEW;
lost:
	at->id = stacks_none(KIT_STACK_LOST);
	return STACKS_LOST;
}

static __always_inline __s64 stacks_walk_kernel(void *ctx, struct stacks_place *at, __u64 flags)
{
#ifdef __TARGET_ARCH_arm64
	/* The kernel's walk goes by frames, and of its caller a function that begins has none yet: only the register. */
	if (flags & STACKS_CALLED) {
		__u64 *frames = at->stack.frames, link = 0;
		__s64 bytes = bpf_get_stack(ctx, frames + 1, sizeof(at->stack.frames) - sizeof(*frames), 0);

		bpf_probe_read_kernel(&link, sizeof(link), &((struct pt_regs *)ctx)->regs[30]);
		if (bytes > 0 && frames[2] != link) {
			frames[0] = frames[1];
			frames[1] = link;
			return bytes + sizeof(*frames);
		}
		flags = 0;
	}
#endif
	return bpf_get_stack(ctx, at->stack.frames, sizeof(at->stack.frames), flags);
}

/*
 * Takes the current task's stacks, as far as they are asked for, into `into`; `flags` are bpf_get_stack()'s for the
 * kernel's stack: how many of our own frames to leave out. STACKS_LOST, and counted, if one is: the caller then counts
 * nothing, so that shown + lost = made. `place` is below STACKS_PLACES.
 */
static __always_inline enum stacks_taken stacks_take_at(void *ctx, struct kit_stacks *into, __u64 flags, __u32 place)
{
	struct stacks_place *at = bpf_map_lookup_elem(&stacks_scratch, &place);
	int kernel = STACKS_KNOWN, user = STACKS_KNOWN;

	*into = (struct kit_stacks){};
	if (!at)
		return STACKS_LOST;
	at->stack.end = 0;
	if (stacks_of_kernel && !(flags & STACKS_IN_USER)) {
		kernel = stacks_put(place, stacks_walk_kernel(ctx, at, flags));
		into->kernel = at->id;
	}
	if (stacks_of_user) {
		user = stacks_put(place, user_stack_walk(ctx, at, place));
		into->user = at->id;
	}
	if (kernel == STACKS_LOST || user == STACKS_LOST) {
		count_lost(map_full__stacks);
		return STACKS_LOST;
	}
	return kernel == STACKS_NEW || user == STACKS_NEW ? STACKS_NEW : STACKS_KNOWN;
}

/* For programs in the scheduler and at perf events of CPUs, which nothing like them can come between. */
static __always_inline enum stacks_taken stacks_take(void *ctx, struct kit_stacks *into, __u64 flags)
{
	return stacks_take_at(ctx, into, flags, 0);
}

/* For programs that are attached anywhere else. All places taken: STACKS_LOST, and counted. */
static __always_inline enum stacks_taken stacks_take_anywhere(void *ctx, struct kit_stacks *into, __u64 flags)
{
	__u32 first = bpf_get_smp_processor_id() * STACKS_PLACES;
	__u8 taken = 1;
	enum stacks_taken taken_all;

#pragma clang loop unroll(disable)
	for (__u32 place = 0; place < STACKS_PLACES; place++) {
		__u32 claim = first + place;

		if (bpf_map_update_elem(&stacks_claims, &claim, &taken, BPF_NOEXIST))
			continue;
		taken_all = stacks_take_at(ctx, into, flags, place);
		bpf_map_delete_elem(&stacks_claims, &claim);
		return taken_all;
	}
	count_lost(stacks_busy);
	return STACKS_LOST;
}

#endif
