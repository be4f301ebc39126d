// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Counts block I/O by how long it took. */
#include "lib/block.bpf.h"
#include "lib/slots.bpf.h"
#include "lib/swap.bpf.h"

#include "biolatency.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile bool with_queue, per_disk, per_operation;

SWAPPED_PLACES(latencies, 4, 4096, struct biolatency_latencies);
LOST_COUNTER(map_full__latencies);

static const struct biolatency_latencies no_latencies;

static __always_inline void on_block_io(const struct block_io *io, __u64 now)
{
	struct biolatency_key key = {};
	struct biolatency_latencies *latencies_of;
	__u64 number;

	if (per_disk)
		key.disk = io->disk;
	if (per_operation)
		key.operation = BLOCK_OP(io);
	number = biolatency_number(&key);
	latencies_of = SWAPPED_PLACES_ENTRY(latencies, number, (struct biolatency_latencies *)&no_latencies);
	if (latencies_of)
		histogram_add(&latencies_of->ns, now - io->issued + (with_queue ? block_waited(io) : 0));
}
