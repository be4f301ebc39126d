/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Block I/O: one meaning on every kernel. An I/O is a request that was issued to its device, from the issue to its last
 * completion; or, on a disk that has no requests (device-mapper, md, zram, pmem), a bio from its submission to its end.
 *
 * A tool includes this, defines on_block_io(), and gets every program that can see I/O; the frontend's block_plan()
 * chooses among them. Requests are known by their address. There are only so many of them, and they are used again and
 * again, so what is known of each stays and is written over: no I/O costs an allocation, and most requests have a place
 * of their own, found without a call. A bio has an address of its own each time; its entry goes when it ends.
 *
 * What happens to a request, where:
 *   submitted  in the process that wants it: block_io_start (5a80bd075f3b, 6.5), or what stands in for it
 *   issued     anywhere, often in a kernel worker: block_rq_issue; again after a requeue
 *   completed  in an interrupt, maybe in parts: block_rq_complete for each, block_io_done after the last
 * A flush that a disk is sent belongs to the writes that wait for it, and has no bio; the first of them names its process.
 * An end that no program is told of shows when the request is used for another I/O: it is counted then (end_unseen).
 */
#ifndef KIT_BLOCK_BPF_H
#define KIT_BLOCK_BPF_H

#include "filter.bpf.h"
#include "places.bpf.h"
#include "span.bpf.h"

/* Read-only knobs, set by block_plan(). */
const volatile bool block_submitters; /* a program tells who submits */
const volatile bool block_from_bios; /* who submits may be known by a bio alone, from block_getrq */
const volatile bool block_threads; /* the name is the thread's; else the process's */
const volatile bool block_filtered; /* I/O of an unknown process is not wanted */
const volatile bool block_timed; /* when it was submitted and issued is asked for; else only how large it was */
const volatile bool block_disks; /* which disk it is of is asked for */
const volatile bool block_merges; /* bios that are in the request besides the first are counted */
const volatile bool block_queue_first; /* the tracepoints' first argument is a request_queue (before a54895fa, 5.11) */
const volatile bool block_bio_queue_first; /* the same of those of bios (before e8a676d61c07 and its kin, 5.12) */
const volatile __u32 block_only; /* --disk: its number, as the kernel has it; 0: any */
const volatile bool block_only_partition; /* that is a partition */
const volatile __u32 block_place_bits; /* of the number of places */

enum {
	BLOCK_KNOWN = 1, /* its process is */
	BLOCK_UNWANTED = 2, /* of a process that is filtered out */
	BLOCK_ENDED = 4, /* the I/O that this was known of is over */
	BLOCK_OPEN = 8, /* where issues are not looked at: submitted, and its end is to come */
};

/* What is asked of every I/O stands first, in as few cache lines as may be. */
struct block_io {
	__u32 state;
	__u32 pid;
	__u32 tid;
	__u32 summed; /* bytes that partial completions told of */
	char comm[KIT_COMM_SIZE];
	__u64 issued; /* 0: it is not with the device */
	__u64 queued; /* ns, monotonic; when it was submitted, if its process is known */
	__u64 sector; /* of 512 bytes, on the whole disk */
	__u32 bytes;
	__u32 disk; /* or partition: its number, as the kernel has it; 0 if not asked for */
	__u32 flags; /* cmd_flags or bi_opf: the operation is the lowest byte */
	__u32 merges;
};

/* A request that took this place when it was first seen keeps it. */
struct block_place {
	__u64 request; /* its address; 0: free */
	struct block_io io;
} __attribute__((aligned(128)));
PLACES(block_places, struct block_place);

/* Bios, and requests whose place another has. The frontend makes it as large as the machine's requests are many. */
SPAN_MAP(block_ios, __u64, struct block_io);

/*
 * I/O whose end no program was told of, seen when its request is used anew: the kernel skipped the program, which is
 * counted as that, too, or runs none while certain processes do, though an interrupt comes then; or the way that was
 * taken misses it.
 */
LOST_COUNTER(end_unseen);

static const struct block_io block_nothing;

/* Called for every wanted I/O when it is over. */
static __always_inline void on_block_io(const struct block_io *io, __u64 now);

#define BLOCK_OP(io) ((io)->flags & 0xff) /* REQ_OP_MASK */
enum {
	BLOCK_READ = 0, /* REQ_OP_READ and so on: the same on all kernels */
	BLOCK_WRITE = 1,
	BLOCK_FLUSH = 2,
	BLOCK_DRIVERS_OWN = 32 /* from here on */
};

