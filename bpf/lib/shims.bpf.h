/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One small function per kernel change: what a program asks for stays the same, where it is found does not. */
#ifndef KIT_SHIMS_BPF_H
#define KIT_SHIMS_BPF_H

#include "base.bpf.h"

/* Since 5.11 (3ca1032ab7ab) there is a typed pointer to the current task, which needs no bpf_probe_read. */
static __always_inline struct task_struct *current_task(void)
{
	if (kernel_has_helper(get_current_task_btf))
		return bpf_get_current_task_btf();
	return (struct task_struct *)bpf_get_current_task();
}

/* A member of what current_task() returned: read without a call where that is a typed pointer. */
#define current_read(task, member) \
	(kernel_has_helper(get_current_task_btf) ? (task)->member : BPF_CORE_READ(task, member))

/* The name of what current_task() returned, KIT_COMM_SIZE bytes of it. */
static __always_inline void current_comm(struct task_struct *task, char *to)
{
	if (kernel_has_helper(get_current_task_btf)) {
		((__u64 *)to)[0] = ((__u64 *)task->comm)[0];
		((__u64 *)to)[1] = ((__u64 *)task->comm)[1];
	} else {
		bpf_get_current_comm(to, KIT_COMM_SIZE);
	}
}

/* Copies a name, as above, over one that differs, and says whether it did. */
static __always_inline bool comm_keep(char *kept, const char *now)
{
	__u64 *to = (__u64 *)kept, *from = (__u64 *)now;

	if (to[0] == from[0] && to[1] == from[1])
		return false;
	to[0] = from[0];
	to[1] = from[1];
	return true;
}

/* The name of the process that what current_task() returned is of: its first thread's, mostly that itself. */
static __always_inline void current_process_comm(struct task_struct *task, char *to)
{
	struct task_struct *leader;

	if (current_read(task, pid) == current_read(task, tgid)) {
		current_comm(task, to);
	} else {
		leader = BPF_CORE_READ(task, group_leader);
		bpf_core_read(to, KIT_COMM_SIZE, &leader->comm);
	}
}

/* Keeps that name where it is another than before: a process that was begun may run a program yet. */
static __always_inline bool current_process_comm_keep(struct task_struct *task, char *kept)
{
	char now[KIT_COMM_SIZE] __attribute__((aligned(8)));

	current_process_comm(task, now);
	return comm_keep(kept, now);
}

/*
 * A pointer as the number that a function for the verifier to follow once wants. Where a program's arguments are typed
 * pointers, a cast alone leaves it one for the verifier, which refuses such a call (6.12).
 */
static __always_inline __u64 as_number(const void *pointer)
{
	__u64 number;

	bpf_probe_read_kernel(&number, sizeof(number), &pointer);
	return number;
}

/* Since 6.1 (c54b5b8a4f0a) a cgroup's ancestors are pointers; before, from 4.18 on, they were ids. */
struct cgroup___ids {
	__u64 ancestor_ids[0];
} __attribute__((preserve_access_index));

struct cgroup___pointers {
	struct cgroup *ancestors[0];
} __attribute__((preserve_access_index));

static __always_inline __u64 cgroup_ancestor_id(struct cgroup *cgroup, __u32 level)
{
	struct cgroup___pointers *now = (void *)cgroup;
	struct cgroup___ids *then = (void *)cgroup;
	struct cgroup *ancestor;
	__u64 id = 0;

	if (bpf_core_field_exists(now->ancestors)) {
		bpf_core_read(&ancestor, sizeof(ancestor), &now->ancestors[level]);
		return BPF_CORE_READ(ancestor, kn, id);
	}
	bpf_core_read(&id, sizeof(id), &then->ancestor_ids[level]);
	return id;
}

/* Since 5.14 (2f064a59a11f) a task's state is `__state`; before, it was `state`, a long. */
struct task_struct___before_5_14 {
	long state;
} __attribute__((preserve_access_index));

static __always_inline __u32 task_state(struct task_struct *task)
{
	struct task_struct___before_5_14 *then = (void *)task;

	if (bpf_core_field_exists(task->__state))
		return BPF_CORE_READ(task, __state);
	return (__u32)BPF_CORE_READ(then, state);
}

/* The same of what current_task() returned: read without a call where that is a typed pointer. */
static __always_inline __u32 current_state(struct task_struct *task)
{
	struct task_struct___before_5_14 *then = (void *)task;

	if (!kernel_has_helper(get_current_task_btf))
		return task_state(task);
	if (bpf_core_field_exists(task->__state))
		return task->__state;
	return (__u32)then->state;
}

#define TASK_STATE_DEAD 0x80 /* TASK_DEAD: its last switch */

/*
 * The registers with which the current task entered the kernel. The system call's arguments stay in them until it
 * returns, except that on arm64 the first gives way to the result and is kept in orig_x0.
 */
