/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A directory entry's path from the root of its mount namespace, written backwards from the leaf. */
#ifndef KIT_PATH_BPF_H
#define KIT_PATH_BPF_H

#include "base.bpf.h"

#define PATH_COMPONENTS 160 /* deeper ones are cut at the root's end, and said to be */
#define PATH_MOUNTS	16 /* steps that are over mounts, not names */
#define PATH_SOME	24 /* of a first try, which most paths fit in; nothing is kept of others */
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

/* Where a walk is. 64 bits each: what the verifier knows of less is lost on the stack, on many kernels. */
struct path_state {
	struct dentry *dentry;
	struct mount *mount;
	char *buffer;
	__u64 end;
	__u64 at;
	__u64 top; /* all ones when that was reached, else 0 */
};

/*
 * A step is either over one name or, at a mount's root, from the mount to where it is mounted. Both are done by the same
 * instructions, with a mask to choose: where a loop's body has two ways, verifiers before 6.4 follow 2, 4, 8... of them.
 * True if there is no other step, at the top or for want of room.
 */
static __always_inline bool path_step(struct path_state *state)
{
	struct dentry *dentry = state->dentry, *parent;
	struct mount *mount = state->mount, *above;
	__u32 end = state->end, at = state->at, size, before;
	char *buffer = state->buffer;
	__u64 crossing, stop;

	path_forget(at);
	parent = BPF_CORE_READ(dentry, d_parent);
	above = BPF_CORE_READ(mount, mnt_parent);
	crossing = path_same(dentry, BPF_CORE_READ(mount, mnt.mnt_root));
	/* Whoever is its own parent is the top: the first mount, or a dentry that belongs to no directory. */
	state->top = path_same(PATH_CHOOSE(crossing, mount, dentry), PATH_CHOOSE(crossing, above, parent));
	size = BPF_CORE_READ(dentry, d_name.len);
	before = at - ((size + 1) & ~(__u32)crossing);
	/* `end` is a power of two; without room this comes out below 0. */
	stop = state->top | (size & ~(PATH_NAME_MAX - 1)) | (before & ~(2 * end - 1));
	asm volatile("" : "+r"(stop)); /* or clang makes a branch of each */
	if (stop)
		return true;
	state->at = before;
	/*
	 * Bounds in words that clang cannot take for known and leave out. Where no name was written yet, the slash of a
	 * mount's root comes to lie at 0, of the rest where one is already.
	 */
	size &= ~(__u32)crossing;
	asm volatile("%0 &= %1" : "+r"(size) : "i"(PATH_NAME_MAX - 1));
	asm volatile("%0 &= %1" : "+r"(before) : "r"(end - 1));
	buffer[before] = '/';
	bpf_probe_read_kernel(&buffer[before + 1], size, BPF_CORE_READ(dentry, d_name.name));
	state->dentry = PATH_CHOOSE(crossing, BPF_CORE_READ(mount, mnt_mountpoint), parent);
	state->mount = PATH_CHOOSE(crossing, above, mount);
	return false;
}

static __noinline long path_step_called(__u32 index, struct path_state *state)
{
	return path_step(state);
}

/*
 * Since 5.17 (e6f2dd0f8067) a helper calls a function again and again, which the verifier follows once, or since 6.7
 * (ab5cfac139ab) until nothing new comes of it. Before 5.13 (69c087ba6225, for_each_map_elem) there are no addresses of
 * functions, and one that nothing calls is refused: there it is called from here, in what is dead code like the rest.
 *
 * Works on a copy, since what has an address is kept in no registers, and the other way's state is.
 */
static __always_inline struct path_state path_steps_called(struct path_state state, __u32 most)
{
	if (!kernel_has_helper(for_each_map_elem))
		path_step_called(0, &state);
	bpf_loop(most, path_step_called, &state, 0);
	return state;
}

/* The same where the verifier follows each step. */
static __always_inline struct path_state path_steps_followed(struct path_state state, __u32 most)
{
	__u32 step = 0;

#pragma clang loop unroll(disable)
	do {
		if (path_step(&state))
			break;
	} while (++step < most);
	return state;
}

/*
 * Writes "/a/b/c" so that it ends just before buffer[end] and returns where it begins: `end` itself for the root.
 * The buffer must hold PATH_NAME_MAX bytes beyond `end`, a constant; they stay as they were, but the verifier knows only
 * bounds, not that a name ends where the last one began. `*cut` is set where components or room ran out.
 */
static __always_inline __u32 path_prepend_some(char *buffer, __u32 end, struct path_walk start, __u32 components,
					       bool *cut)
{
	struct path_state state = {
		.dentry = start.dentry,
		.mount = start.mount,
		.buffer = buffer,
		.end = end,
	};
	__u32 at = 0, begin = end;

	/*
	 * `at` begins at the end, but the verifier is not to know: starting from a constant it would tell apart how many
	 * names of which lengths may have come before, and follow each of those cases through all steps to come.
	 */
	bpf_probe_read_kernel(&at, sizeof(at), &begin);
	state.at = at;
	state = kernel_has_helper(loop) ? path_steps_called(state, components + PATH_MOUNTS) :
					  path_steps_followed(state, components + PATH_MOUNTS);
	at = state.at;
	path_forget(at);
	*cut = !state.top;
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