/* From submission to issue; 0 where that is not known. */
static __always_inline __u64 block_waited(const struct block_io *io)
{
	return (io->state & BLOCK_KNOWN) && io->issued > io->queued ? io->issued - io->queued : 0;
}

/* --- What kernels call it --------------------------------------------------------------------------------------- */

/* Up to 5.16 (f3fa33acca9f) a request knew its disk; since then its queue does. */
struct request___disk {
	struct gendisk *rq_disk;
} __attribute__((preserve_access_index));

/* Up to 5.11 (309dca309fc3) a bio named its disk, and 5.10 found the partition by the sector (8446fe9255be, 5.11). */
struct bio___disk {
	struct gendisk *bi_disk;
} __attribute__((preserve_access_index));
struct hd_struct {
	struct device __dev;
} __attribute__((preserve_access_index));

/* Until 6.6 (81ada09cc25e) flushes waited in a list of their own kind. */
struct request___flush {
	struct {
		unsigned int seq;
		struct list_head list;
	} flush;
} __attribute__((preserve_access_index));

/*
 * A member of a structure that a BTF program was given, or can follow from there, is read without a call. But where that
 * is a pointer, in what the program itself was given, the verifier searches all of the kernel's types, for up to 2 ms,
 * each time that it comes by (57539b1c0ac2, 6.3): so it is read once, before anything branches, or by a call.
 */
#define BLOCK_READ_OF(typed, object, member) ((typed) ? (object)->member : BPF_CORE_READ(object, member))

#define BLOCK_NUMBER(typed, disk) \
	((__u32)BLOCK_READ_OF(typed, disk, major) << 20 | (__u32)BLOCK_READ_OF(typed, disk, first_minor))

static __always_inline struct gendisk *block_disk_of(struct request *rq, const bool typed)
{
	struct request___disk *then = (void *)rq;
	struct request_queue *queue;

	if (bpf_core_field_exists(then->rq_disk))
		return BLOCK_READ_OF(typed, then, rq_disk);
	queue = BLOCK_READ_OF(typed, rq, q);
	return BLOCK_READ_OF(typed, queue, disk);
}

/* The number of the whole disk. */
static __always_inline __u32 block_disk(struct request *rq, const bool typed)
{
	struct gendisk *disk = block_disk_of(rq, typed);

	return BLOCK_NUMBER(typed, disk);
}

/* The number of the partition that was asked, or of the whole disk. */
static __always_inline __u32 block_partition(struct request *rq, const bool typed)
{
	struct bio *bio = BLOCK_READ_OF(typed, rq, bio);
	struct block_device *part;

	if (bpf_core_field_exists(bio->bi_bdev)) {
		if (bio) {
			part = BLOCK_READ_OF(typed, bio, bi_bdev);
			return BLOCK_READ_OF(typed, part, bd_dev);
		}
	} else {
		part = BPF_CORE_READ(rq, part);
		if (part && bpf_core_type_exists(struct hd_struct))
			return BPF_CORE_READ((struct hd_struct *)part, __dev.devt);
		if (part)
			return BPF_CORE_READ(part, bd_dev);
	}
	return block_disk(rq, false);
}

/* The request that waits first for this flush; NULL if it is no flush of the kernel's own. */
static __always_inline struct request *block_flush_owner(struct request *rq)
{
	struct blk_flush_queue *queue = BPF_CORE_READ(rq, mq_hctx, fq);
	struct request___flush *then = NULL;
	struct list_head *first;
	__u32 running;

	if (BPF_CORE_READ(queue, flush_rq) != rq)
		return NULL;
	running = BPF_CORE_READ_BITFIELD_PROBED(queue, flush_running_idx);
	bpf_core_read(&first, sizeof(first), &queue->flush_queue[running & 1].next);
	if (bpf_core_field_exists(then->flush.list))
		return (void *)first - bpf_core_field_offset(then->flush.list);
	return (void *)first - bpf_core_field_offset(rq->queuelist);
}

/* Bios that were joined to the first one of a request. */
static __always_inline __u32 block_count_merges(struct request *rq)
{
	struct bio *bio = BPF_CORE_READ(rq, bio);
	__u32 count = 0;

#pragma clang loop unroll(disable)
	for (int i = 0; i < 1024 && bio; i++) {
		bio = BPF_CORE_READ(bio, bi_next);
		count += bio != NULL;
	}
	return count;
}

/* --- What happens to a request ---------------------------------------------------------------------------------- */

