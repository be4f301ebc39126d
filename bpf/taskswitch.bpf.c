// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Counts, for each pair of tasks, how often one handed the CPU to the other. It runs at every switch of the machine, so
 * that a known pair costs a look at the filter and one at the map; names are taken only when a pair is new. */
#include "lib/filter.bpf.h"
#include "lib/swap.bpf.h"

#include "taskswitch.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SWAPPED_MAP(counts, BPF_MAP_TYPE_HASH, 0, 16384, struct taskswitch_pair, __u64);
SWAPPED_MAP(tasks, BPF_MAP_TYPE_HASH, 0, 16384, __u32, struct taskswitch_task);

LOST_COUNTER(map_full__counts);
LOST_COUNTER(map_full__tasks);

/* A switch is about both: it is wanted if either is; the tool itself is in none that is shown. */
static __always_inline bool pair_wanted(struct task_struct *prev, struct task_struct *next, __u32 prev_pid,
					__u32 next_pid)
{
	if (filter_any())
		return (filter_task(prev) && !filter_is_self(next)) || (filter_task(next) && !filter_is_self(prev));
	if (filter_pidns)
		return !filter_is_self(prev) && !filter_is_self(next);
	return prev_pid != filter_self && next_pid != filter_self;
}

static __always_inline void remember(void *tasks_map, __u32 key, struct task_struct *task)
{
	struct taskswitch_task who = {};
	struct filter_ids ids;

	if (bpf_map_lookup_elem(tasks_map, &key))
		return;
	ids = filter_ids_of(task);
	who.pid = key ? ids.pid : 0;
	who.tid = key ? ids.tid : 0;
	bpf_core_read(who.comm, sizeof(who.comm), &task->comm);
	if (bpf_map_update_elem(tasks_map, &key, &who, BPF_ANY))
		count_lost(map_full__tasks);
}

/* A pair's first switch: its entry, with who both are. */
static __always_inline __u64 *begin_pair(void *map, const struct taskswitch_pair *pair, struct task_struct *prev,
					 struct task_struct *next)
{
	void *tasks_map = swapped_map(&tasks);
	__u64 zero = 0, *count;

	bpf_map_update_elem(map, pair, &zero, BPF_NOEXIST);
	count = bpf_map_lookup_elem(map, pair);
	if (!count) {
		count_lost(map_full__counts);
		return NULL;
	}
	if (tasks_map) {
		remember(tasks_map, pair->prev, prev);
		remember(tasks_map, pair->next, next);
	}
	return count;
}

static __always_inline int count_switch(struct task_struct *prev, struct task_struct *next,
					const struct taskswitch_pair *pair)
{
	void *map = swapped_map(&counts);
	__u64 *count;

	if (!map)
		return 0;
	count = bpf_map_lookup_elem(map, pair);
	if (!count)
		count = begin_pair(map, pair, prev, next);
	/* One number for all CPUs: a pair is seldom switched on two at once, and a number for each takes 20 ms to make. */
	if (count)
		__sync_fetch_and_add(count, 1);
	return 0;
}

SEC("?tp_btf/sched_switch")
int BPF_PROG(switch_btf, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	struct taskswitch_pair pair = { .prev = prev->pid, .next = next->pid };

	return pair_wanted(prev, next, prev->tgid, next->tgid) ? count_switch(prev, next, &pair) : 0;
}

static __always_inline int on_switch(struct task_struct *prev, struct task_struct *next)
{
	struct taskswitch_pair pair = { .prev = BPF_CORE_READ(prev, pid), .next = BPF_CORE_READ(next, pid) };

	if (!pair_wanted(prev, next, BPF_CORE_READ(prev, tgid), BPF_CORE_READ(next, tgid)))
		return 0;
	return count_switch(prev, next, &pair);
}

SEC("?raw_tp/sched_switch")
int BPF_PROG(switch_raw, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	return on_switch(prev, next);
}

/* A thread runs another program, or is called otherwise from now on. */
static __always_inline int on_rename(__u32 key, const char *comm)
{
	void *tasks_map = swapped_map(&tasks);
	struct taskswitch_task *who = tasks_map ? bpf_map_lookup_elem(tasks_map, &key) : NULL;

	if (who)
		bpf_probe_read_kernel_str(who->comm, sizeof(who->comm), comm);
	return 0;
}

SEC("?tp_btf/task_rename")
int BPF_PROG(rename_btf, struct task_struct *task, const char *comm)
{
	return on_rename(task->pid, comm);
}

SEC("?raw_tp/task_rename")
int BPF_PROG(rename_raw, struct task_struct *task, const char *comm)
{
	return on_rename(BPF_CORE_READ(task, pid), comm);
}

/* Runs in the next task, right after the switch. */
SEC("?kprobe/finish_task_switch")
int BPF_KPROBE(switch_finished, struct task_struct *prev)
{
	return on_switch(prev, (struct task_struct *)bpf_get_current_task());
}
