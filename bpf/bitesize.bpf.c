// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Counts block I/O by how large it is, for each process that submits it. */
#include "lib/block.bpf.h"
#include "lib/slots.bpf.h"
#include "lib/swap.bpf.h"

#include "bitesize.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile bool per_disk, per_operation;

SWAPPED_PLACES(sizes, 8, 8192, struct bitesize_sizes);
LOST_COUNTER(map_full__sizes);

static const struct bitesize_sizes no_sizes;

static __always_inline void on_block_io(const struct block_io *io, __u64 now)
{
	bool known = io->state & BLOCK_KNOWN;
	struct bitesize_key key = { .pid = known ? io->pid : KIT_NO_PID };
	struct bitesize_sizes *sizes_of;
	__u64 number;

	if (per_disk)
		key.disk = io->disk;
	if (per_operation)
		key.operation = BLOCK_OP(io);
	number = bitesize_number(&key);
	sizes_of = SWAPPED_PLACES_ENTRY(sizes, number, (struct bitesize_sizes *)&no_sizes);
	if (!sizes_of)
		return;
	if (known)
		comm_keep(sizes_of->comm, io->comm);
	histogram_add(&sizes_of->bytes, io->bytes);
}
