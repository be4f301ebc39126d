/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which file is mapped where in a process's memory. Nothing is locked: what is found is asked whether it holds the address. */
#ifndef KIT_MAPPING_BPF_H
#define KIT_MAPPING_BPF_H

#include "base.bpf.h"

/* Up to 6.0 (763ecb035029, 6.1) mappings hung in a red-black tree. */
struct mm_struct___rb {
	struct rb_root mm_rb;
} __attribute__((preserve_access_index));
struct vm_area_struct___rb {
	struct rb_node vm_rb;
} __attribute__((preserve_access_index));

#define MAPPING_DEPTH_RB    48 /* levels; of a tree of 65,530 mappings, the most by default: at most 34 */
#define MAPPING_DEPTH_MAPLE 8 /* the same, of which each has at least five children: 7 */
#define MAPPING_SLOTS	    16 /* of the largest node */

static __always_inline bool mapping_holds(struct vm_area_struct *area, __u64 address)
{
	return area && BPF_CORE_READ(area, vm_start) <= address && address < BPF_CORE_READ(area, vm_end);
}

static __always_inline struct vm_area_struct *mapping_in_rb(struct mm_struct___rb *mm, __u64 address)
{
	struct rb_node *node = BPF_CORE_READ(mm, mm_rb.rb_node);
	struct vm_area_struct___rb *then = NULL;
	struct vm_area_struct *area;

#pragma clang loop unroll(disable)
	for (int i = 0; i < MAPPING_DEPTH_RB && node; i++) {
		area = (void *)node - bpf_core_field_offset(then->vm_rb);
		if (mapping_holds(area, address))
			return area;
		node = address < BPF_CORE_READ(area, vm_start) ? BPF_CORE_READ(node, rb_left) :
								 BPF_CORE_READ(node, rb_right);
	}
	return NULL;
}

/*
 * A node's pivots are the last addresses of its slots, but for the last one's, which may be 0: its parent tells. A
 * pointer to a node bears its type in bits 3 to 6 (lib/maple_tree.c, mte_node_type()); nodes are aligned to 256 bytes.
 * What is in the slot of an address; a function of numbers, so that the verifier follows it once.
 */
__noinline __u64 mapping_in_node(__u64 tagged, __u64 address)
{
	__u64 node = tagged & ~0xffull, type = tagged >> 3 & 0xf, pivot, slot = 0;
	struct maple_range_64 *range = NULL;
	struct maple_arange_64 *arange = NULL;
	__u32 pivots, pivot_at, slots_at, index;

	/* Before, the verifier looks at this all the same, and at what would be read of types that are not there. */
	if (!bpf_core_type_exists(struct maple_range_64))
		return 0;
	pivots = bpf_core_field_size(range->pivot) / sizeof(pivot);
	pivot_at = bpf_core_field_offset(range->pivot);
	slots_at = bpf_core_field_offset(range->slot);
	if (type == bpf_core_enum_value(enum maple_type, maple_arange_64)) {
		pivots = bpf_core_field_size(arange->pivot) / sizeof(pivot);
		pivot_at = bpf_core_field_offset(arange->pivot);
		slots_at = bpf_core_field_offset(arange->slot);
	}
#pragma clang loop unroll(disable)
	for (index = 0; index < MAPPING_SLOTS && index < pivots; index++) {
		pivot = 0;
		bpf_probe_read_kernel(&pivot, sizeof(pivot), (void *)(node + pivot_at + index * sizeof(pivot)));
		if (address <= pivot || (!pivot && index))
			break;
	}
	bpf_probe_read_kernel(&slot, sizeof(slot), (void *)(node + slots_at + index * sizeof(slot)));
	return slot;
}

static __always_inline struct vm_area_struct *mapping_in_maple(struct mm_struct *mm, __u64 address)
{
	__u64 slot = (__u64)BPF_CORE_READ(mm, mm_mt.ma_root), type;

#pragma clang loop unroll(disable)
	for (int depth = 0; depth < MAPPING_DEPTH_MAPLE && slot; depth++) {
		type = slot >> 3 & 0xf;
		slot = mapping_in_node(slot, address);
		if (type == bpf_core_enum_value(enum maple_type, maple_leaf_64))
			return (void *)slot;
	}
	return NULL;
}

/* The file whose content a task's memory is at an address; NULL if it is no file's. */
static __always_inline struct file *mapping_file(struct task_struct *task, __u64 address)
{
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	struct vm_area_struct *area = NULL;

	if (bpf_core_field_exists(((struct mm_struct___rb *)mm)->mm_rb))
		area = mapping_in_rb((void *)mm, address);
	else if (bpf_core_field_exists(mm->mm_mt))
		area = mapping_in_maple(mm, address);
	return mapping_holds(area, address) ? BPF_CORE_READ(area, vm_file) : NULL;
}

#endif
