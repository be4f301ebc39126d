// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A record for each call of chosen functions and for each return, told apart by where on the stack the call's return
 * address is. Which call a return ends, and what lies beneath what, is the frontend's to find out: a call may end
 * without a return (longjmp, an exception), and that shows only in what follows.
 */
#include "lib/fetch.bpf.h"
#include "lib/span.bpf.h"
#include "lib/stream.bpf.h"

#include "fgraph.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile bool calls_of_program; /* of libraries, only what the program itself calls */
const volatile __u32 most_depth; /* calls beneath each other that are shown; 0: all */
const volatile __u32 kernel_depth; /* of the kernel's functions, beneath a system call; 0: wherever they are called */
const volatile bool with_values; /* whether cookies may name plans */

/* Calls beneath each other that are known here, a power of two; what lies deeper is told of without. */
#define TRACKED 128

struct open_call {
	__u64 frame;
	__u64 function;
};

struct thread {
	__u64 jumped; /* the frame of the last call that ended in a jump to another function; 0: none that is still to come */
	__u32 number; /* of its records */
	__u32 depth;
	__u32 base; /* the depth within the system call that runs; 0: none does */
	__u32 zero;
	struct open_call open[TRACKED]; /* outermost first */
};

/* By the kernel's thread id, from a thread's first call to its end. */
SPAN_MAP(threads, __u32, struct thread);

static const struct thread no_thread;

/* Calls in the kernel beneath so many that are known. */
LOST_COUNTER(too_deep);

struct call {
	__u64 cookie, frame, caller, address;
};

/* The kernel's stacks lie at higher addresses than programs', and yet beneath them. */
#define ORDERED(address) ((address) ^ 1ULL << 63)

#define KERNEL_STACK_SIZE 16384 /* on both architectures */

static __always_inline struct thread *thread_of(struct task_struct *task)
{
	__u32 tid = current_read(task, pid);
	struct thread *thread = bpf_map_lookup_elem(&threads, &tid);

	if (thread)
		return thread;
	span_begin(threads, &tid, &no_thread);
	return bpf_map_lookup_elem(&threads, &tid);
}

/* Whether an address is in the code of the program itself rather than in a library. */
static __always_inline bool in_program(struct task_struct *task, __u64 address)
{
	struct mm_struct *mm = BPF_CORE_READ(task, mm);

	return address >= BPF_CORE_READ(mm, start_code) && address < BPF_CORE_READ(mm, end_code);
}

/* Whether a call returns to the kernel's own place for returns that are probed, from where it goes on to the caller. */
static __always_inline bool is_trampoline(struct task_struct *task, __u64 address)
{
	struct xol_area *area = BPF_CORE_READ(task, mm, uprobes_state.xol_area);

	return area && BPF_CORE_READ(area, vaddr) == address;
}

static __always_inline struct open_call *open_at(struct thread *thread, __u32 depth)
{
	return &thread->open[(depth - 1) & (TRACKED - 1)];
}

/* Of the open calls those that lie deeper than this frame have ended, however they did. */
static __always_inline void close_beneath(struct thread *thread, __u64 frame)
{
	__u32 depth = thread->depth;

#pragma clang loop unroll(disable)
	for (int i = 0; i < TRACKED && depth && open_at(thread, depth)->frame < frame; i++)
		depth--;
	thread->depth = depth;
}

static __always_inline bool is_top(struct thread *thread, __u64 frame)
{
	return thread->depth && open_at(thread, thread->depth)->frame == frame;
}

static __always_inline void open(struct thread *thread, const struct call *call)
{
	struct open_call *open;

	if (thread->depth >= TRACKED)
		return;
	open = open_at(thread, ++thread->depth);
	open->frame = call->frame;
	open->function = (__u32)call->cookie;
}

/*
 * Whether a call that begins is to be told of. At the frame of the last one it was reached by a jump from there if both
 * return to the same place of the kernel's; else that one has ended.
 */
