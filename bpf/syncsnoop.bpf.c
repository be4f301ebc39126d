// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A record for each call that writes back what is cached, made when the call returns. */
#include "lib/calls.bpf.h"
#include "lib/filter.bpf.h"
#include "lib/mapping.bpf.h"
#include "lib/path.bpf.h"
#include "lib/span.bpf.h"
#include "lib/stream.bpf.h"

#include "syncsnoop.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define ROOM	 512
#define ROOM_MAX 4096

struct sync_span {
	__u64 start; /* ns */
	__u64 named; /* what names the file: a descriptor, or msync's address */
	__u64 file; /* what that stood for; another thread may close it meanwhile */
	__u32 call;
};

/* By the kernel's thread id. */
SPAN_MAP(syncs, __u32, struct sync_span);

/* Not static, so that the verifier follows it once; kernels before 5.12 let such a function take only numbers. */
__noinline __u64 mapped_file(__u64 address)
{
	return (__u64)mapping_file(current_task(), address);
}

/* What the current task names by a call's first argument; 0 if that is no file. */
static __always_inline __u64 named_file(__u32 call, __u64 named)
{
	if (call == SYNCSNOOP_SYNC)
		return 0;
	return call == SYNCSNOOP_MSYNC ? mapped_file(named) : (__u64)path_file(current_task(), named);
}

static __always_inline int on_enter(__u32 call, __u64 named)
{
	struct sync_span span = { .call = call, .named = named };
	__u32 tid = bpf_get_current_pid_tgid();

	if (!filter_current())
		return 0;
	span.file = named_file(call, named);
	span.start = bpf_ktime_get_ns();
	span_begin(syncs, &tid, &span);
	return 0;
}

/* True if the record is done with, false if its path needs more room. */
static __always_inline bool record_in(const struct sync_span *span, __u64 latency, __s32 result, const __u32 room)
{
	struct syncsnoop_record *record = stream_reserve(struct syncsnoop_record, 0, room + PATH_NAME_MAX);
	struct file *file = (void *)span->file;
	bool cut = false;
	__u32 at;

	if (!record)
		return true;
	filter_tell_current(record);
	record->call = span->call;
	record->latency = latency;
	record->error = result < 0 ? -result : 0;
	if (!file) {
		record->notes = SYNCSNOOP_NO_FILE;
	} else if (named_file(span->call, span->named) == span->file) {
		at = path_prepend_some(stream_tail(record), room, PATH_OF(file, f_path),
				       room < ROOM_MAX ? PATH_SOME : PATH_COMPONENTS, &cut);
		if (cut && room < ROOM_MAX) {
			stream_discard(record);
			return false;
		}
		record->notes = SYNCSNOOP_HAS_FILE | (cut ? SYNCSNOOP_CUT_PATH : 0);
		record->head.tail_at = at;
		record->head.tail_size = room - at;
	}
	stream_submit(record);
	return true;
}

/* Not static, as above. */
__noinline int record_sync(__u64 latency, __u64 file, __u64 named, __u32 call, __s32 result)
{
	struct sync_span span = { .file = file, .named = named, .call = call };

	if (!record_in(&span, latency, result, ROOM))
		record_in(&span, latency, result, ROOM_MAX);
	return 0;
}

static __always_inline int on_exit(long result)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct sync_span *found = bpf_map_lookup_elem(&syncs, &tid), span;

	if (!found)
		return 0;
	span = *found;
	bpf_map_delete_elem(&syncs, &tid);
	return record_sync(bpf_ktime_get_ns() - span.start, span.file, span.named, span.call, result);
}

/* asm/unistd.h of each architecture, and of its 32-bit ABI. */
#ifdef __TARGET_ARCH_arm64
static const __s32 native_numbers[SYNCSNOOP_CALLS] = { 81, 82, 83, 227, 84, 267 };
static const __s32 compat_numbers[SYNCSNOOP_CALLS] = { 36, 118, 148, 144, 341, 373 };
#else
static const __s32 native_numbers[SYNCSNOOP_CALLS] = { 162, 74, 75, 26, 277, 306 };
static const __s32 compat_numbers[SYNCSNOOP_CALLS] = { 36, 118, 148, 144, 314, 344 };
#endif

/* SYNCSNOOP_CALLS: none. */
static __always_inline __u32 native_call(__s32 number)
{
	return call_index(native_numbers, SYNCSNOOP_CALLS, number & ~CALL_X32_BIT);
}

static __always_inline __u32 compat_call(__s32 number)
{
	return call_index(compat_numbers, SYNCSNOOP_CALLS, number);
}

/* Every system call of the machine passes here, so the number is looked at before all else. */
static __always_inline int on_any_enter(struct pt_regs *regs, __s32 number)
{
	__u32 native = native_call(number), compat = compat_call(number);

	if (native == SYNCSNOOP_CALLS && compat == SYNCSNOOP_CALLS)
		return 0;
	if (current_is_compat(current_task()))
		return compat == SYNCSNOOP_CALLS ? 0 : on_enter(compat, SYSCALL_COMPAT_ARG0(regs));
	return native == SYNCSNOOP_CALLS ? 0 : on_enter(native, SYSCALL_ARG0(regs));
}

static __always_inline int on_any_exit(struct pt_regs *regs, __s32 number, long result)
{
	__u32 native = native_call(number), compat = compat_call(number);

	return native == SYNCSNOOP_CALLS && compat == SYNCSNOOP_CALLS ? 0 : on_exit(result);
}

/* Attached to the tracepoints of all but sync, which has no arguments that a program might read. */
SEC("?tp/syscalls/sys_enter_fsync")
int enter_tracepoint(struct syscall_trace_enter *ctx)
{
	__u32 call = native_call(ctx->nr);

	return call == SYNCSNOOP_CALLS ? 0 : on_enter(call, ctx->args[0]);
}

SEC("?tp/syscalls/sys_enter_sync")
int enter_sync_tracepoint(struct syscall_trace_enter *ctx)
{
	return on_enter(SYNCSNOOP_SYNC, 0);
}

/* Attached to those of all six. */
SEC("?tp/syscalls/sys_exit_fsync")
int exit_tracepoint(struct syscall_trace_exit *ctx)
{
	return on_exit(ctx->ret);
}

SEC("?tp_btf/sys_enter")
int BPF_PROG(enter_btf, struct pt_regs *regs, long number)
{
	return on_any_enter(regs, number);
}

SEC("?raw_tp/sys_enter")
int BPF_PROG(enter_raw, struct pt_regs *regs, long number)
{
	return on_any_enter(regs, number);
}

CALL_EXIT_PROGRAMS(exit, on_any_exit)
