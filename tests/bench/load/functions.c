// SPDX-License-Identifier: BSD-2-Clause
// functions N MANY: calls MANY functions, 1, 10, 100, 1000 or 5000, in turn, N times in all: of_10_f0 to of_10_f9, ...
// Prints the nanoseconds that one call took.
#include "load.h"

#define ONE(many, name) \
  __attribute__((noipa)) void of_##many##_##name(void) { __asm__ volatile("nop"); }
#define PLACE(many, name) of_##many##_##name,
#define TEN(X, many, name)                                                                              \
  X(many, name##0)                                                                                      \
  X(many, name##1)                                                                                      \
  X(many, name##2) X(many, name##3) X(many, name##4) X(many, name##5) X(many, name##6) X(many, name##7) \
      X(many, name##8) X(many, name##9)
#define HUNDRED(X, many, name)                                                                                  \
  TEN(X, many, name##0)                                                                                         \
  TEN(X, many, name##1)                                                                                         \
  TEN(X, many, name##2) TEN(X, many, name##3) TEN(X, many, name##4) TEN(X, many, name##5) TEN(X, many, name##6) \
      TEN(X, many, name##7) TEN(X, many, name##8) TEN(X, many, name##9)
#define THOUSAND(X, many, name)                                                                           \
  HUNDRED(X, many, name##0)                                                                               \
  HUNDRED(X, many, name##1)                                                                               \
  HUNDRED(X, many, name##2) HUNDRED(X, many, name##3) HUNDRED(X, many, name##4) HUNDRED(X, many, name##5) \
      HUNDRED(X, many, name##6) HUNDRED(X, many, name##7) HUNDRED(X, many, name##8) HUNDRED(X, many, name##9)
#define FIVE_THOUSAND(X, many, name) \
  THOUSAND(X, many, name##0)         \
  THOUSAND(X, many, name##1) THOUSAND(X, many, name##2) THOUSAND(X, many, name##3) THOUSAND(X, many, name##4)

#define FAMILY(many, SET) \
  SET(ONE, many, f)       \
  static void (*const family_##many[])(void) = {SET(PLACE, many, f)};

ONE(1, f)
static void (*const family_1[])(void) = {of_1_f};
FAMILY(10, TEN)
FAMILY(100, HUNDRED)
FAMILY(1000, THOUSAND)
FAMILY(5000, FIVE_THOUSAND)

static void (*const* family)(void);
static long many;

static void once(void) {
  static long next;
  family[next]();
  if (++next == many) next = 0;
}

int main(int argc, char** argv) {
  many = load_number(argc, argv, 2, 1);
  family = many == 1      ? family_1
           : many == 10   ? family_10
           : many == 100  ? family_100
           : many == 1000 ? family_1000
                          : family_5000;
  return many <= 0 || many > 5000 ? 64 : run_load(argc, argv, once);
}
