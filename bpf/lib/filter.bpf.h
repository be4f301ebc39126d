/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The filters that every tool has: whether a task's doings are wanted, and which PID the tool's user knows it by. */
#ifndef KIT_FILTER_BPF_H
#define KIT_FILTER_BPF_H

#include "shims.bpf.h"

/* Read-only knobs, set before load. One that is off leaves no instruction behind: the verifier removes dead code. */
const volatile __u32 filter_self; /* the tool's own PID, which is never shown */
const volatile __u32 filter_pidns; /* inode of the tool's PID namespace; 0: the initial one */
const volatile bool filter_by_pid, filter_by_tid, filter_by_user, filter_by_comm, filter_by_tree;
const volatile __u64 filter_cgroup; /* id of a cgroup v2 directory; 0: any */

/*
 * --comm, compiled by the frontend into a machine that runs all globs at once, a bit for each of their positions (the
 * shift-and algorithm): which positions accept a byte, which are stars, where globs start and where they end.
 */
const volatile __u64 filter_comm_accepts[256];
const volatile __u64 filter_comm_stars, filter_comm_starts, filter_comm_ends;

NUMBER_SET(filter_pids, 1);
NUMBER_SET(filter_tids, 1);
NUMBER_SET(filter_users, 1);
/* Processes beneath --tree PID or -- COMMAND, by PID as the tool's user sees it. */
NUMBER_SET(filter_tree, 1);

LOST_COUNTER(map_full__tree);

/* A command waits at the gate until its exec: what it does before is ours, not the command's. */
enum {
	FILTER_TREE_WAITS = 1,
	FILTER_TREE_IN = 2
};

struct filter_ids {
	__u32 pid; /* what userspace calls a PID: the kernel's tgid */
	__u32 tid; /* what userspace calls a TID: the kernel's pid */
};

/* A struct pid's number in the tool's PID namespace; KIT_NO_PID where it has none. */
static __always_inline __u32 filter_number(struct pid *pid)
{
	__u32 level = BPF_CORE_READ(pid, level);

#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < 32 && i <= level; i++) { /* MAX_PID_NS_LEVEL */
		struct upid upid;

		bpf_core_read(&upid, sizeof(upid), &pid->numbers[i]);
		if (BPF_CORE_READ(upid.ns, ns.inum) == filter_pidns)
			return upid.nr;
	}
	return KIT_NO_PID;
}

/* A task's PID as the tool's user sees it. */
static __always_inline __u32 filter_pid_of(struct task_struct *task)
{
	if (!filter_pidns)
		return BPF_CORE_READ(task, tgid);
	return filter_number(BPF_CORE_READ(task, group_leader, thread_pid));
}

static __always_inline struct filter_ids filter_ids_of(struct task_struct *task)
{
	struct filter_ids ids;

	if (!filter_pidns) {
		ids.pid = BPF_CORE_READ(task, tgid);
		ids.tid = BPF_CORE_READ(task, pid);
	} else {
		ids.pid = filter_number(BPF_CORE_READ(task, group_leader, thread_pid));
		ids.tid = filter_number(BPF_CORE_READ(task, thread_pid));
	}
	return ids;
}

/* Of what current_task() returned. */
static __always_inline struct filter_ids filter_ids_of_current(struct task_struct *task)
{
	if (!filter_pidns)
		return (struct filter_ids){ .pid = current_read(task, tgid), .tid = current_read(task, pid) };
	return filter_ids_of(task);
}

static __always_inline struct filter_ids filter_current_ids(void)
{
	return filter_ids_of_current(current_task());
}

/* Writes who the current thread is into a record's pid, tid, uid and comm. */
#define filter_tell_current(record)                                           \
	do {                                                                  \
		struct filter_ids ids_ = filter_current_ids();                \
		(record)->pid = ids_.pid;                                     \
		(record)->tid = ids_.tid;                                     \
		(record)->uid = bpf_get_current_uid_gid();                    \
		bpf_get_current_comm((record)->comm, sizeof((record)->comm)); \
	} while (0)

static __always_inline bool filter_comm_wanted(const char *comm)
{
	__u64 state = filter_comm_starts;

#pragma clang loop unroll(disable)
	for (int i = 0; i < KIT_COMM_SIZE; i++) {
		__u8 byte = comm[i];

		if (!byte)
			break;
		state = ((state & filter_comm_accepts[byte]) << 1) | (state & filter_comm_stars);
		/* A star also matches nothing: whoever reached it has reached what follows. */
		state |= (state & filter_comm_stars) << 1;
	}
	return state & filter_comm_ends;
}

static __always_inline bool filter_cgroup_wanted(struct task_struct *task)
{
	struct cgroup *cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp);
	__u32 depth = BPF_CORE_READ(cgroup, level);

#pragma clang loop unroll(disable)
	for (__u32 level = 0; level < 64 && level <= depth; level++)
		if (cgroup_ancestor_id(cgroup, level) == filter_cgroup)
			return true;
	return false;
}

static __always_inline bool filter_tree_wanted(__u32 pid)
{
	__u8 *state = bpf_map_lookup_elem(&filter_tree, &pid);

	return state && *state == FILTER_TREE_IN;
}

