// SPDX-License-Identifier: BSD-2-Clause
// calls N [guarded]: calls a function, with a number that grows, N times; one that is guarded against stray jumps, as
// compilers make them by default on Ubuntu, Fedora and others. Prints the nanoseconds that one took.
#include <string.h>

#include "load.h"

__attribute__((noipa)) long called(long number) { return number + 1; }

#ifdef __x86_64__
__asm__(
    ".text\n.globl guarded\n.type guarded,@function\nguarded: endbr64\npush %rbx\nlea 1(%rdi),%rbx\nmov %rbx,%rax\n"
    "pop %rbx\nret\n.size guarded,.-guarded");
long guarded(long number);
#else
__attribute__((noipa)) long guarded(long number) { return number + 2; }
#endif

static void once(void) {
  static long number;
  number = called(number);
}

static void once_guarded(void) {
  static long number;
  number = guarded(number);
}

int main(int argc, char** argv) {
  return run_load(argc, argv, argc > 2 && strcmp(argv[2], "guarded") == 0 ? once_guarded : once);
}
