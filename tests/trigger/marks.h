/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes USDT probes as <sys/sdt.h> does: a nop, and a note that says where it is and where its arguments are. */
#ifndef MARKS_H
#define MARKS_H

/* The size of a type, negative if it is signed. */
#define MARK_SIZE(x) ((int)sizeof(x) * (((__typeof__(x))-1 < (__typeof__(x))1) ? -1 : 1))

/* Of the file's own width. */
#if __SIZEOF_POINTER__ == 4
#define MARK_ADDRESS ".4byte"
#else
#define MARK_ADDRESS ".8byte"
#endif

#define MARK_NOTE(provider, name, semaphore, arguments)                   \
  "990: nop\n"                                                            \
  ".pushsection .note.stapsdt,\"\",\"note\"\n"                            \
  ".balign 4\n"                                                           \
  ".4byte 992f-991f, 994f-993f, 3\n"                                      \
  "991: .asciz \"stapsdt\"\n"                                             \
  "992: .balign 4\n"                                                      \
  "993: " MARK_ADDRESS " 990b, _.stapsdt.base, " semaphore                \
  "\n"                                                                    \
  ".asciz \"" provider "\"\n.asciz \"" name "\"\n.asciz \"" arguments     \
  "\"\n"                                                                  \
  "994: .balign 4\n"                                                      \
  ".popsection\n"                                                         \
  ".ifndef _.stapsdt.base\n"                                              \
  ".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n" \
  ".weak _.stapsdt.base\n.hidden _.stapsdt.base\n"                        \
  "_.stapsdt.base: .space 1\n.size _.stapsdt.base, 1\n"                   \
  ".popsection\n"                                                         \
  ".endif\n"

#define MARK0(provider, name) __asm__ volatile(MARK_NOTE(#provider, #name, "0", ""))
#define MARK4_AT(provider, name, semaphore, a, b, c, d)                                                          \
  __asm__ volatile(MARK_NOTE(#provider, #name, semaphore, "%n[as]@%[av] %n[bs]@%[bv] %n[cs]@%[cv] %n[ds]@%[dv]") \
                   :                                                                                             \
                   : [as] "n"(-MARK_SIZE(a)), [av] "nor"(a), [bs] "n"(-MARK_SIZE(b)), [bv] "nor"(b),             \
                     [cs] "n"(-MARK_SIZE(c)), [cv] "nor"(c), [ds] "n"(-MARK_SIZE(d)), [dv] "nor"(d))
#define MARK4(provider, name, a, b, c, d) MARK4_AT(provider, name, "0", a, b, c, d)
/* With a semaphore: a counter, called PROVIDER_NAME_semaphore, which tells whether anybody listens. */
#define MARK_SEMAPHORE(provider, name) \
  __extension__ volatile unsigned short provider##_##name##_semaphore __attribute__((section(".probes"), used))
#define MARK4_IF(provider, name, a, b, c, d) MARK4_AT(provider, name, #provider "_" #name "_semaphore", a, b, c, d)

#endif
