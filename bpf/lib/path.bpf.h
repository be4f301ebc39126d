/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A directory entry's path from the root of its mount namespace, written backwards from the leaf. */
#ifndef KIT_PATH_BPF_H
#define KIT_PATH_BPF_H

#include "base.bpf.h"

#define PATH_COMPONENTS 160 /* deeper ones are cut at the root's end, and said to be */
#define PATH_NAME_MAX 256   /* NAME_MAX and the slash before it */

struct path_walk {
	struct dentry *dentry;
	struct mount *mount;
};

static __always_inline struct path_walk path_start(struct path *path)
{
	struct vfsmount *vfsmount = BPF_CORE_READ(path, mnt);

	return (struct path_walk){
		.dentry = BPF_CORE_READ(path, dentry),
		.mount = (void *)vfsmount - bpf_core_field_offset(struct mount, mnt),
	};
}

/* Steps from a mount's root to where it is mounted; false at the root of all. */
static __always_inline bool path_leave_mount(struct path_walk *walk)
{
	struct mount *above = BPF_CORE_READ(walk->mount, mnt_parent);

	if (above == walk->mount)
		return false;
	walk->dentry = BPF_CORE_READ(walk->mount, mnt_mountpoint);
	walk->mount = above;
	return true;
}

/*
 * Writes "/a/b/c" so that it ends just before buffer[end] and returns where it begins: `end` itself for the root.
 * The buffer must hold PATH_NAME_MAX bytes beyond `end`, a constant; they are not touched, but the verifier knows only
 * bounds, not that a name ends where the last one began. `*cut` is set where components or room ran out.
 */
static __always_inline __u32 path_prepend(char *buffer, __u32 end, struct path_walk walk, bool *cut)
{
	__u32 at = end;

	*cut = true;
#pragma clang loop unroll(disable)
	for (int step = 0; step < PATH_COMPONENTS + 16; step++) {
		struct dentry *root = BPF_CORE_READ(walk.mount, mnt.mnt_root);
		struct dentry *parent = BPF_CORE_READ(walk.dentry, d_parent);
		__u32 size, before;

		if (walk.dentry == root) {
			if (!path_leave_mount(&walk)) {
				*cut = false;
				break;
			}
			continue;
		}
		if (walk.dentry == parent) {
			*cut = false;
			break;
		}
		size = BPF_CORE_READ(walk.dentry, d_name.len);
		before = at - size - 1;
		if (size >= PATH_NAME_MAX || before >= end)
			break;
		/* Unsigned, so "no room" came out above the end; the mask says it in the verifier's words. */
		buffer[before] = '/';
		bpf_probe_read_kernel(&buffer[before + 1], size & (PATH_NAME_MAX - 1),
				      BPF_CORE_READ(walk.dentry, d_name.name));
		at = before;
		walk.dentry = parent;
	}
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
