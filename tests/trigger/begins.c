// SPDX-License-Identifier: BSD-2-Clause
// begins N: calls functions that begin in every way which matters to who probes them, each N times with the numbers from
// 0 on, begins_inner as often again by itself. Each but begins_ended, which ends where it begins, gives the number and
// one; ends with 1 if one does not: it would have been broken. begins_spread, begins_lost and begins_refused are called where the processor has AVX2.
#include <stdlib.h>

#ifdef __x86_64__
#define FUNCTION(name, code) \
	".globl " #name "\n.type " #name ",@function\n" #name ":\n" code "\n.size " #name ",.-" #name "\n"

__asm__(".text\n"
	// As compilers guard against stray jumps; then what most functions begin with.
	FUNCTION(begins_guarded, "endbr64\npush %rbx\nlea 1(%rdi),%rbx\nmov %rbx,%rax\npop %rbx\nret")
	FUNCTION(begins_tested, "test %rdi,%rdi\njs 1f\nlea 1(%rdi),%rax\nret\n1: xor %eax,%eax\nret")
	// The jump is come to again and again.
	FUNCTION(begins_looped, "lea 1(%rdi),%rax\nret")
	FUNCTION(begins_looping, "test %rdi,%rdi\n1: je 2f\ndec %rdi\njmp 1b\n2: lea 1(%rsi),%rax\nret")
	FUNCTION(begins_jumping, "endbr64\njmp begins_looped")
	FUNCTION(begins_ended, "ret")
	// Another's beginning is in this one.
	".globl begins_inner\n.type begins_inner,@function\n"
	FUNCTION(begins_outer, "endbr64\nbegins_inner: push %rbx\nlea 1(%rdi),%rax\npop %rbx\nret")
	".size begins_inner,.-begins_inner\n"
	// The vector's first byte is 1 if all of it is done. The opcode of the first, 78, is that of a jump, too.
	FUNCTION(begins_spread, "vpbroadcastb %xmm1,%ymm0\nmov %rdi,%rax\nvmovd %xmm0,%ecx\nand $1,%ecx\nadd %rcx,%rax\nret")
	FUNCTION(begins_lost, "vpbroadcastb %xmm1,%ymm0\nvmovd %xmm0,%eax\nand $1,%eax\nadd %rdi,%rax\nret")
	FUNCTION(begins_refused, "vmovd %edi,%xmm0\nvmovd %xmm0,%eax\ninc %eax\nret"));

long begins_guarded(long, long), begins_tested(long, long), begins_looping(long, long), begins_jumping(long, long),
	begins_outer(long, long), begins_inner(long, long);
void begins_ended(void);

#define SPREAD(name, number, result)                                                                             \
	__asm__ volatile("mov $1, %%eax\nvmovd %%eax, %%xmm1\nvpxor %%xmm0, %%xmm0, %%xmm0\nmov %1, %%rdi\n"        \
			 "sub $128, %%rsp\ncall " #name "\nadd $128, %%rsp\nmov %%rax, %0"                          \
			 : "=r"(result)                                                                             \
			 : "r"(number)                                                                              \
			 : "rax", "rcx", "rdi", "xmm0", "xmm1", "memory", "cc")

int main(int argc, char **argv)
{
	long calls = argc > 1 ? atol(argv[1]) : 1, wrong = 0, result;

	for (long i = 0; i < calls; i++) {
		wrong += begins_guarded(i, i) != i + 1;
		wrong += begins_tested(i, i) != i + 1;
		wrong += begins_looping(i, i) != i + 1;
		wrong += begins_jumping(i, i) != i + 1;
		begins_ended();
		wrong += begins_outer(i, i) != i + 1;
		wrong += begins_inner(i, i) != i + 1;
		if (!__builtin_cpu_supports("avx2"))
			continue;
		SPREAD(begins_spread, i, result);
		wrong += result != i + 1;
		SPREAD(begins_lost, i, result);
		wrong += result != i + 1;
		SPREAD(begins_refused, i, result);
		wrong += result != i + 1;
	}
	return wrong != 0;
}
#else
int main(void)
{
	return 0;
}
#endif