static __always_inline struct block_place *block_place(__u64 request)
{
	__u32 index = place_index(place_low_half(request), block_place_bits);

	return bpf_map_lookup_elem(&block_places, &index);
}

/* What is known of a bio, or of a request without a place. */
static __always_inline struct block_io *block_find_bio(__u64 key)
{
	return bpf_map_lookup_elem(&block_ios, &key);
}

/* What is rare is not inlined: the less there is to fetch from the code of what each I/O does, the faster that is. */
static __noinline struct block_io *block_find_apart(__u64 request)
{
	return block_find_bio(request);
}

static __always_inline struct block_io *block_find(__u64 request)
{
	struct block_place *place = block_place(request);

	return place && place->request == request ? &place->io : block_find_apart(request);
}

static __always_inline struct block_io *block_entry_of_bio(__u64 key)
{
	struct block_io *io = block_find_bio(key);

	if (io)
		return io;
	span_begin(block_ios, &key, &block_nothing);
	return block_find_bio(key);
}

static __noinline struct block_io *block_entry_apart(__u64 request)
{
	__u32 index = place_index(place_low_half(request), block_place_bits);
	struct block_place *place = block_place(request);

	if (!place || place->request || !place_claim(&block_places_taken, index))
		return block_entry_of_bio(request);
	place->request = request;
	return &place->io;
}

static __always_inline struct block_io *block_entry(__u64 request)
{
	struct block_place *place = block_place(request);

	return place && place->request == request ? &place->io : block_entry_apart(request);
}

static __always_inline void block_name(struct task_struct *task, struct block_io *io)
{
	if (block_threads)
		current_comm(task, io->comm);
	else
		current_process_comm(task, io->comm);
}

/* Where it is submitted. */
static __always_inline void block_used_anew(struct block_io *io)
{
	if (__builtin_expect(io->issued || (io->state & BLOCK_OPEN), 0))
		count_lost(end_unseen);
}

/* By a process that is not wanted. One that is not known is not wanted either, if others are than ourselves. */
static __noinline int block_submitted_in_vain(__u64 key, const bool bio)
{
	struct block_io *io;

	if (block_filtered)
		io = bio ? block_find_bio(key) : block_find(key);
	else
		io = bio ? block_entry_of_bio(key) : block_entry(key);
	if (io) {
		if (!bio)
			block_used_anew(io);
		io->issued = 0;
		io->state = BLOCK_UNWANTED;
	}
	return 0;
}

/* The current process submits it: a request, or the bio that will be one. `ends`: its end will be told. */
static __always_inline int block_submitted(__u64 key, const bool bio, bool ends)
{
	struct task_struct *task = current_task();
	struct filter_ids ids;
	struct block_io *io;

	if (!filter_current_task(task))
		return block_submitted_in_vain(key, bio);
	io = bio ? block_entry_of_bio(key) : block_entry(key);
	if (!io)
		return 0;
	if (!bio)
		block_used_anew(io);
	ids = filter_ids_of_current(task);
	io->pid = ids.pid;
	io->tid = ids.tid;
	block_name(task, io);
	io->issued = 0;
	io->summed = 0;
	io->state = BLOCK_KNOWN | (ends ? BLOCK_OPEN : 0);
	if (block_timed)
		io->queued = bpf_ktime_get_ns();
	return 0;
}

struct block_where {
	__u32 disk; /* or partition, as far as it is asked for */
	bool wanted; /* by --disk: it is this, or the disk that this is a partition of */
};

static __always_inline struct block_where block_where_of(struct request *rq, const bool typed)
{
	struct block_where where = { .wanted = true };

	if (block_disks)
		where.disk = block_partition(rq, typed);
	if (block_only)
		where.wanted = (block_only_partition ? where.disk : block_disk(rq, typed)) == block_only;
	return where;
}

/* The kernel begins to account for it. A command of a driver's own may end without a word, if it has no data. */
static __always_inline int block_started(struct request *rq, const bool typed)
{
	bool ends = false;

	if (!block_timed && (!block_only || block_where_of(rq, typed).wanted))
		ends = (BLOCK_READ_OF(typed, rq, cmd_flags) & 0xff) < BLOCK_DRIVERS_OWN;
	return block_submitted((__u64)rq, false, ends);
}

/*
 * Put where requests wait for their turn: by its own process when that is the first that happens to it. Not so after a
 * requeue, and not where flushes send their requests on (such have an end_io), which interrupts do.
 */
