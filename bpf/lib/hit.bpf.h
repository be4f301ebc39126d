/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every kind of probe that the kernel has, as one program each, which the frontend attaches to any number of places
 * (kit/places.hpp): a tool says once what a hit means, on_hit(), and HIT_PROGRAMS makes the programs.
 */
#ifndef KIT_HIT_BPF_H
#define KIT_HIT_BPF_H

#include "fetch.bpf.h"
#include "span.bpf.h"
/* A tool that shows stacks defines one of these before: in records, or in keys. */
#ifdef HIT_STACKS_IN_KEYS
#define HIT_STACKS
#endif
#ifdef HIT_STACKS
#include "stacks.bpf.h"
#endif

/* What stacks.bpf.h is to know of a hit. */
#ifdef __TARGET_ARCH_arm64
#define HIT_STACK_FLAGS(hit) ((hit)->plan->flags & FETCH_CALLED ? STACKS_CALLED : 0)
#else
#define HIT_STACK_FLAGS(hit) 0
#endif

/* Read-only knob: whether a plan asks how long calls take. */
const volatile bool hit_spans;

/*
 * Read-only knob: whether hits of counted events, as every 100th page fault, are counted before anything is asked. The
 * kernel holds an event back until its next tick where there are too many (kernel.perf_event_max_sample_rate), and that
 * shows only in the difference to what the event itself has counted.
 */
const volatile bool hit_runs_count;
__u64 hit_runs;

struct hit_call {
	__u64 frame; /* where the call's return address is, or its trampoline's frame: no two calls of a task share it */
	__u32 tid;
	__u32 place;
};

/* When calls began that have not returned yet, ns since boot. */
SPAN_MAP(calls, struct hit_call, __u64);

/* Returns of calls that began before anybody looked, or had no room: nobody knows how long they took. */
LOST_COUNTER(entry_unseen);

struct hit {
	struct fetch_plan *plan;
	void *program_context;
	__u64 context; /* the address of what the program is given */
	__u64 latency; /* of the call that returns, ns; 0: not known */
	__u32 place;
	__u32 plan_number;
};

enum hit_frame {
	HIT_NO_FRAME,
	HIT_STACK_FRAME, /* the context is pt_regs */
	HIT_TRAMPOLINE_FRAME, /* the context lies in a frame that entry and return of a call share */
};

static __always_inline __u64 hit_frame(void *ctx, __u64 context, __u32 flags, enum hit_frame kind)
{
	__u64 popped = 0;

	if (kind == HIT_TRAMPOLINE_FRAME)
		return context;
	if (kind == HIT_NO_FRAME)
		return 0;
#ifdef __TARGET_ARCH_x86
	if (flags & FETCH_POPPED)
		popped = flags & FETCH_NARROW ? sizeof(__u32) : sizeof(__u64);
#endif
	return PT_REGS_SP((struct pt_regs *)ctx) - popped;
}

/* 0 is "not known". */
static __always_inline __u64 hit_since(__u64 begun)
{
	__u64 span = bpf_ktime_get_boot_ns() - begun;

	return span ? span : 1;
}

/* Begins a span, or ends one: false where that is all there is to do. */
static __always_inline bool hit_span(void *ctx, struct hit *hit, enum hit_frame kind)
{
	__u32 flags = hit->plan->flags;
	struct hit_call call = {};
	__u64 now, *begun;

	if (!(flags & (FETCH_ENTRY | FETCH_RETURN)))
		return true;
	call.frame = hit_frame(ctx, hit->context, flags, kind);
	call.tid = bpf_get_current_pid_tgid();
	call.place = hit->place;
	if (flags & FETCH_ENTRY) {
		now = bpf_ktime_get_boot_ns();
		span_begin(calls, &call, &now);
		return false;
	}
	begun = bpf_map_lookup_elem(&calls, &call);
	if (!begun) {
		count_lost(entry_unseen);
		return true;
	}
	hit->latency = hit_since(*begun);
	bpf_map_delete_elem(&calls, &call);
	return true;
}

/*
 * Whether the filter's first comparison tells that a hit is not wanted: of most filters it does, of most hits, and then
 * neither who runs is looked up nor any step walked.
 */