/*
 * Whether the doings of the current task, which current_task() returned, are wanted; the cheap questions first. A call
 * of a helper is most of what a program costs, 24 ns where returns are guarded, so the task is asked for once.
 */
static __always_inline bool filter_current_task(struct task_struct *task)
{
	struct filter_ids ids = filter_ids_of_current(task);

	if (ids.pid == filter_self)
		return false;
	if (filter_by_pid && !bpf_map_lookup_elem(&filter_pids, &ids.pid))
		return false;
	if (filter_by_tid && !bpf_map_lookup_elem(&filter_tids, &ids.tid))
		return false;
	if (filter_by_tree && !filter_tree_wanted(ids.pid))
		return false;
	if (filter_by_user) {
		__u32 user = bpf_get_current_uid_gid();

		if (!bpf_map_lookup_elem(&filter_users, &user))
			return false;
	}
	if (filter_by_comm) {
		char comm[KIT_COMM_SIZE];

		bpf_get_current_comm(comm, sizeof(comm));
		if (!filter_comm_wanted(comm))
			return false;
	}
	if (filter_cgroup && !filter_cgroup_wanted(task))
		return false;
	return true;
}

static __always_inline bool filter_current(void)
{
	return filter_current_task(current_task());
}

/* The same of any task, for rows that are about another than the one that runs. */
static __always_inline bool filter_task(struct task_struct *task)
{
	struct filter_ids ids = filter_ids_of(task);

	if (ids.pid == filter_self)
		return false;
	if (filter_by_pid && !bpf_map_lookup_elem(&filter_pids, &ids.pid))
		return false;
	if (filter_by_tid && !bpf_map_lookup_elem(&filter_tids, &ids.tid))
		return false;
	if (filter_by_tree && !filter_tree_wanted(ids.pid))
		return false;
	if (filter_by_user) {
		__u32 user = BPF_CORE_READ(task, real_cred, uid.val);

		if (!bpf_map_lookup_elem(&filter_users, &user))
			return false;
	}
	if (filter_by_comm) {
		char comm[KIT_COMM_SIZE];

		bpf_core_read(comm, sizeof(comm), &task->comm);
		if (!filter_comm_wanted(comm))
			return false;
	}
	if (filter_cgroup && !filter_cgroup_wanted(task))
		return false;
	return true;
}

/* Whether any filter is set; a constant, once loaded. */
static __always_inline bool filter_any(void)
{
	return filter_by_pid || filter_by_tid || filter_by_user || filter_by_comm || filter_by_tree || filter_cgroup;
}

/* Whether a task is the tool itself. */
static __always_inline bool filter_is_self(struct task_struct *task)
{
	return filter_pid_of(task) == filter_self;
}

/*
 * The tree of --tree and -- COMMAND follows forks, execs and exits, so that whoever is reparented stays in it.
 * These are attached before the tool's own programs, and only where one of the two options is used.
 */
static __always_inline int filter_follow_fork(struct task_struct *parent, struct task_struct *child)
{
	__u32 parent_pid = filter_pid_of(parent), child_pid = filter_pid_of(child);
	__u8 *state = bpf_map_lookup_elem(&filter_tree, &parent_pid);
	__u8 in = FILTER_TREE_IN;

	if (parent_pid == child_pid || !state)
		return 0;
	if (bpf_map_update_elem(&filter_tree, &child_pid, &in, BPF_ANY))
		count_lost(map_full__tree);
	return 0;
}

static __always_inline int filter_follow_exec(void)
{
	__u32 pid = filter_current_ids().pid;
	__u8 *state = bpf_map_lookup_elem(&filter_tree, &pid);

	if (state)
		*state = FILTER_TREE_IN;
	return 0;
}

static __always_inline int filter_follow_exit(struct task_struct *task)
{
	__u32 pid = filter_pid_of(task);

	/* Already counted down for this thread (do_exit() before the tracepoint): 0 when the whole process goes. */
	if (BPF_CORE_READ(task, signal, live.counter) == 0)
		bpf_map_delete_elem(&filter_tree, &pid);
	return 0;
}

SEC("?tp_btf/sched_process_fork")
int BPF_PROG(filter_fork, struct task_struct *parent, struct task_struct *child)
{
	return filter_follow_fork(parent, child);
}

SEC("?tp_btf/sched_process_exec")
int BPF_PROG(filter_exec)
{
	return filter_follow_exec();
}

SEC("?tp_btf/sched_process_exit")
int BPF_PROG(filter_exit, struct task_struct *task)
{
	return filter_follow_exit(task);
}

SEC("?raw_tp/sched_process_fork")
int BPF_PROG(filter_fork_raw, struct task_struct *parent, struct task_struct *child)
{
	return filter_follow_fork(parent, child);
}

SEC("?raw_tp/sched_process_exec")
int BPF_PROG(filter_exec_raw)
{
	return filter_follow_exec();
}

SEC("?raw_tp/sched_process_exit")
int BPF_PROG(filter_exit_raw, struct task_struct *task)
{
	return filter_follow_exit(task);
}

#endif
