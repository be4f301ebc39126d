/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Stacks as programs keep them and frontends read them: by content, under a number made of that content. */
#ifndef KIT_STACKS_H
#define KIT_STACKS_H

#include "kit/record.h"

/* Frames of one stack, as many as the kernel itself walks by default (kernel.perf_event_max_stack). */
#define KIT_STACK_DEPTH 127

/*
 * 128 bits of hash over the frames and their number: two stacks are one only if all of it is equal. Both words 0: there
 * is no stack; `low` 0: why there is none, a KIT_STACK_ word in `high`.
 */
struct kit_stack_id {
  __u64 low;
  __u64 high;
};
KIT_SIZE_IS(struct kit_stack_id, 16);

enum kit_stack_none {
  KIT_STACK_NOT_ASKED,
  KIT_STACK_EMPTY,  /* a kernel thread has no user stack, a program in user mode no kernel stack */
  KIT_STACK_FAILED, /* the kernel could not walk it */
  KIT_STACK_LOST    /* no room in the map */
};

struct kit_stack {
  __u32 depth; /* KIT_STACK_DEPTH: there may be more that was not walked */
  __u32 end;   /* of a user stack: a KIT_UNWIND_ word, how the walk ended; else 0 */
  __u64 frames[KIT_STACK_DEPTH]; /* the innermost first; return addresses, except the first */
};
KIT_SIZE_IS(struct kit_stack, 1024);

/* The beginning of the same, for those that fit: most do, and a stack costs what its entry has room for. */
#define KIT_STACK_SHORT 31
struct kit_stack_short {
  __u32 depth;
  __u32 end;
  __u64 frames[KIT_STACK_SHORT];
};
KIT_SIZE_IS(struct kit_stack_short, 256);

/* Both stacks of one moment. */
struct kit_stacks {
  struct kit_stack_id kernel;
  struct kit_stack_id user;
};
KIT_SIZE_IS(struct kit_stacks, 32);

/* Says that a process is there to have its mappings read, while it lives. */
struct kit_stack_news {
  __u32 pid;  /* as the tool's user sees it */
  __u32 tgid; /* as the kernel does */
};
KIT_SIZE_IS(struct kit_stack_news, 8);

#endif
