// SPDX-License-Identifier: BSD-2-Clause
// shapes: structures of all kinds, compiled with debug information. Says where their members are, a line each: name,
// offset, size.
#include <stddef.h>
#include <stdio.h>

struct inner {
  char byte;
  long word;
};

typedef struct {
  short a, b;
} pair_t;

struct shapes {
  char first;
  int second;
  struct inner inner, many[3];
  union {
    double real;
    char text[24];
  };
  struct {
    pair_t pair;
    char last;
  } unnamed;
  int (*call)(const char*, struct shapes*);
  unsigned long low : 40, high : 20;
  pair_t pairs[2][3];
  char rest[];
} shapes;

#define SAY(member) printf(#member " %zu %zu\n", offsetof(struct shapes, member), sizeof shapes.member)

int main(void) {
  printf("- 0 %zu\n", sizeof shapes);
  SAY(first);
  SAY(second);
  SAY(inner);
  SAY(many);
  SAY(real);
  SAY(text);
  SAY(unnamed);
  SAY(unnamed.pair);
  SAY(unnamed.last);
  SAY(call);
  SAY(pairs);
  printf("inner.byte %zu 1\ninner.word %zu %zu\n", offsetof(struct shapes, inner.byte),
         offsetof(struct shapes, inner.word), sizeof shapes.inner.word);
  return 0;
}