static __always_inline bool hit_refused(struct hit *hit)
{
	const struct fetch_step *fetch = &hit->plan->filter[0];
	__u64 value;

	if (!(hit->plan->flags & FETCH_QUICK))
		return false;
	if (fetch->op == FETCH_TASK) {
		if (filter_pidns)
			return false;
		value = bpf_get_current_pid_tgid();
		value = fetch->index == FETCH_PID ? value >> 32 : (__u32)value;
	} else {
		value = fetch_context(hit->context, fetch,
				      fetch->op == FETCH_REGISTER ? sizeof(value) : fetch->size & 15);
	}
	return !fetch_compare(&hit->plan->filter[1], value);
}

/*
 * Whether a hit is wanted; what comes of `cookie` is put into `hit`, whose latency is there. Not inlined: its part of the stack is to be free
 * again when a key is made, which takes up most of the 512 bytes that a chain of calls has.
 */
static __noinline bool hit_wanted(void *ctx, __u64 cookie, enum hit_frame kind, struct hit *hit)
{
	hit->program_context = ctx;
	hit->place = cookie;
	hit->plan_number = cookie >> 32;
	hit->context = 0;
	hit->plan = bpf_map_lookup_elem(&fetch_plans, &hit->plan_number);
	if (!hit->plan)
		return false;
	if (hit->plan->flags & (FETCH_OF_CONTEXT | FETCH_ENTRY | FETCH_RETURN))
		hit->context = fetch_context_address(ctx);
	if (hit_refused(hit))
		return false;
	if (!(hit->plan->flags & FETCH_ANYONE) && !filter_current())
		return false;
	if (hit_spans && !hit_span(ctx, hit, kind))
		return false;
	return fetch_wanted(hit->context, hit->plan_number, hit->latency);
}

#ifdef HIT_STACKS
/* Read-only knob: FETCH_STACKS_ bits; 0: no plan asks for stacks, and nothing is left of what takes them. */
const volatile __u32 hit_stacks;

/* Takes those stacks that the plan asks for. One that is lost is counted, and is known to be lost. */
static __always_inline int hit_take(struct hit *hit, struct fetch_stacks *into)
{
	__u32 asked = hit->plan->flags & (FETCH_KERNEL_STACK | FETCH_USER_STACK), pid;
	enum stacks_taken taken;

	into->of = (struct kit_stacks){};
	into->pid = KIT_NO_PID;
	into->zero = 0;
	if (!asked)
		return 0;
	into->of.kernel = into->of.user = stacks_none(KIT_STACK_LOST);
	taken = stacks_take_anywhere(hit->program_context, &into->of, HIT_STACK_FLAGS(hit));
	if (!(asked & FETCH_KERNEL_STACK))
		into->of.kernel = stacks_none(KIT_STACK_NOT_ASKED);
	if (!(asked & FETCH_USER_STACK)) {
		into->of.user = stacks_none(KIT_STACK_NOT_ASKED);
		return 0;
	}
	pid = filter_current_ids().pid;
	into->pid = pid;
	if (taken == STACKS_NEW || !stacks_is_told(pid))
		stacks_tell(pid);
	return 0;
}

#endif

#ifdef HIT_STACKS_IN_KEYS
/*
 * The stacks of hits whose keys are about to be made, by where the hit is in memory, which no two share: walking while
 * there is a key would take more than the 512 bytes of the stack.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, struct fetch_stacks);
} stacks_taken SEC(".maps");

static const struct fetch_stacks no_stacks;

static __noinline int hit_keep_stacks(struct hit *hit)
{
	__u64 key = fetch_context_address(hit);
	struct fetch_stacks *into;

	if (bpf_map_update_elem(&stacks_taken, &key, &no_stacks, BPF_ANY)) {
		count_lost(stacks_busy);
		return 0;
	}
	into = bpf_map_lookup_elem(&stacks_taken, &key);
	return into ? hit_take(hit, into) : 0;
}

/* Puts them into a key. */
static __always_inline void hit_give_stacks(struct hit *hit, struct fetch_stacks *into)
{
	__u64 key = fetch_context_address(hit);
	struct fetch_stacks *taken = bpf_map_lookup_elem(&stacks_taken, &key);

	if (!taken) {
		into->of.kernel = into->of.user = stacks_none(KIT_STACK_LOST);
		return;
	}
	*into = *taken;
	bpf_map_delete_elem(&stacks_taken, &key);
}

