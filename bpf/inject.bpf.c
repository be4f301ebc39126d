// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Makes calls of the kernel's functions fail, for chosen callers. A program stands before the function and answers in
 * its place: by fmod_ret (5.7), as a security module (5.7), or at a kprobe by bpf_override_return().
 *
 * A call that no record could be made of is not broken: nothing fails that is not shown.
 */
#include "lib/copies.bpf.h"
#include "lib/filter.bpf.h"
#include "lib/stream.bpf.h"

#include "inject.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* A negative errno as it is answered: since 6.8 the verifier wants to know a security module's answer, and cannot negate. */
const volatile __s64 failure;
const volatile __u32 nth, every, times; /* 0: any */
const volatile __u64 chance; /* of 2^32; 0: always */
const volatile __u32 only_access; /* MAY_READ, MAY_WRITE: of the function's second argument; 0: any */
const volatile __u32 range_count; /* of --stack; 0: anywhere */
const volatile struct inject_range ranges[INJECT_RANGES];

/* PIDs as the tool's user sees them: the tool's ancestors. */
NUMBER_SET(spared, 1);

LOST_COUNTER(stack_failed);

#define PF_KTHREAD 0x00200000 /* include/linux/sched.h, the same since 2.6.27 */

/* Never the tool, its ancestors, PID 1, the kernel's own threads, or who has no PID where the tool runs. */
static __always_inline bool is_spared(struct task_struct *task)
{
	__u32 pid = filter_ids_of_current(task).pid;

	if (current_read(task, tgid) == 1 || pid == 1 || pid == KIT_NO_PID || pid == filter_self)
		return true;
	if (current_read(task, flags) & PF_KTHREAD)
		return true;
	return bpf_map_lookup_elem(&spared, &pid) != NULL;
}

struct stack {
	__u64 frames[INJECT_STACK];
};
static const struct stack no_stack;

/* Where a thread's stack is walked to: by TID, since a program may be preempted by another thread that runs it too. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct stack);
} stacks SEC(".maps");

static __always_inline bool in_ranges(__u64 address)
{
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < INJECT_RANGES && i < range_count; i++)
		if (address > ranges[i].begin && address <= ranges[i].end)
			return true;
	return false;
}

/* Whether the call was made beneath --stack's function. */
static __always_inline bool is_beneath(void *ctx)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct stack *stack;
	bool beneath = false;
	long size;

	/* An interrupt finds its thread's own stack being walked: it waits for nobody. */
	if (bpf_map_update_elem(&stacks, &tid, &no_stack, BPF_NOEXIST)) {
		count_lost(stack_failed);
		return false;
	}
	stack = bpf_map_lookup_elem(&stacks, &tid);
	if (!stack) {
		count_lost(stack_failed);
		return false;
	}
	size = bpf_get_stack(ctx, stack, sizeof(*stack), 0);
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < INJECT_STACK; i++) {
		if ((long)(i * sizeof(__u64)) >= size)
			break;
		if (in_ranges(stack->frames[i])) {
			beneath = true;
			break;
		}
	}
	bpf_map_delete_elem(&stacks, &tid);
	/* One that fills its room may go on beyond. */
	if (!beneath && (size < 0 || size == sizeof(*stack)))
		count_lost(stack_failed);
	return beneath;
}

static __always_inline bool is_wanted(void *ctx)
{
	struct task_struct *task = current_task();

	if (is_spared(task) || !filter_current_task(task))
		return false;
	return !range_count || is_beneath(ctx);
}

/* Whether a call is one to be broken, by its number. */
static __always_inline bool is_due(__u64 call, bool lucky)
{
	return (!nth || call == nth) && (!every || call % every == 0) && lucky;
}

static __always_inline bool is_lucky(void)
{
	return !chance || bpf_get_prandom_u32() < chance;
}

/* What is counted: calls that match, and those of them that are due. Each gets a number of its own, from 1. */
enum count {
	CALLS,
	DUE
};
__u64 counted[2];

/*
 * Before 5.12 no atomic operation tells what it has found. There a number is taken by being the one that puts it into
 * this map (BPF_NOEXIST). All numbers up to `counted` are taken, so the next is looked for behind it, as many beyond as
 * programs run at this moment. Numbers stay in the map for so long that nobody still looks for them.
 */
#define CLAIM_WINDOW 16384
#define CLAIM_TRIES  128
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 3 * CLAIM_WINDOW);
	__type(key, __u64);
	__type(value, __u8);
} claims SEC(".maps");

LOST_COUNTER(uncounted);

static __always_inline __u64 claim(enum count what)
{
	__u64 number = *(volatile __u64 *)&counted[what];
	__u8 taken = 1;

#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < CLAIM_TRIES; i++) {
		__u64 key = ++number * 2 + what, old = key - 2 * CLAIM_WINDOW;

		if (bpf_map_update_elem(&claims, &key, &taken, BPF_NOEXIST))
			continue;
		bpf_map_delete_elem(&claims, &old);
		__sync_fetch_and_add(&counted[what], 1);
		return number;
	}
	count_lost(uncounted);
	return 0;
}

/* `fetching` is a constant: a program with an instruction that 5.10 does not know cannot be loaded there. */
static __always_inline __u64 take(enum count what, const bool fetching)
{
	return fetching ? __sync_fetch_and_add(&counted[what], 1) + 1 : claim(what);
}

/* The number of a call that is to be broken; else 0. */
static __always_inline __u64 take_due(const bool fetching)
{
	__u64 call = take(CALLS, fetching), due;

	if (!call || !is_due(call, is_lucky()))
		return 0;
	if (!times)
		return call;
	due = take(DUE, fetching);
	return due && due <= times ? call : 0;
}

/* Whether the call is to fail, and was told of. */
static __always_inline bool breaks(__u64 call)
{
	struct inject_record *record;

	if (!call)
		return false;
	record = stream_reserve(struct inject_record, 0, 0);
	if (!record)
		return false;
	filter_tell_current(record);
	record->call = call;
	record->place = own_cookie();
	record->error = (__s32)-failure;
	stream_submit(record);
	return true;
}

/*
 * The answer of a function: 0 lets it run, and it answers itself. Whole registers, as some functions return more than 32
 * bits.
 */
static __always_inline long answer(void *ctx, const bool fetching)
{
	/* The kernel's 64-bit slots of arguments: a program at a function with one argument has no second. */
	if (only_access && !(((__u64 *)ctx)[1] & only_access))
		return 0;
	return is_wanted(ctx) && breaks(take_due(fetching)) ? failure : 0;
}

static __always_inline int override(void *ctx, const bool fetching)
{
	if (is_wanted(ctx) && breaks(take_due(fetching)))
		bpf_override_return(ctx, failure);
	return 0;
}

#define INJECT_PROGRAMS(kind, act)                          \
	SEC("?hit/" #kind) long hit_##kind(void *ctx)       \
	{                                                   \
		return act(ctx, true);                      \
	}                                                   \
	SEC("?hit/" #kind) long hit_##kind##_old(void *ctx) \
	{                                                   \
		return act(ctx, false);                     \
	}

INJECT_PROGRAMS(fmod_ret, answer)
INJECT_PROGRAMS(lsm, answer)
INJECT_PROGRAMS(override, override)
