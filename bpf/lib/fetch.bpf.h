/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Walks fetch plans (kit/fetch.h). A probe has up to two: the filter is walked before anything is reserved, the values
 * are fetched into the record. A step, the filter and each value are global functions of numbers alone, the context's
 * address among them: so the verifier follows each once, whatever the program and wherever in the loop, and a program
 * is loaded in milliseconds.
 */
#ifndef KIT_FETCH_BPF_H
#define KIT_FETCH_BPF_H

#include "copies.bpf.h"
#include "filter.bpf.h"

/*
 * Read-only knobs: bytes of one string, its NUL included, and where strings may begin, both powers of two, so that a
 * mask bounds them; the tail of a record that has room for all; and whether each string has a place of its own, as in
 * keys, where there is no room for one behind the last.
 */
const volatile __u32 fetch_string_size, fetch_room, fetch_tail;
const volatile bool fetch_apart;
/* And whether a plan has a filter, and one that compares strings: without them nothing is left of the walk. */
const volatile bool fetch_filters, fetch_matches;
/* Whether programs that may sleep do, to let the kernel bring in a page that the process has not touched yet. */
const volatile bool fetch_sleeps;

/* Filled by the frontend between load and attachment; sized by it before. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__type(key, __u32);
	__type(value, struct fetch_plan);
} fetch_plans SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__type(key, __u32);
	__type(value, struct fetch_glob);
} fetch_globs SEC(".maps");

LOST_COUNTER(value_unread);

/* What could not be read; no value looks so but by chance of one in 2^64. */
#define FETCH_UNREAD 0x6b69742d6e6f6e65

/* Read by a helper: the verifier takes no context at an offset that it does not know. */
static __always_inline __u64 fetch_context(__u64 context, const struct fetch_step *step, __u32 size)
{
	__u64 value = 0;

	if (size > sizeof(value))
		size = sizeof(value);
	bpf_probe_read_kernel(&value, size, (void *)(context + step->offset));
	return value;
}

/* As a number, with which the verifier lets be reckoned: by way of memory it forgets what it is. */
static __always_inline __u64 fetch_context_address(void *ctx)
{
	__u64 value = 0;
	void *saved = ctx;

	bpf_probe_read_kernel(&value, sizeof(value), &saved);
	return value;
}

/* Kernel addresses have the highest bit set on both architectures. */
static __always_inline bool fetch_is_kernel(__u64 address)
{
	return address >> 63;
}

static __always_inline __u64 fetch_cast(__u64 value, __u32 bits, bool is_signed)
{
	__u32 shift = (64 - bits) & 63;

	return is_signed ? (__u64)((__s64)(value << shift) >> shift) : value << shift >> shift;
}

static __always_inline __u32 fetch_compare(const struct fetch_step *step, __u64 value)
{
	__u64 sign = (__u64)step->flag << 63, number = step->number ^ sign;
	__u32 order = 2; /* of the bits of fetch_compare */

	value ^= sign;
	if (value < number)
		order = 0;
	if (value == number)
		order = 1;
	return step->index >> order & 1;
}

/* A process of another PID namespace has no number here. */
static __always_inline __u64 fetch_known(__u32 pid)
{
	return pid == KIT_NO_PID ? FETCH_UNREAD : pid;
}

/* A function of its own, so that the verifier follows the search for a PID namespace's numbers once, not in each step. */
__noinline __u64 fetch_of_task(__u32 what)
{
	switch (what) {
	case FETCH_PID:
		return fetch_known(filter_current_ids().pid);
	case FETCH_TID:
		return fetch_known(filter_current_ids().tid);
	case FETCH_UID:
		return (__u32)bpf_get_current_uid_gid();
	case FETCH_GID:
		return bpf_get_current_uid_gid() >> 32;
	case FETCH_CPU:
		return bpf_get_smp_processor_id();
	case FETCH_CGROUP:
		return bpf_get_current_cgroup_id();
	case FETCH_COMM:
		return bpf_get_current_task() + bpf_core_field_offset(struct task_struct, comm);
	}
	return bpf_ktime_get_boot_ns();
}

/*
 * 1 if a string matches a glob, 0 if not, negative if it could not be read. `where` is fetch_verb: user, kernel or comm.
 * A function of its own, and not static, so that the verifier follows it once.
 */
__noinline int fetch_match(__u64 address, __u32 glob_number, __u32 where)
{
	struct fetch_glob *glob = bpf_map_lookup_elem(&fetch_globs, &glob_number);
	char text[FETCH_GLOB_BYTES] = {};
	__u64 state, stars;
	long size = 0;

	if (!fetch_matches || !glob)
		return 0;
	if (where == FETCH_MATCH_USER || (where == FETCH_MATCH_KERNEL && !fetch_is_kernel(address)))
		size = bpf_probe_read_user_str(text, sizeof(text), (void *)address);
	else if (where == FETCH_MATCH_KERNEL)
		size = bpf_probe_read_kernel_str(text, sizeof(text), (void *)address);
	else
		bpf_get_current_comm(text, KIT_COMM_SIZE);
	if (size < 0)
		return -1;
	state = glob->starts;
	stars = glob->stars;
#pragma clang loop unroll(disable)
	for (int i = 0; i < FETCH_GLOB_BYTES; i++) {
		__u8 byte = text[i];

		if (!byte)
			break;
		state = ((state & glob->accepts[byte]) << 1) | (state & stars);
		state |= (state & stars) << 1;
	}
	return (state & glob->ends) != 0;
}

