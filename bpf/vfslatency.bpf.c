// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Counts reads, writes, opens and fsyncs by how long they took: the kernel's functions for them, from entry to return,
 * or, where functions cannot be traced, the system calls. */
#include "lib/filter.bpf.h"
#include "lib/slots.bpf.h"
#include "lib/span.bpf.h"
#include "lib/swap.bpf.h"

#include "vfslatency.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile bool per_process;
/* enum vfslatency_op of each system call, by number; of the 32-bit ABI too. */
const volatile __u8 native_calls[VFSLATENCY_CALLS], compat_calls[VFSLATENCY_CALLS];

/*
 * A running call. One file's read may be another's, as overlayfs has it, so the file tells them apart where the end knows
 * it, too.
 */
struct span_key {
	struct file *file;
	__u32 tid;
	__u32 op;
};
SPAN_MAP(starts, struct span_key, __u64);

SWAPPED_MAP(latencies, BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC, 8192, struct vfslatency_key, struct vfslatency_latencies);
LOST_COUNTER(map_full__latencies);

static const struct vfslatency_latencies no_latencies;

static __always_inline int begin(__u32 op, void *file)
{
	struct task_struct *task = current_task();
	struct span_key key = { .file = file, .op = op };
	__u64 now;

	if (!filter_current_task(task))
		return 0;
	key.tid = current_read(task, pid);
	now = bpf_ktime_get_ns();
	span_begin(starts, &key, &now);
	return 0;
}

static __always_inline int end(__u32 op, void *file)
{
	struct task_struct *task = current_task();
	struct span_key span = { .file = file, .tid = current_read(task, pid), .op = op };
	__u64 *start = bpf_map_lookup_elem(&starts, &span);
	struct vfslatency_latencies *latencies_of;
	struct vfslatency_key key = { .op = op };
	__u64 latency;

	if (!start)
		return 0;
	latency = bpf_ktime_get_ns() - *start;
	bpf_map_delete_elem(&starts, &span);
	if (per_process)
		key.pid = filter_ids_of_current(task).pid;
	latencies_of = SWAPPED_ENTRY(latencies, &key, &no_latencies);
	if (!latencies_of)
		return 0;
	if (per_process)
		current_process_comm_keep(task, latencies_of->comm);
	histogram_add(&latencies_of->ns, latency);
	return 0;
}

/* A function's four programs; `file` is how a typed one knows its file, of which a return probe knows nothing. */
#define VFS_FUNCTION(name, op, function, file)    \
	SEC("?fentry/" function)                  \
	int name##_fentry(__u64 *ctx)             \
	{                                         \
		return begin(op, (void *)(file)); \
	}                                         \
	SEC("?fexit/" function)                   \
	int name##_fexit(__u64 *ctx)              \
	{                                         \
		return end(op, (void *)(file));   \
	}                                         \
	SEC("?kprobe/" function)                  \
	int name##_kprobe(struct pt_regs *ctx)    \
	{                                         \
		return begin(op, NULL);           \
	}                                         \
	SEC("?kretprobe/" function)               \
	int name##_kretprobe(struct pt_regs *ctx) \
	{                                         \
		return end(op, NULL);             \
	}

VFS_FUNCTION(read, VFSLATENCY_READ, "vfs_read", ctx[0])
VFS_FUNCTION(write, VFSLATENCY_WRITE, "vfs_write", ctx[0])
VFS_FUNCTION(open, VFSLATENCY_OPEN, "vfs_open", ctx[1])
/*
 * Compilers inline vfs_fsync() into do_fsync() and at times, as in Debian's 7.2, vfs_fsync_range() with it; then there is
 * a do_fsync(). Where both run, one inside the other, the inner one counts, since neither goes by its file.
 */
VFS_FUNCTION(fsync, VFSLATENCY_FSYNC, "vfs_fsync_range", NULL)
VFS_FUNCTION(do_fsync, VFSLATENCY_FSYNC, "do_fsync", NULL)

static __always_inline __u32 op_of_call(__u64 number)
{
	if (number >= VFSLATENCY_CALLS)
		return VFSLATENCY_NONE;
	/* The same again, in words that the verifier keeps to. */
	asm volatile("%0 &= %1" : "+r"(number) : "i"(VFSLATENCY_CALLS - 1));
	return current_is_compat(current_task()) ? compat_calls[number] : native_calls[number];
}

static __always_inline int on_enter(__u64 number)
{
	__u32 op = op_of_call(number);

	return op ? begin(op, NULL) : 0;
}

static __always_inline int on_exit(__u64 number)
{
	__u32 op = op_of_call(number);

	return op ? end(op, NULL) : 0;
}

SEC("?tp_btf/sys_enter")
int BPF_PROG(enter_btf, struct pt_regs *regs, long number)
{
	return on_enter(number);
}

SEC("?tp_btf/sys_exit")
int BPF_PROG(exit_btf, struct pt_regs *regs)
{
	return on_exit((__u64)SYSCALL_NUMBER_TYPED(regs));
}

SEC("?raw_tp/sys_enter")
int BPF_PROG(enter_raw, struct pt_regs *regs, long number)
{
	return on_enter(number);
}

SEC("?raw_tp/sys_exit")
int BPF_PROG(exit_raw, struct pt_regs *regs)
{
	return on_exit((__u64)SYSCALL_NUMBER(regs));
}