static __always_inline int block_inserted(struct request *rq, const bool typed)
{
	__u64 key = (__u64)rq;
	struct block_io *io;

	if ((BLOCK_READ_OF(typed, rq, cmd_flags) & 0xff) == BLOCK_FLUSH || BLOCK_READ_OF(typed, rq, end_io))
		return 0;
	io = block_find(key);
	return io && io->issued ? 0 : block_submitted(key, false, false);
}

/* What is known of the process under another key, as that of the request that waits for a flush. */
static __always_inline struct block_io *block_inherit(__u64 key, struct block_io *from)
{
	struct block_io *io = block_entry(key);

	if (!io)
		return NULL;
	io->queued = from->queued;
	io->pid = from->pid;
	io->tid = from->tid;
	__builtin_memcpy(io->comm, from->comm, sizeof(io->comm));
	io->issued = 0;
	io->state = from->state & ~(BLOCK_ENDED | BLOCK_OPEN);
	return io;
}

/* What block_getrq knew of the bio that became the request; taken out of the map, unless it is asked for once more. */
static __always_inline struct block_io *block_take_bio(struct request *rq, struct request *owner)
{
	__u64 key = (__u64)BPF_CORE_READ(owner, bio);
	struct block_io *from = key ? block_find_bio(key) : NULL;

	if (!from) {
		/* Another was joined to its front since. */
		key = (__u64)BPF_CORE_READ(owner, biotail);
		from = key ? block_find_bio(key) : NULL;
	}
	if (!from || from->issued)
		return NULL;
	from = block_inherit((__u64)rq, from);
	if (owner == rq || !BPF_CORE_READ(owner, __data_len))
		bpf_map_delete_elem(&block_ios, &key);
	return from;
}

/* Of a request that was not itself submitted. */
static __noinline struct block_io *block_find_submitter(struct request *rq, __u32 op)
{
	struct request *owner = op == BLOCK_FLUSH ? block_flush_owner(rq) : rq;
	struct block_io *from;
	__u64 key = (__u64)owner;

	if (!owner)
		return NULL;
	from = block_from_bios ? block_take_bio(rq, owner) : NULL;
	if (from || owner == rq)
		return from;
	from = block_find(key);
	return from ? block_inherit((__u64)rq, from) : NULL;
}

/* What is known of a request that shows itself, as block_find() has it; NULL if it is not wanted. */
static __always_inline struct block_io *block_wanted(struct request *rq, struct block_io *io, __u32 flags,
						     const struct block_where *where)
{
	if (block_submitters && (!io || !io->state || (io->state & BLOCK_ENDED))) {
		struct block_io *found = block_find_submitter(rq, flags & 0xff);

		if (!found && io)
			io->state = 0;
		io = found ? found : io;
	}
	if (block_filtered && (!io || !(io->state & BLOCK_KNOWN)))
		return NULL;
	if ((io && (io->state & BLOCK_UNWANTED)) || !where->wanted) {
		if (io) {
			io->issued = 0;
			io->state &= ~BLOCK_OPEN;
		}
		return NULL;
	}
	if (!io)
		io = block_entry((__u64)rq);
	if (io)
		io->disk = where->disk;
	return io;
}

/*
 * Whether a request that was issued is issued again for the same I/O: what is left of it, or what it has grown to. Used
 * anew it was allocated since, in the time that the kernel keeps where it keeps one, or is of another place.
 */
static __always_inline bool block_goes_on(struct request *rq, const struct block_io *io, const bool typed)
{
	__u64 sector = BLOCK_READ_OF(typed, rq, __sector), end = sector + BLOCK_READ_OF(typed, rq, __data_len) / 512;

	if (BLOCK_READ_OF(typed, rq, start_time_ns) > io->issued)
		return false;
	return sector == io->sector || (sector < io->sector + io->bytes / 512 && io->sector < end);
}

/* It goes to the device; a second time if the device had no room, or did only part of it: its first start stays. */
static __always_inline int block_issued(struct request *rq, const bool typed)
{
	const struct block_where where = block_where_of(rq, typed);
	__u32 flags = BLOCK_READ_OF(typed, rq, cmd_flags);
	struct block_io *io = block_find((__u64)rq);

	if (__builtin_expect(io && io->issued, 0)) {
		if (block_goes_on(rq, io, typed))
			return 0;
		/* Nor was it told who submitted this one. */
		count_lost(end_unseen);
		io->issued = 0;
		io->state = 0;
	}
	io = block_wanted(rq, io, flags, &where);
	if (!io)
		return 0;
	io->sector = BLOCK_READ_OF(typed, rq, __sector);
	io->bytes = BLOCK_READ_OF(typed, rq, __data_len);
	io->summed = 0;
	io->flags = flags;
	if (block_merges)
		io->merges = block_count_merges(rq);
	io->issued = bpf_ktime_get_ns();
	return 0;
}

