/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Fetch plans: what a probe's filter asks and which values it shows, as data that a program walks step by step. */
#ifndef KIT_FETCH_H
#define KIT_FETCH_H

#include "kit/record.h"
#include "kit/stacks.h"

#define FETCH_FILTER_STEPS 32
#define FETCH_VALUE_STEPS 48
#define FETCH_VALUES 12       /* shown by one probe */
#define FETCH_STRING_MAX 1024 /* bytes of one string, its NUL included */
#define FETCH_GLOB_BYTES 128  /* of a string that is compared */

/* Steps work on one number, the value, from left to right; addresses are read as the probed task sees them. */
enum fetch_verb {
  FETCH_END,
  FETCH_CONSTANT,     /* value = number */
  FETCH_REGISTER,     /* value = the register at byte `offset` of pt_regs, or the argument of a typed program */
  FETCH_ADD_REGISTER, /* value += that register << `size` */
  FETCH_ADD,          /* value += number */
  FETCH_READ_USER,    /* value = `size` bytes at value + offset */
  FETCH_READ_KERNEL,  /* the same; an address below the kernel's is one of the process's */
  FETCH_SHIFT,        /* value >>= `size` bits */
  FETCH_CAST,         /* the lowest `size` bits, sign-extended if `flag` */
  FETCH_CONTEXT,      /* value = `size` bytes at byte `offset` of what the program is given */
  FETCH_ADD_CONTEXT,  /* value += the address of that */
  FETCH_LATENCY,      /* value = ns since the call that now returns; unread if that was not seen */
  FETCH_AT_LEAST,     /* value stays, but is unread if it is below number */
  FETCH_TASK,         /* value = what `index` (fetch_task) says of the task that runs */
  FETCH_COMPARE,      /* truth = whether `index` (fetch_compare) has value's order to number, signed if `flag` */
  FETCH_MATCH_USER,   /* truth = the string at value matches glob `index`; not if `flag` */
  FETCH_MATCH_KERNEL,
  FETCH_MATCH_COMM,
  FETCH_JUMP,             /* if truth is `flag`, go on at step `index` */
  FETCH_WANTED,           /* the filter's answer: whether `flag` */
  FETCH_SHOW,             /* values[index] = value */
  FETCH_SHOW_STRING_USER, /* values[index] = where in the tail the string at value is, and its size */
  FETCH_SHOW_STRING_KERNEL,
  FETCH_SHOW_BYTES_USER, /* the same with `number` bytes, at most a string's less 1 */
  FETCH_SHOW_BYTES_KERNEL,
};

/* FETCH_COMM: where the name is in the kernel's memory. */
enum fetch_task { FETCH_PID, FETCH_TID, FETCH_UID, FETCH_GID, FETCH_CPU, FETCH_NSECS, FETCH_CGROUP, FETCH_COMM };
/* In which orders of two numbers it is true: a bit for each, so that no branch is asked for. */
enum fetch_compare {
  FETCH_LESS = 1,
  FETCH_EQUAL = 2,
  FETCH_MORE = 4,
  FETCH_LESS_EQUAL = FETCH_LESS | FETCH_EQUAL,
  FETCH_MORE_EQUAL = FETCH_MORE | FETCH_EQUAL,
  FETCH_UNEQUAL = FETCH_LESS | FETCH_MORE
};

struct fetch_step {
  __u8 op;
  __u8 index;
  __u8 size;
  __u8 flag;
  __s32 offset;
  __u64 number;
};
KIT_SIZE_IS(struct fetch_step, 16);

/* Of one place that is probed. What could not be read ends the filter with "no". */
struct fetch_plan {
  struct fetch_step filter[FETCH_FILTER_STEPS];
  struct fetch_step show[FETCH_VALUE_STEPS];
  __u8 shows[FETCH_VALUES]; /* which step shows a value; FETCH_NONE: there are no more */
  __u32 flags;              /* fetch_flag */
  __u64 stride;             /* 1: from a step to the next. As data, for the verifier: see fetch_walk_filter() */
};
KIT_SIZE_IS(struct fetch_plan, 16 * (FETCH_FILTER_STEPS + FETCH_VALUE_STEPS) + 24);

