/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A directory entry's path from the root of its mount namespace, written backwards from the leaf. */
#ifndef KIT_PATH_BPF_H
#define KIT_PATH_BPF_H

#include "base.bpf.h"

#define PATH_COMPONENTS 160 /* deeper ones are cut at the root's end, and said to be */
#define PATH_SOME	24 /* of a first try, which most paths fit in: each step is followed by the verifier */
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

/* All ones where two pointers are the same, else 0: in arithmetic, for which the verifier has one way, not two. */
static __always_inline __u64 path_same(void *one, void *other)
{
	__u64 differs = (__u64)one ^ (__u64)other;

	differs |= -differs; /* the highest bit is set now, unless they are the same */
	asm volatile("" : "+r"(differs)); /* or clang sees the comparison in it, and makes a branch */
	return (differs >> 63) - 1;
}

#define PATH_CHOOSE(mask, yes, no) ((void *)(((__u64)(yes) & (mask)) | ((__u64)(no) & ~(mask))))

/*
 * Writes "/a/b/c" so that it ends just before buffer[end] and returns where it begins: `end` itself for the root.
 * The buffer must hold PATH_NAME_MAX bytes beyond `end`, a constant; they stay as they were, but the verifier knows only
 * bounds, not that a name ends where the last one began. `*cut` is set where `components` or room ran out.
 *
 * A step is either over one name or, at a mount's root, from the mount to where it is mounted. Both are done by the same
 * instructions, with a mask to choose: where a loop's body has two ways, verifiers before 6.4 follow 2, 4, 8... of them.
 */
static __always_inline __u32 path_prepend_some(char *buffer, __u32 end, struct path_walk start, int components,
					       bool *cut)
{
	struct dentry *dentry = start.dentry, *parent;
	struct mount *mount = start.mount, *above;
	__u32 at = 0, size, before, begin = end;
	char behind = buffer[end];
	bool more = true;
	__u64 crossing;
	int step = 0;

	/*
	 * `at` begins at the end, but the verifier is not to know: starting from a constant it would tell apart how many
	 * names of which lengths may have come before, and follow each of those cases through all steps to come.
	 */
	bpf_probe_read_kernel(&at, sizeof(at), &begin);
	if (at > end)
		at = end;
#pragma clang loop unroll(disable)
	do {
		path_forget(at);
		parent = BPF_CORE_READ(dentry, d_parent);
		above = BPF_CORE_READ(mount, mnt_parent);
		crossing = path_same(dentry, BPF_CORE_READ(mount, mnt.mnt_root));
		/* Whoever is its own parent is the top: the first mount, or a dentry that belongs to no directory. */
		more = PATH_CHOOSE(crossing, mount, dentry) != PATH_CHOOSE(crossing, above, parent);
		size = BPF_CORE_READ(dentry, d_name.len);
		before = at - ((size + 1) & ~(__u32)crossing);
		/* Unsigned, so without room it comes out above the end. */
		if (!more || size >= PATH_NAME_MAX || before > end)
			break;
		/* Bounds in words that clang cannot take for known and leave out; `end` is a power of two. */
		size &= ~(__u32)crossing;
		asm volatile("%0 &= %1" : "+r"(size) : "i"(PATH_NAME_MAX - 1));
		asm volatile("%0 &= %1" : "+r"(before) : "r"(2 * end - 1));
		buffer[before] = '/';
		bpf_probe_read_kernel(&buffer[before + 1], size, BPF_CORE_READ(dentry, d_name.name));
		at = before;
		dentry = PATH_CHOOSE(crossing, BPF_CORE_READ(mount, mnt_mountpoint), parent);
		mount = PATH_CHOOSE(crossing, above, mount);
	} while (++step < components + 16);
	path_forget(at);
	buffer[end] = behind;
	*cut = more;
	return at;
}

static __always_inline __u32 path_prepend(char *buffer, __u32 end, struct path_walk start, bool *cut)
{
	return path_prepend_some(buffer, end, start, PATH_COMPONENTS, cut);
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

/* The character device that a file is, as the kernel writes it: major << PATH_MINOR_BITS | minor; 0 if it is none. */
#define PATH_MINOR_BITS 20
#define PATH_MODE_KIND	0170000 /* S_IFMT */
#define PATH_MODE_CHAR	0020000 /* S_IFCHR */
static __always_inline __u32 path_character_device(struct file *file)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);

	if ((BPF_CORE_READ(inode, i_mode) & PATH_MODE_KIND) != PATH_MODE_CHAR)
		return 0;
	return BPF_CORE_READ(inode, i_rdev);
}

#endif