static __always_inline bool enter_counts(struct task_struct *task, struct thread *thread, struct call *call)
{
	bool jumped = thread->jumped == call->frame;

	if (jumped)
		thread->jumped = 0;
	close_beneath(thread, call->frame);
	if (is_top(thread, call->frame)) {
		if (is_trampoline(task, call->caller)) {
			call->caller = 0;
			jumped = true;
		} else {
			close_beneath(thread, call->frame + 1);
		}
	}
	if (calls_of_program && (call->cookie & FGRAPH_LIBRARY) && !jumped && !in_program(task, call->caller))
		return false;
	if (most_depth && thread->depth >= most_depth)
		return false;
	open(thread, call);
	return true;
}

/* Whether a function of the kernel is to be told of: interrupts have stacks of their own, and their calls are nobody's. */
static __always_inline bool kernel_counts(struct task_struct *task, struct thread *thread, struct call *call)
{
	__u64 stack = ORDERED((__u64)BPF_CORE_READ(task, stack)), limit = kernel_depth ? kernel_depth : most_depth;

	if (call->frame < stack || call->frame >= stack + KERNEL_STACK_SIZE)
		return false;
	if (kernel_depth && !thread->base)
		return false;
	close_beneath(thread, call->frame);
	/* At the frame of the last one it was reached by a jump from there: all of the kernel's functions return. */
	if (limit && thread->depth >= thread->base + limit)
		return false;
	if (thread->depth >= TRACKED) {
		count_lost(too_deep);
		return false;
	}
	open(thread, call);
	return true;
}

/* Whether a call that ends was told of. The code of one function may lie in another's: then two seem to end. */
static __always_inline bool end_counts(struct task_struct *task, struct thread *thread, struct call *call)
{
	close_beneath(thread, call->frame);
	if (is_top(thread, call->frame)) {
		if (open_at(thread, thread->depth)->function != (__u32)call->cookie)
			return false;
		thread->depth--;
		return true;
	}
	if (thread->depth < TRACKED || (call->cookie & FGRAPH_KERNEL))
		return false;
	return !calls_of_program || !(call->cookie & FGRAPH_LIBRARY) || in_program(task, call->caller);
}

static __always_inline void tell_call(struct task_struct *task, struct thread *thread, struct fgraph_record *record,
				      const struct call *call)
{
	struct filter_ids ids = filter_ids_of_current(task);

	record->pid = ids.pid;
	record->tid = ids.tid;
	record->number = thread->number;
	record->function = call->cookie;
	record->frame = call->frame;
	record->caller = call->caller;
	record->address = call->address;
	current_comm(task, record->comm);
}

static __always_inline void tell(struct task_struct *task, struct thread *thread, __u32 kind, const struct call *call)
{
	struct fgraph_record *record;

	thread->number++;
	record = stream_reserve(struct fgraph_record, kind, 0);
	if (!record)
		return;
	tell_call(task, thread, record, call);
	stream_submit(record);
}

/* With the values of its plan. */
static __always_inline int tell_valued(struct pt_regs *ctx, struct thread *thread, __u32 kind, const struct call *call,
				       bool may_sleep)
{
	__u32 number = (call->cookie >> FGRAPH_PLAN_AT) - 1;
	struct fetch_plan *plan = bpf_map_lookup_elem(&fetch_plans, &number);
	struct fgraph_valued *record;

	thread->number++;
	if (!plan)
		return 0;
	record = stream_reserve(struct fgraph_valued, kind, fetch_tail);
	if (!record)
		return 0;
	tell_call(current_task(), thread, &record->call, call);
	fetch_show(fetch_context_address(ctx), plan, number, 0, &record->fetched, FETCH_VALUES, stream_tail(record),
		   &record->call.head.tail_size, may_sleep);
	stream_submit(record);
	return 0;
}

