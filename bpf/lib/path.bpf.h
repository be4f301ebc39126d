/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A directory entry's path from the root of its mount namespace, written backwards from the leaf. */
#ifndef KIT_PATH_BPF_H
#define KIT_PATH_BPF_H

#include "base.bpf.h"

#define PATH_COMPONENTS 160 /* deeper ones are cut at the root's end, and said to be */
#define PATH_ROOM_MASK	0x1fff /* no buffer is larger */
#define PATH_NAME_MAX	256 /* NAME_MAX and the slash before it */

struct path_walk {
	struct dentry *dentry;
	struct mount *mount;
};

static __always_inline struct path_walk path_start(struct dentry *dentry, struct vfsmount *vfsmount)
{
	return (struct path_walk){
		.dentry = dentry,
		.mount = (void *)vfsmount - bpf_core_field_offset(struct mount, mnt),
	};
}

/* Where the struct path that is `member` of a kernel structure leads. */
#define PATH_OF(object, member) path_start(BPF_CORE_READ(object, member.dentry), BPF_CORE_READ(object, member.mnt))

/* The same of a member behind a pointer of the object: task->fs->pwd. */
#define PATH_BEHIND(object, pointer, member) \
	path_start(BPF_CORE_READ(object, pointer, member.dentry), BPF_CORE_READ(object, pointer, member.mnt))

#define PATH_MNT_INTERNAL 0x4000 /* MNT_INTERNAL: of the kernel's own file systems, as those of pipes and sockets */

static __always_inline bool path_has_one(struct file *file)
{
	return !(BPF_CORE_READ(file, f_path.mnt, mnt_flags) & PATH_MNT_INTERNAL);
}

/*
 * Changes nothing, but makes the verifier forget which other values this one equals: by those links two ways to the same
 * place would look different to it, and it would follow both to the end.
 */
#define path_forget(value) asm volatile("%0 &= %1" : "+r"(value) : "i"(PATH_ROOM_MASK))

/*
 * Writes "/a/b/c" so that it ends just before buffer[end] and returns where it begins: `end` itself for the root.
 * The buffer must hold PATH_NAME_MAX bytes beyond `end`, a constant; they are not touched, but the verifier knows only
 * bounds, not that a name ends where the last one began. `*cut` is set where components or room ran out.
 */
static __always_inline __u32 path_prepend(char *buffer, __u32 end, struct path_walk start, bool *cut)
{
	struct dentry *dentry = start.dentry, *parent;
	struct mount *mount = start.mount, *above;
	__u32 at = 0, size, before, begin = end;
	bool more = true;

	/*
	 * `at` begins at the end, but the verifier is not to know: starting from a constant it would tell apart how many
	 * names of which lengths may have come before, and follow each of those cases through all steps to come.
	 */
	bpf_probe_read_kernel(&at, sizeof(at), &begin);
	if (at > end)
		at = end;
#pragma clang loop unroll(disable)
	for (int step = 0; step < PATH_COMPONENTS + 16; step++) {
		path_forget(at);
		parent = BPF_CORE_READ(dentry, d_parent);
		if (dentry == BPF_CORE_READ(mount, mnt.mnt_root)) {
			/* From a mount's root on to where it is mounted; the one at the top is its own parent. */
			above = BPF_CORE_READ(mount, mnt_parent);
			more = above != mount;
			dentry = BPF_CORE_READ(mount, mnt_mountpoint);
			mount = above;
			if (!more)
				break;
			continue;
		}
		size = BPF_CORE_READ(dentry, d_name.len);
		before = at - size - 1;
		more = dentry != parent;
		/* Unsigned, so without room it comes out above the end. */
		if (!more || size >= PATH_NAME_MAX || before >= end)
			break;
		/* In words that the verifier cannot mislay: `end` is a power of two. */
		asm volatile("%0 &= %1" : "+r"(before) : "r"(end - 1));
		buffer[before] = '/';
		bpf_probe_read_kernel(&buffer[before + 1], size & (PATH_NAME_MAX - 1),
				      BPF_CORE_READ(dentry, d_name.name));
		at = before;
		dentry = parent;
	}
	path_forget(at);
	*cut = more;
	return at;
}

/* The file that a descriptor of the current task stands for; NULL if none. */
static __always_inline struct file *path_file(struct task_struct *task, __s32 fd)
{
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **files = BPF_CORE_READ(table, fd);
	struct file *file = NULL;

	if (fd < 0 || (__u32)fd >= BPF_CORE_READ(table, max_fds))
		return NULL;
	bpf_probe_read_kernel(&file, sizeof(file), &files[fd]);
	return file;
}

#endif
