// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A record for each new process: not for threads, which share their parent's PID. */
#include "lib/filter.bpf.h"
#include "lib/stream.bpf.h"

#include "hello.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __always_inline int on_fork(struct task_struct *parent, struct task_struct *child)
{
	struct hello_record *record;

	if (BPF_CORE_READ(parent, tgid) == BPF_CORE_READ(child, tgid) || !filter_task(child))
		return 0;
	record = stream_reserve(struct hello_record, 0, 0);
	if (!record)
		return 0;
	record->pid = filter_pid_of(child);
	record->ppid = filter_pid_of(parent);
	record->uid = BPF_CORE_READ(child, real_cred, uid.val);
	bpf_core_read(record->comm, sizeof(record->comm), &child->comm);
	stream_submit(record);
	return 0;
}

SEC("?tp_btf/sched_process_fork")
int BPF_PROG(fork_btf, struct task_struct *parent, struct task_struct *child)
{
	return on_fork(parent, child);
}

SEC("?raw_tp/sched_process_fork")
int BPF_PROG(fork_raw, struct task_struct *parent, struct task_struct *child)
{
	return on_fork(parent, child);
}
