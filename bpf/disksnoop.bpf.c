// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A record for each block I/O, made when it is over. */
#include "lib/block.bpf.h"
#include "lib/stream.bpf.h"

#include "disksnoop.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile __u64 min_latency; /* ns */

static __always_inline void on_block_io(const struct block_io *io, __u64 now)
{
	struct disksnoop_record *record;

	if (now - io->issued < min_latency)
		return;
	record = stream_reserve(struct disksnoop_record, 0, 0);
	if (!record)
		return;
	record->sector = io->sector;
	record->latency = now - io->issued;
	record->queue = block_waited(io);
	record->disk = io->disk;
	record->bytes = io->bytes;
	record->flags = io->flags;
	record->merges = io->merges;
	record->pid = record->tid = KIT_NO_PID;
	if (io->state & BLOCK_KNOWN) {
		record->pid = io->pid;
		record->tid = io->tid;
		__builtin_memcpy(record->comm, io->comm, sizeof(record->comm));
	}
	stream_submit(record);
}