static __always_inline struct pt_regs *entry_regs(void)
{
	if (kernel_has_helper(task_pt_regs)) /* 5.15, dd6e10fbd9fb */
		return (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
	/* Before: at the top of the kernel's stack, 16 KiB on both architectures, arm64 keeping 16 bytes above. */
	struct task_struct *task = current_task();
	__u64 top = (__u64)BPF_CORE_READ(task, stack) + 16384;

	return (struct pt_regs *)(top - bpf_core_type_size(struct pt_regs));
}

/* Where the program that the current task runs has its code and its first stack; 0 for a kernel thread. */
static __always_inline void current_program(struct task_struct *task, __u64 *start_code, __u64 *start_stack)
{
	if (kernel_has_helper(get_current_task_btf)) {
		*start_code = task->mm->start_code;
		*start_stack = task->mm->start_stack;
	} else {
		*start_code = BPF_CORE_READ(task, mm, start_code);
		*start_stack = BPF_CORE_READ(task, mm, start_stack);
	}
}

#ifdef __TARGET_ARCH_arm64
/* Where the current task was when it entered the kernel: `cs` is the mode, 0 in 64-bit code of a program. */
struct entry_state {
	__u64 ip, sp, bp, link;
	__u16 cs;
};

static __always_inline void entry_state(struct entry_state *state)
{
	struct pt_regs *regs = entry_regs();

	if (kernel_has_helper(task_pt_regs))
		*state = (struct entry_state){ .ip = regs->pc,
					       .sp = regs->sp,
					       .bp = regs->regs[29],
					       .link = regs->regs[30],
					       .cs = regs->pstate & 0x1f };
	else
		*state = (struct entry_state){ .ip = BPF_CORE_READ(regs, pc),
					       .sp = BPF_CORE_READ(regs, sp),
					       .bp = BPF_CORE_READ(regs, regs[29]),
					       .link = BPF_CORE_READ(regs, regs[30]),
					       .cs = BPF_CORE_READ(regs, pstate) & 0x1f };
}
#else
/* Where the current task was when it entered the kernel. */
struct entry_state {
	__u64 ip, sp, bp;
	__u16 cs;
};

static __always_inline void entry_state(struct entry_state *state)
{
	struct pt_regs *regs = entry_regs();

	if (kernel_has_helper(task_pt_regs))
		*state = (struct entry_state){ .ip = regs->ip, .sp = regs->sp, .bp = regs->bp, .cs = regs->cs };
	else
		*state = (struct entry_state){ .ip = BPF_CORE_READ(regs, ip),
					       .sp = BPF_CORE_READ(regs, sp),
					       .bp = BPF_CORE_READ(regs, bp),
					       .cs = BPF_CORE_READ(regs, cs) };
}
#endif

#ifdef __TARGET_ARCH_arm64
#define SYSCALL_NUMBER_MEMBER syscallno
/* _TIF_32BIT in thread_info.flags. */
#define COMPAT_WORD	    thread_info.flags
#define COMPAT_BIT	    22
#define SYSCALL_ARG0(regs)  BPF_CORE_READ((regs), orig_x0)
#define SYSCALL_ARG1(regs)  BPF_CORE_READ((regs), regs[1])
#define SYSCALL_ARG2(regs)  BPF_CORE_READ((regs), regs[2])
#define SYSCALL_ARG3(regs)  BPF_CORE_READ((regs), regs[3])
#define SYSCALL_COMPAT_ARG0 SYSCALL_ARG0
#else
#define SYSCALL_NUMBER_MEMBER	  orig_ax
/* TS_COMPAT in thread_info.status: this system call came in by a 32-bit entry. */
#define COMPAT_WORD		  thread_info.status
#define COMPAT_BIT		  1
#define SYSCALL_ARG0(regs)	  BPF_CORE_READ((regs), di)
#define SYSCALL_ARG1(regs)	  BPF_CORE_READ((regs), si)
#define SYSCALL_ARG2(regs)	  BPF_CORE_READ((regs), dx)
#define SYSCALL_ARG3(regs)	  BPF_CORE_READ((regs), r10)
/* The first of a call by a 32-bit entry. */
#define SYSCALL_COMPAT_ARG0(regs) ((__u32)BPF_CORE_READ((regs), bx))
#endif

/* Whether a program in user space, stopped with these registers, runs 32-bit code of x86 (__USER32_CS). */
#ifdef __TARGET_ARCH_arm64
#define USER_IS_I386(regs) false
#else
#define USER_IS_I386(regs) ((__u16)BPF_CORE_READ((regs), cs) == 0x23)
#endif

/*
 * Whether a perf event met a program in user space. Its registers are only read whole, and lie as user space knows them
 * in <asm/ptrace.h>, while the kernel's own `cs` became shorter (6.9): no place for CO-RE.
 */
#ifdef __TARGET_ARCH_arm64
#define EVENT_IS_USER(ctx) (!(((const volatile __u64 *)(ctx))[33] & 0xf)) /* pstate */
#else
#define EVENT_IS_USER(ctx) ((((const volatile __u64 *)(ctx))[17] & 3) == 3) /* cs */
#endif

#define SYSCALL_NUMBER(regs) ((__s32)BPF_CORE_READ((regs), SYSCALL_NUMBER_MEMBER))
/* The same of registers that are a typed argument of the program: read without a call. */
#define SYSCALL_NUMBER_TYPED(regs) ((__s32)(regs)->SYSCALL_NUMBER_MEMBER)

/* Whether the system call of the current task is one of the 32-bit ABI of a 64-bit kernel. */
static __always_inline bool current_is_compat(struct task_struct *task)
{
	return (current_read(task, COMPAT_WORD) >> COMPAT_BIT) & 1;
}

#endif