static __always_inline void block_ended(struct block_io *io)
{
	on_block_io(io, block_timed ? bpf_ktime_get_ns() : 0);
	io->issued = 0;
	io->summed = 0;
	/* Not forgotten: a write that asked for flushes before and behind it names the process of the second, too. */
	io->state = (io->state & ~BLOCK_OPEN) | BLOCK_ENDED;
}

/* Its last part is done. */
static __always_inline int block_finished(struct request *rq)
{
	__u64 key = (__u64)rq;
	struct block_io *io = block_find(key);

	if (io && io->issued)
		block_ended(io);
	return 0;
}

/*
 * The same where only sizes are asked for: what its parts come to, without a look at its issue. A write without bytes
 * was never issued: it asked for a flush, which has a request of its own, or is told of again when that is done.
 */
static __always_inline int block_sized(struct request *rq, __u32 bytes, const bool typed)
{
	const struct block_where where = block_where_of(rq, typed);
	__u32 flags = BLOCK_READ_OF(typed, rq, cmd_flags), left = BLOCK_READ_OF(typed, rq, __data_len);
	struct block_io *io = block_find((__u64)rq);

	if (!left && (flags & 0xff) == BLOCK_WRITE) {
		if (io)
			io->state &= ~BLOCK_OPEN;
		return 0;
	}
	io = block_wanted(rq, io, flags, &where);
	if (!io)
		return 0;
	io->summed += bytes;
	if (bytes < left)
		return 0;
	io->bytes = io->summed;
	io->flags = flags;
	block_ended(io);
	return 0;
}

/* Some of it is done: all, if that is as much as is left. */
static __always_inline int block_completed(struct request *rq, __u32 bytes, const bool typed)
{
	if (!block_timed)
		return block_sized(rq, bytes, typed);

	__u64 key = (__u64)rq;
	struct block_io *io = block_find(key);

	if (!io || !io->issued)
		return 0;
	io->summed += bytes;
	if (bytes < BLOCK_READ_OF(typed, rq, __data_len))
		return 0;
	io->bytes = io->summed;
	block_ended(io);
	return 0;
}

/* Joined to another request: it will not be issued. */
static __always_inline int block_absorbed(struct request *rq)
{
	__u64 key = (__u64)rq;
	struct block_io *io = block_find(key);

	if (io) {
		io->issued = 0;
		io->state = 0;
	}
	return 0;
}

/* --- Bios of disks without requests ----------------------------------------------------------------------------- */

/* Its partition's number in the lower half, its disk's in the upper; 0 if the disk has requests. */
static __always_inline __u64 block_bio_numbers(struct bio *bio, const bool typed)
{
	struct bio___disk *then = (void *)bio;
	struct block_device *part;
	struct gendisk *disk;
	struct request_queue *queue;
	__u32 number;

	if (bpf_core_field_exists(then->bi_disk)) {
		disk = BLOCK_READ_OF(typed, then, bi_disk);
		number = BLOCK_NUMBER(typed, disk);
	} else {
		part = BLOCK_READ_OF(typed, bio, bi_bdev);
		disk = BLOCK_READ_OF(typed, part, bd_disk);
		number = BLOCK_READ_OF(typed, part, bd_dev);
	}
	queue = BLOCK_READ_OF(typed, disk, queue);
	if (BLOCK_READ_OF(typed, queue, mq_ops))
		return 0;
	return (__u64)BLOCK_NUMBER(typed, disk) << 32 | number;
}

static __always_inline int block_bio_queued(struct bio *bio, const bool typed)
{
	__u64 key = (__u64)bio, numbers = block_bio_numbers(bio, typed);
	struct task_struct *task;
	struct block_io io = {};
	struct filter_ids ids;

	if (!numbers)
		return 0;
	task = current_task();
	if (!filter_current_task(task))
		return 0;
	if (block_only && (block_only_partition ? (__u32)numbers : numbers >> 32) != block_only)
		return 0;
	ids = filter_ids_of_current(task);
	io.pid = ids.pid;
	io.tid = ids.tid;
	block_name(task, &io);
	io.state = BLOCK_KNOWN;
	io.sector = BPF_CORE_READ(bio, bi_iter.bi_sector);
	io.bytes = BPF_CORE_READ(bio, bi_iter.bi_size);
	io.flags = BPF_CORE_READ(bio, bi_opf);
	io.disk = (__u32)numbers;
	io.issued = io.queued = bpf_ktime_get_ns();
	span_begin(block_ios, &key, &io);
	return 0;
}

