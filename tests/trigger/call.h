// SPDX-License-Identifier: BSD-2-Clause
// A system call made by the function itself: the C library's wrapper would have no frame of its own, and its caller
// would be missing in a stack that is walked by frame pointers.
#include <sys/syscall.h>

__attribute__((always_inline)) static inline long raw_call(long number, long a, long b, long c, long d) {
#ifdef __x86_64__
  long result = number;
  register long fourth __asm__("r10") = d;
  __asm__ volatile("syscall" : "+a"(result) : "D"(a), "S"(b), "d"(c), "r"(fourth) : "rcx", "r11", "memory");
  return result;
#else
  register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c,
                x3 __asm__("x3") = d;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
  return x0;
#endif
}
