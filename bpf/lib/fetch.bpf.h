/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Walks fetch plans (kit/fetch.h). A probe has up to two: the filter is walked before anything is reserved, the values
 * are fetched into the record. Both loops are bounded, and all that a step leaves behind is one number and one truth,
 * so that the verifier's states of one turn fall together.
 */
#ifndef KIT_FETCH_BPF_H
#define KIT_FETCH_BPF_H

#include "filter.bpf.h"
#include "stream.bpf.h"

#include "kit/fetch.h"

/*
 * Read-only knobs: bytes of one string, its NUL included, and where strings may begin, both powers of two, so that a
 * mask bounds them; and the tail of a record that has room for all.
 */
const volatile __u32 fetch_string_size, fetch_room, fetch_tail;

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

/* Before 5.15 (7adfc6c9b315) a program cannot know by which attachment it runs; the frontend then has one plan only. */
static __always_inline __u32 fetch_plan_number(void *ctx)
{
	if (kernel_has_helper(get_attach_cookie))
		return bpf_get_attach_cookie(ctx);
	return 0;
}

struct fetch_state {
	__u64 value;
	__u32 next; /* the step to go on at */
	bool truth;
	bool unread;
};

static __always_inline __u64 fetch_register(void *ctx, const struct fetch_step *step)
{
	__u64 value = 0;

	bpf_probe_read_kernel(&value, sizeof(value), ctx + (step->offset & 0x1ff));
	return value;
}

static __always_inline __u64 fetch_cast(__u64 value, __u32 bits, bool is_signed)
{
	__u32 shift = (64 - bits) & 63;

	return is_signed ? (__u64)((__s64)(value << shift) >> shift) : value << shift >> shift;
}

static __always_inline bool fetch_compare(const struct fetch_step *step, __u64 value)
{
	bool equal = value == step->number;
	bool less = step->flag ? (__s64)value < (__s64)step->number : value < step->number;

	switch (step->index) {
	case FETCH_EQUAL:
		return equal;
	case FETCH_UNEQUAL:
		return !equal;
	case FETCH_LESS:
		return less;
	case FETCH_LESS_EQUAL:
		return less || equal;
	case FETCH_MORE:
		return !less && !equal;
	}
	return !less;
}