static __always_inline int block_bio_ended(struct bio *bio)
{
	__u64 key = (__u64)bio;
	struct block_io *io = bpf_map_lookup_elem(&block_ios, &key);

	if (!io)
		return 0;
	if (io->issued)
		on_block_io(io, bpf_ktime_get_ns());
	bpf_map_delete_elem(&block_ios, &key);
	return 0;
}

/*
 * Where no disk takes bios as they are, nobody looks when bios are queued, which would cost every I/O of the machine.
 * Their end is told of only if they were not made into requests: by a disk that came later. Or by one with requests
 * that refused a bio rather than let it wait (REQ_NOWAIT), which is no I/O.
 */
LOST_COUNTER(disk_came_later);

static __always_inline int block_bio_missed(struct bio *bio)
{
	if (block_bio_numbers(bio, false))
		count_lost(disk_came_later);
	return 0;
}

/* --- The programs: of each tracepoint, as BTF and as raw one, and kprobes --------------------------------------- */

/* In words that clang cannot make into a place that it computes: the verifier lets ctx be read at constants only. */
static __always_inline void *block_argument(const __u64 *ctx, bool second)
{
	void *argument;

	if (second)
		asm volatile("%0 = *(u64 *)(%1 + 8)" : "=r"(argument) : "r"(ctx));
	else
		asm volatile("%0 = *(u64 *)(%1 + 0)" : "=r"(argument) : "r"(ctx));
	return argument;
}

#define BLOCK_TRACEPOINT(name, tracepoint, act)                        \
	SEC("?tp_btf/" #tracepoint) int block_##name##_btf(__u64 *ctx) \
	{                                                              \
		const bool typed = true;                               \
		(void)typed;                                           \
		return act;                                            \
	}                                                              \
	SEC("?raw_tp/" #tracepoint) int block_##name##_raw(__u64 *ctx) \
	{                                                              \
		const bool typed = false;                              \
		(void)typed;                                           \
		return act;                                            \
	}

BLOCK_TRACEPOINT(submit, block_io_start, block_started((void *)ctx[0], typed))
BLOCK_TRACEPOINT(getrq, block_getrq, block_submitted((__u64)block_argument(ctx, block_bio_queue_first), true, false))
BLOCK_TRACEPOINT(insert, block_rq_insert, block_inserted(block_argument(ctx, block_queue_first), typed))
BLOCK_TRACEPOINT(merge, block_rq_merge, block_absorbed(block_argument(ctx, block_queue_first)))
BLOCK_TRACEPOINT(issue, block_rq_issue, block_issued(block_argument(ctx, block_queue_first), typed))
BLOCK_TRACEPOINT(done, block_io_done, block_finished((void *)ctx[0]))
BLOCK_TRACEPOINT(complete, block_rq_complete, block_completed((void *)ctx[0], ctx[2], typed))
BLOCK_TRACEPOINT(bio_queue, block_bio_queue, block_bio_queued(block_argument(ctx, block_bio_queue_first), typed))
BLOCK_TRACEPOINT(bio_complete, block_bio_complete, block_bio_ended((void *)ctx[1]))
BLOCK_TRACEPOINT(bio_missed, block_bio_complete, block_bio_missed((void *)ctx[1]))

SEC("?kprobe/blk_account_io_start")
int BPF_KPROBE(block_submit_kprobe, struct request *rq)
{
	return block_started(rq, false);
}

SEC("?kprobe/blk_mq_start_request")
int BPF_KPROBE(block_issue_kprobe, struct request *rq)
{
	return block_issued(rq, false);
}

SEC("?kprobe/blk_account_io_done")
int BPF_KPROBE(block_account_kprobe, struct request *rq)
{
	return block_finished(rq);
}

SEC("?kprobe/blk_mq_end_request")
int BPF_KPROBE(block_end_kprobe, struct request *rq)
{
	return block_finished(rq);
}

/* Before blk_mq_end_request's own work, of each part: what was done of it is what it comes to. */
SEC("?kprobe/blk_update_request")
int BPF_KPROBE(block_update_kprobe, struct request *rq, int error, unsigned int bytes)
{
	return block_completed(rq, bytes, false);
}

#endif