/* As functions of their own the verifier follows them once. */
static __noinline int tell_user(struct pt_regs *ctx, struct thread *thread, __u32 kind, const struct call *call)
{
	return tell_valued(ctx, thread, kind, call, true);
}

static __noinline int tell_kernel(struct pt_regs *ctx, struct thread *thread, __u32 kind, const struct call *call)
{
	return tell_valued(ctx, thread, kind, call, false);
}

static __always_inline void tell_place(struct pt_regs *ctx, struct task_struct *task, struct thread *thread, __u32 kind,
				       const struct call *call, bool may_sleep)
{
	if (with_values && call->cookie >> FGRAPH_PLAN_AT)
		may_sleep ? tell_user(ctx, thread, kind, call) : tell_kernel(ctx, thread, kind, call);
	else
		tell(task, thread, kind, call);
}

/* Of a place that is not a call's beginning alone. */
static __always_inline __u32 end_kind(__u64 cookie)
{
	return cookie & FGRAPH_AT_JUMP ? FGRAPH_JUMP : FGRAPH_RETURN;
}

static __always_inline struct call call_at(struct pt_regs *ctx, __u64 cookie)
{
	struct call call = { .cookie = cookie, .frame = PT_REGS_SP(ctx), .address = PT_REGS_IP(ctx) };
	bool kernel = cookie & FGRAPH_KERNEL;

#ifdef __TARGET_ARCH_arm64
	call.caller = cookie & FGRAPH_POPPED ? call.address : PT_REGS_RET(ctx);
#else
	/* At a return that was popped the program is where it returned to. */
	if (cookie & FGRAPH_POPPED) {
		call.frame -= sizeof(__u64);
		call.caller = call.address;
	} else if (!kernel) {
		bpf_probe_read_user(&call.caller, sizeof(call.caller), (void *)call.frame);
	}
#endif
	if (kernel)
		call.caller = call.address = 0;
	call.frame = ORDERED(call.frame);
	return call;
}

/* What has become of a call at its beginning. */
enum entered {
	UNTOLD,
	TOLD,
	ENDS_AT_ONCE
};

static __always_inline enum entered on_enter(struct pt_regs *ctx, struct task_struct *task, struct call *call,
					     bool may_sleep)
{
	struct thread *thread = thread_of(task);

	if (!thread)
		return UNTOLD;
	if (call->cookie & FGRAPH_KERNEL ? !kernel_counts(task, thread, call) : !enter_counts(task, thread, call))
		return UNTOLD;
	tell_place(ctx, task, thread, FGRAPH_ENTER, call, may_sleep);
	/* The plan was that of the beginning. */
	call->cookie &= (1ULL << FGRAPH_PLAN_AT) - 1;
	return call->cookie & FGRAPH_AT_ONCE ? ENDS_AT_ONCE : TOLD;
}

static __always_inline void on_return(struct pt_regs *ctx, struct task_struct *task, struct call *call, bool may_sleep)
{
	__u32 tid = current_read(task, pid);
	struct thread *thread = bpf_map_lookup_elem(&threads, &tid);

	if (!thread || !end_counts(task, thread, call))
		return;
	if (call->cookie & FGRAPH_AT_JUMP)
		thread->jumped = call->frame;
	tell_place(ctx, task, thread, end_kind(call->cookie), call, may_sleep);
}

static __always_inline int on_call(struct pt_regs *ctx, __u64 cookie, bool may_sleep)
{
	struct task_struct *task = current_task();
	struct call call;

	if (!filter_current_task(task))
		return 0;
	call = call_at(ctx, cookie);
	if ((cookie & FGRAPH_AT_RETURN) || on_enter(ctx, task, &call, may_sleep) == ENDS_AT_ONCE)
		on_return(ctx, task, &call, may_sleep);
	return 0;
}

SEC("?hit/probe")
int hit_probe(struct pt_regs *ctx)
{
	return on_call(ctx, fetch_cookie(ctx), true);
}