static __always_inline __u64 fetch_read(__u64 address, const struct fetch_step *step)
{
	__u32 size = step->size & 15;
	__u64 read = 0;
	long error;

	if (size > sizeof(read))
		size = sizeof(read);
	if (step->op == FETCH_READ_USER || !fetch_is_kernel(address))
		error = bpf_probe_read_user(&read, size, (void *)address);
	else
		error = bpf_probe_read_kernel(&read, size, (void *)address);
	return error ? FETCH_UNREAD : read;
}

/* The value after one step that fetches or computes: of the filter's, or, counted on behind them, of the values'. */
__noinline __u64 fetch_do(__u64 value, __u64 context, __u32 plan_number, __u32 number, __u64 latency)
{
	struct fetch_plan *plan = bpf_map_lookup_elem(&fetch_plans, &plan_number);
	const struct fetch_step *step;

	if (!plan || number >= FETCH_FILTER_STEPS + FETCH_VALUE_STEPS)
		return 0;
	step = &plan->filter[number];
	switch (step->op) {
	case FETCH_CONSTANT:
		return step->number;
	case FETCH_REGISTER:
		return fetch_context(context, step, sizeof(value));
	case FETCH_ADD_REGISTER:
		return value + (fetch_context(context, step, sizeof(value)) << (step->size & 7));
	case FETCH_ADD:
		return value + step->number;
	case FETCH_READ_USER:
	case FETCH_READ_KERNEL:
		return fetch_read(value + step->offset, step);
	case FETCH_SHIFT:
		return value >> (step->size & 63);
	case FETCH_CAST:
		return fetch_cast(value, step->size, step->flag);
	case FETCH_CONTEXT:
		return fetch_context(context, step, step->size & 15);
	case FETCH_ADD_CONTEXT:
		return value + context;
	case FETCH_LATENCY:
		return latency ? latency : FETCH_UNREAD;
	case FETCH_AT_LEAST:
		return value < step->number ? FETCH_UNREAD : value;
	case FETCH_TASK:
		return fetch_of_task(step->index);
	}
	return value;
}

/* The value after a step of the filter's. Who the current task is, is asked most, and so without calls of our own. */
static __always_inline __u64 fetch_asked(const struct fetch_step *step, __u64 value, __u64 context, __u32 plan_number,
					 __u32 number, __u64 latency)
{
	if (step->op == FETCH_TASK && step->index <= FETCH_TID && !filter_pidns) {
		__u64 ids = bpf_get_current_pid_tgid();

		return step->index == FETCH_PID ? ids >> 32 : (__u32)ids;
	}
	return fetch_do(value, context, plan_number, number, latency);
}

/*
 * Whether the plan's filter wants this hit; `latency` is that of the call that returns, 0 where there is none. Jumps go
 * forward only. Where the walk begins and how far it goes with a step is told from outside, so that the verifier does not
 * know where it is: else it follows each step anew for every way that leads there.
 */
__noinline int fetch_walk_filter(__u64 context, __u32 plan_number, __u64 latency, __u32 number)
{
	struct fetch_plan *plan = bpf_map_lookup_elem(&fetch_plans, &plan_number);
	__u32 truth = number & 1;
	__u64 value = latency;

	if (!fetch_filters)
		return 1;
	if (!plan)
		return 0;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < FETCH_FILTER_STEPS; i++) {
		const struct fetch_step *step;

		barrier_var(number);
		if (number >= FETCH_FILTER_STEPS)
			return 0;
		step = &plan->filter[number];
		if (step->op == FETCH_END)
			return 1;
		if (step->op == FETCH_WANTED)
			return step->flag;
		if (step->op == FETCH_COMPARE) {
			truth = fetch_compare(step, value);
		} else if (step->op == FETCH_JUMP) {
			if (truth == step->flag) {
				number = step->index & 63;
				continue;
			}
		} else if (step->op >= FETCH_MATCH_USER && step->op <= FETCH_MATCH_COMM) {
			int matches = fetch_match(value, step->index, step->op);

			if (matches < 0) {
				count_lost(value_unread);
				return 0;
			}
			truth = (matches ^ step->flag) & 1;
		} else {
			value = fetch_asked(step, value, context, plan_number, number, latency);
			if (value == FETCH_UNREAD) {
				/* Who has no number here is nobody that was asked for, and so not lost. */
				if (step->op != FETCH_TASK)
					count_lost(value_unread);
				return 0;
			}
		}
		number = (number + plan->stride) & 63;
	}
	return 0;
}

static __always_inline bool fetch_wanted(__u64 context, __u32 plan_number, __u64 latency)
{
	return !fetch_filters || fetch_walk_filter(context, plan_number, latency, 0);
}