/* To be done before a key is made, and not beneath the function that makes it. */
#define hit_before_key(hit)                   \
	do {                                  \
		if (hit_stacks)               \
			hit_keep_stacks(hit); \
	} while (0)
#else
#define hit_before_key(hit)
#endif

/* Fetches what is shown into a key, which is zeroed. The strings take up as much as two have room for. */
static __always_inline void hit_key(struct hit *hit, struct fetch_key *key)
{
	char *text = key->text;
	__u32 used = 0;

#ifdef HIT_STACKS_IN_KEYS
	if (hit_stacks) {
		hit_give_stacks(hit, (struct fetch_stacks *)text);
		text += FETCH_KEY_STRING;
	}
#endif
	fetch_show(hit->context, hit->plan, hit->plan_number, hit->latency, (struct fetch_result *)key,
		   FETCH_KEY_VALUES, text, &used, false);
	key->place = hit->place;
}

/* A cookie's plan says whether its event counts; that of a clock does not. */
static __always_inline __u64 hit_event_cookie(void *ctx)
{
	__u64 cookie = fetch_cookie(ctx);
	__u32 plan_number = cookie >> 32;
	struct fetch_plan *plan;

	if (!hit_runs_count)
		return cookie;
	plan = bpf_map_lookup_elem(&fetch_plans, &plan_number);
	if (plan && plan->flags & FETCH_COUNTED)
		__sync_fetch_and_add(&hit_runs, 1);
	return cookie;
}

#define HIT_PROGRAM(section, cookie, frame)                   \
	SEC("?hit/" #section)                                 \
	int hit_##section(void *ctx)                          \
	{                                                     \
		struct hit hit;                               \
                                                              \
		hit.latency = 0;                              \
		if (hit_wanted(ctx, (cookie), (frame), &hit)) \
			on_hit(&hit);                         \
		return 0;                                     \
	}

/*
 * Functions of the kernel whose latency is asked for, where it keeps a number for each call itself (6.10): by one link,
 * without a map. 1 at a beginning: its return is not to be told of.
 */
#define HIT_SESSION                                                            \
	SEC("?hit/kprobe_session")                                             \
	int hit_kprobe_session(void *ctx)                                      \
	{                                                                      \
		struct hit hit;                                                \
                                                                               \
		if (!session_returns(ctx)) {                                   \
			if (!filter_current())                                 \
				return 1;                                      \
			*session_cookie(ctx) = bpf_ktime_get_boot_ns();        \
			return 0;                                              \
		}                                                              \
		hit.latency = hit_since(*session_cookie(ctx));                 \
		if (hit_wanted(ctx, fetch_cookie(ctx), HIT_STACK_FRAME, &hit)) \
			on_hit(&hit);                                          \
		return 0;                                                      \
	}

/* Typed and raw programs have no cookie, or a late one (5.19, 6.10): each place has its own copy. */
#define HIT_PROGRAMS                                                  \
	HIT_PROGRAM(probe, fetch_cookie(ctx), HIT_STACK_FRAME)        \
	HIT_PROGRAM(kprobe_multi, fetch_cookie(ctx), HIT_STACK_FRAME) \
	HIT_PROGRAM(uprobe_multi, fetch_cookie(ctx), HIT_STACK_FRAME) \
	HIT_PROGRAM(tracepoint, fetch_cookie(ctx), HIT_NO_FRAME)      \
	HIT_PROGRAM(perf_event, hit_event_cookie(ctx), HIT_NO_FRAME)  \
	HIT_PROGRAM(raw, own_cookie(), HIT_NO_FRAME)                  \
	HIT_PROGRAM(fentry, own_cookie(), HIT_TRAMPOLINE_FRAME)       \
	HIT_PROGRAM(fexit, own_cookie(), HIT_TRAMPOLINE_FRAME)        \
	HIT_SESSION

#endif