SEC("?hit/uprobe_multi")
int hit_uprobe_multi(struct pt_regs *ctx)
{
	return on_call(ctx, fetch_cookie(ctx), true);
}

SEC("?hit/kprobe_multi")
int hit_kprobe_multi(struct pt_regs *ctx)
{
	return on_call(ctx, fetch_cookie(ctx), false);
}

/* One program for beginnings and returns (535a3692ba72, 6.10); 1 at a beginning: its return need not be told. */
SEC("?hit/kprobe_session")
int hit_kprobe_session(struct pt_regs *ctx)
{
	__u64 cookie = bpf_get_attach_cookie(ctx);
	struct task_struct *task = current_task();
	struct call call;

	if (session_returns(ctx))
		return on_call(ctx, cookie | FGRAPH_AT_RETURN | FGRAPH_POPPED, false);
	if (!filter_current_task(task))
		return 1;
	call = call_at(ctx, cookie);
	return on_enter(ctx, task, &call, false) == UNTOLD;
}

/* The calls by which a program is led back from a probe of the kernel's way of returns (6.11), and from others (6.18). */
static __always_inline bool is_probe(struct task_struct *task, long number)
{
#ifdef __TARGET_ARCH_x86
	return (number == 335 || number == 336) && !current_is_compat(task);
#else
	return false;
#endif
}

/* A system call is one of the thread's calls like the others; its frame is where its registers are kept. */
static __always_inline int on_syscall(struct pt_regs *regs, long number)
{
	struct task_struct *task = current_task();
	struct thread *thread;
	struct call call = {};

	if (is_probe(task, number) || !filter_current_task(task))
		return 0;
	thread = thread_of(task);
	if (!thread)
		return 0;
	call.cookie = FGRAPH_FIRST_SYSCALL | (__u32)number | (current_is_compat(task) ? FGRAPH_COMPAT : 0);
	call.frame = ORDERED((__u64)regs);
	call.caller = PT_REGS_IP_CORE(regs);
	close_beneath(thread, call.frame + 1);
	if (thread->depth >= TRACKED) {
		count_lost(too_deep);
		return 0;
	}
	open(thread, &call);
	thread->base = thread->depth;
	tell(task, thread, FGRAPH_ENTER, &call);
	return 0;
}

SEC("?raw_tp/sys_enter")
int BPF_PROG(enter_syscall, struct pt_regs *regs, long number)
{
	return on_syscall(regs, number);
}

SEC("?raw_tp/sys_exit")
int BPF_PROG(exit_syscall, struct pt_regs *regs)
{
	struct task_struct *task = current_task();
	__u32 tid = current_read(task, pid);
	struct thread *thread = bpf_map_lookup_elem(&threads, &tid);
	struct call call = { .frame = ORDERED((__u64)regs) };

	if (!thread || !thread->base)
		return 0;
	thread->base = 0;
	close_beneath(thread, call.frame);
	if (!is_top(thread, call.frame))
		return 0;
	call.cookie = open_at(thread, thread->depth)->function;
	thread->depth--;
	tell(task, thread, FGRAPH_RETURN, &call);
	return 0;
}

/* The end of a thread's calls; whoever has made one was wanted. */
static __always_inline int on_end(__u32 tid, __u32 kind)
{
	struct thread *thread = bpf_map_lookup_elem(&threads, &tid);
	struct call none = {};

	if (!thread)
		return 0;
	tell(current_task(), thread, kind, &none);
	bpf_map_delete_elem(&threads, &tid);
	return 0;
}

SEC("?raw_tp/sched_process_exit")
int BPF_PROG(exit_raw)
{
	return on_end(bpf_get_current_pid_tgid(), FGRAPH_EXIT);
}

/* A thread that is not its process's first takes over the first one's number. */
SEC("?raw_tp/sched_process_exec")
int BPF_PROG(exec_raw, struct task_struct *task, __u32 old_tid)
{
	return on_end(old_tid, FGRAPH_EXEC);
}