/* The value whose steps begin at `first`, for the step that shows it. */
__noinline __u64 fetch_evaluate(__u64 context, __u32 plan_number, __u32 first, __u64 latency)
{
	struct fetch_plan *plan = bpf_map_lookup_elem(&fetch_plans, &plan_number);
	__u64 value = 0;

	if (!plan)
		return 0;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < FETCH_VALUE_STEPS; i++) {
		__u32 number = first + i;

		/* Or clang reckons with addresses, whose bounds the verifier does not know. */
		barrier_var(number);
		if (number >= FETCH_VALUE_STEPS || plan->show[number].op >= FETCH_SHOW)
			break;
		value = fetch_do(value, context, plan_number, FETCH_FILTER_STEPS + number, latency);
		if (value == FETCH_UNREAD)
			break;
	}
	return value;
}

/* Masked where it is used: up to 5.16 the verifier forgets the bounds of what goes to the stack and comes back. */
static __always_inline __u64 fetch_masked(__u64 number, __u32 below)
{
	barrier_var(number);
	return number & (below - 1);
}

static __always_inline char *fetch_place(char *tail, __u64 at)
{
	if (fetch_apart) {
		barrier_var(at);
		return tail + (at & (fetch_room - 1) & ~(fetch_string_size - 1));
	}
	return tail + fetch_masked(at, fetch_room);
}

static __always_inline long fetch_user_string(char *tail, __u64 at, __u64 address, bool may_sleep)
{
	long got = bpf_probe_read_user_str(fetch_place(tail, at), fetch_string_size, (void *)address);
	char byte;

	if (got >= 0 || !may_sleep || !fetch_sleeps || bpf_copy_from_user(&byte, sizeof(byte), (void *)address))
		return got;
	/* It may go on in the next page. */
	bpf_copy_from_user(&byte, sizeof(byte), (void *)((address | 4095) + 1));
	return bpf_probe_read_user_str(fetch_place(tail, at), fetch_string_size, (void *)address);
}

/* Puts a string, or bytes, behind those that are in the tail already, of which `used` bytes are. */
static __always_inline void fetch_show_text(__u32 *used, char *tail, struct fetch_result *result,
					    const struct fetch_step *step, __u64 address, __u32 index, bool may_sleep)
{
	__u64 at = *used, size = step->number;
	bool whole = true;
	long got;

	if (at >= fetch_room) {
		result->cut |= 1u << index;
		return;
	}
	if (size >= fetch_string_size) {
		size = fetch_string_size - 1;
		whole = false;
	}
	if (step->op == FETCH_SHOW_STRING_USER || (step->op == FETCH_SHOW_STRING_KERNEL && !fetch_is_kernel(address)))
		got = fetch_user_string(tail, at, address, may_sleep);
	else if (step->op == FETCH_SHOW_STRING_KERNEL)
		got = bpf_probe_read_kernel_str(fetch_place(tail, at), fetch_string_size, (void *)address);
	else if (step->op == FETCH_SHOW_BYTES_USER || !fetch_is_kernel(address))
		got = bpf_probe_read_user(fetch_place(tail, at), fetch_masked(size, fetch_string_size),
					  (void *)address);
	else
		got = bpf_probe_read_kernel(fetch_place(tail, at), fetch_masked(size, fetch_string_size),
					    (void *)address);
	if (got < 0) {
		result->unread |= 1u << index;
		/* Where it should have been; not in a key, of which all that were not read are one. */
		if (!fetch_apart)
			result->values[index] = address;
		return;
	}
	if (step->op <= FETCH_SHOW_STRING_KERNEL) {
		/* Its NUL is not kept. One that fills its room may end there or go on: without its last byte it is cut. */
		whole = got < fetch_string_size;
		size = got ? got - 1 : 0;
		size -= !whole;
	}
	if (!whole)
		result->cut |= 1u << index;
	result->values[index] = at << 32 | size;
	*used = at + (fetch_apart ? fetch_string_size : size);
}

/*
 * Fetches what is shown: up to `values` (a constant), and strings into the tail, whose room is fetch_tail and of which
 * `used` bytes are in use. `may_sleep` is a constant.
 */
static __always_inline void fetch_show(__u64 context, struct fetch_plan *plan, __u32 plan_number, __u64 latency,
				       struct fetch_result *result, __u32 values, char *tail, __u32 *used,
				       bool may_sleep)
{
	__u32 first = 0;

#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < values; i++) {
		__u32 last = plan->shows[i];
		const struct fetch_step *step;
		__u64 value;

		if (last >= FETCH_VALUE_STEPS)
			break;
		value = fetch_evaluate(context, plan_number, first, latency);
		step = &plan->show[last];
		first = last + 1;
		if (value == FETCH_UNREAD)
			result->unread |= 1u << i;
		else if (step->op == FETCH_SHOW)
			result->values[i] = value;
		else if (fetch_room)
			fetch_show_text(used, tail, result, step, value, i, may_sleep);
	}
}

#endif