#define FETCH_NONE 0xff

enum fetch_flag {
  FETCH_ANYONE = 1,      /* the hit is about no process: the suite's filters do not ask */
  FETCH_ENTRY = 2,       /* the call is remembered for its return, and nothing else is done */
  FETCH_RETURN = 4,      /* the call that was remembered is taken */
  FETCH_POPPED = 8,      /* at that return the stack no longer holds the return address */
  FETCH_NARROW = 16,     /* that address has 4 bytes: a 32-bit program's */
  FETCH_SIGNED = 32,     /* the first value has a sign */
  FETCH_OF_CONTEXT = 64, /* a step asks for what the program is given */
  FETCH_QUICK = 128, /* the filter's first two steps fetch a number and compare it, and "no" is the answer if not so */
  FETCH_KERNEL_STACK = 256,
  FETCH_USER_STACK = 512,
  FETCH_COUNTED = 1024, /* of an event that is hit each so many times: runs are counted */
  FETCH_CALLED = 2048,  /* of a kernel function's beginning: who called it may be told by a register alone (arm64) */
};

/*
 * Which place was hit and which plan is its own: plan << 32 | place. Kernels tell it to programs as a cookie; a program
 * that is attached to one place only has it instead of this number, put there before it is loaded.
 */
#define FETCH_COOKIE 0x6b69742d636f7079

/* Instead of the number of a helper: bpf_session_is_return, whose number each kernel's types say. */
#define SESSION_IS_RETURN 0x6b697473
#define SESSION_COOKIE 0x6b697463 /* bpf_session_cookie */

/* Globs compiled as --comm is (filter.bpf.h): 63 positions. */
struct fetch_glob {
  __u64 accepts[256];
  __u64 stars, starts, ends;
};
KIT_SIZE_IS(struct fetch_glob, 259 * 8);

/* A run takes stacks; it shows them beneath each row, too. */
#define FETCH_STACKS_TAKEN 1
#define FETCH_STACKS_KERNEL_BENEATH 2
#define FETCH_STACKS_USER_BENEATH 4

/* What a plan fetched: the last part of a record. A string is its place in the tail << 32 | its size. */
struct fetch_result {
  __u32 plan;   /* which place was hit */
  __u32 unread; /* a bit for each value that could not be read */
  __u32 cut;    /* a bit for each string that is longer than its room */
  __u32 stacks; /* FETCH_STACKS_ bits; not 0: the tail begins with struct fetch_stacks */
  __u64 values[FETCH_VALUES];
};
KIT_SIZE_IS(struct fetch_result, 16 + 8 * FETCH_VALUES);

/* The stacks of a hit, before the strings; those that its plan asks for. */
struct fetch_stacks {
  struct kit_stacks of;
  __u32 pid; /* whose the user stack is; KIT_NO_PID where none is asked for, so that processes are not told apart */
  __u32 zero;
};
KIT_SIZE_IS(struct fetch_stacks, 40);

/*
 * What a plan fetched as the key of a map: as struct fetch_result, with the strings behind, each in a place of its own,
 * of which the first is the stacks' where a run asks for some.
 */
#define FETCH_KEY_VALUES 5
#define FETCH_KEY_STRINGS 2
#define FETCH_KEY_STRING 64 /* bytes of one, its NUL included */

struct fetch_key {
  __u32 place;
  __u32 unread;
  __u32 cut;
  __u32 negative; /* of a histogram: its values are below 0 */
  __u64 values[FETCH_KEY_VALUES];
  char text[FETCH_KEY_STRINGS * FETCH_KEY_STRING];
};
KIT_SIZE_IS(struct fetch_key, 184);

#endif