/* A function of its own, so that the verifier follows the search for a PID namespace's numbers once, not in each step. */
__noinline __u64 fetch_of_task(__u32 what)
{
	switch (what) {
	case FETCH_PID:
		return filter_current_ids().pid;
	case FETCH_TID:
		return filter_current_ids().tid;
	case FETCH_UID:
		return (__u32)bpf_get_current_uid_gid();
	case FETCH_GID:
		return bpf_get_current_uid_gid() >> 32;
	case FETCH_CPU:
		return bpf_get_smp_processor_id();
	case FETCH_CGROUP:
		return bpf_get_current_cgroup_id();
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

	if (!glob)
		return 0;
	if (where == FETCH_MATCH_USER)
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

/* One step that fetches or computes. */
static __always_inline void fetch_value(void *ctx, const struct fetch_step *step, struct fetch_state *state)
{
	__u32 size = step->size & 15;
	__u64 read = 0;
	long error;

	switch (step->op) {
	case FETCH_CONSTANT:
		state->value = step->number;
		break;
	case FETCH_REGISTER:
		state->value = fetch_register(ctx, step);
		break;
	case FETCH_ADD_REGISTER:
		state->value += fetch_register(ctx, step) << (step->size & 7);
		break;
	case FETCH_ADD:
		state->value += step->number;
		break;
	case FETCH_READ_USER:
	case FETCH_READ_KERNEL:
		if (size > sizeof(read))
			size = sizeof(read);
		state->value += step->offset;
		if (step->op == FETCH_READ_USER)
			error = bpf_probe_read_user(&read, size, (void *)state->value);
		else
			error = bpf_probe_read_kernel(&read, size, (void *)state->value);
		if (error)
			state->unread = true;
		state->value = read;
		break;
	case FETCH_SHIFT:
		state->value >>= step->size & 63;
		break;
	case FETCH_CAST:
		state->value = fetch_cast(state->value, step->size, step->flag);
		break;
	case FETCH_TASK:
		state->value = fetch_of_task(step->index);
		break;
	}
}

/* Whether the plan's filter wants this hit. */
static __always_inline bool fetch_wanted(void *ctx, struct fetch_plan *plan)
{
	struct fetch_state state = {};

#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < FETCH_FILTER_STEPS; i++) {
		const struct fetch_step *step = &plan->filter[i];
		int match;

		if (step->op == FETCH_END)
			return true;
		if (i < state.next)
			continue;
		if (step->op == FETCH_WANTED)
			return step->flag;
		if (step->op == FETCH_COMPARE) {
			state.truth = fetch_compare(step, state.value);
		} else if (step->op >= FETCH_MATCH_USER && step->op <= FETCH_MATCH_COMM) {
			match = fetch_match(state.value, step->index, step->op);
			state.unread = match < 0;
			state.truth = (match > 0) != !!step->flag;
		} else if (step->op == FETCH_JUMP) {
			if (state.truth == !!step->flag)
				state.next = step->index;
		} else {
			fetch_value(ctx, step, &state);
		}
		if (state.unread) {
			count_lost(value_unread);
			return false;
		}
	}
	return false;
}

/* Masked where it is used: up to 5.16 the verifier forgets the bounds of what goes to the stack and comes back. */
static __always_inline __u64 fetch_masked(__u64 number, __u32 below)
{
	barrier_var(number);
	return number & (below - 1);
}

static __always_inline char *fetch_place(char *tail, __u64 at)
{
	return tail + fetch_masked(at, fetch_room);
}

/* Puts a string, or bytes, behind those that are in the tail already, whose end the record itself knows. */
static __always_inline void fetch_show_text(struct kit_head *head, char *tail, struct fetch_result *result,
					    const struct fetch_step *step, __u64 address)
{
	__u64 at = head->tail_size, size = step->number;
	__u32 index = step->index;
	bool whole = true;
	long got;

	if (index >= FETCH_VALUES)
		return;
	if (at >= fetch_room) {
		result->cut |= 1u << index;
		return;
	}
	if (size >= fetch_string_size) {
		size = fetch_string_size - 1;
		whole = false;
	}
	if (step->op == FETCH_SHOW_STRING_USER)
		got = bpf_probe_read_user_str(fetch_place(tail, at), fetch_string_size, (void *)address);
	else if (step->op == FETCH_SHOW_STRING_KERNEL)
		got = bpf_probe_read_kernel_str(fetch_place(tail, at), fetch_string_size, (void *)address);
	else if (step->op == FETCH_SHOW_BYTES_USER)
		got = bpf_probe_read_user(fetch_place(tail, at), fetch_masked(size, fetch_string_size),
					  (void *)address);
	else
		got = bpf_probe_read_kernel(fetch_place(tail, at), fetch_masked(size, fetch_string_size),
					    (void *)address);
	if (got < 0) {
		result->unread |= 1u << index;
		return;
	}
	if (step->op <= FETCH_SHOW_STRING_KERNEL) {
		/* A string that fills its room may go on; its NUL is not kept. */
		whole = got < fetch_string_size;
		size = got ? got - 1 : 0;
	}
	if (!whole)
		result->cut |= 1u << index;
	result->values[index] = at << 32 | size;
	head->tail_size = at + size;
}

/* Fetches what is shown. The tail's room is fetch_tail. */
static __always_inline void fetch_show(void *ctx, struct fetch_plan *plan, struct kit_head *head, char *tail,
				       struct fetch_result *result)
{
	struct fetch_state state = {};

#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < FETCH_VALUE_STEPS; i++) {
		const struct fetch_step *step = &plan->show[i];

		if (step->op == FETCH_END)
			break;
		if (step->op < FETCH_SHOW) {
			fetch_value(ctx, step, &state);
			continue;
		}
		if (step->index >= FETCH_VALUES)
			break;
		if (state.unread)
			result->unread |= 1u << step->index;
		else if (step->op == FETCH_SHOW)
			result->values[step->index] = state.value;
		else if (fetch_room)
			fetch_show_text(head, tail, result, step, state.value);
		state.unread = false;
	}
}

#endif
