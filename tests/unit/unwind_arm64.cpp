// SPDX-License-Identifier: BSD-2-Clause
// Unwind tables of arm64: what its functions say of their frames, of return addresses in registers, and of signals.
#include <initializer_list>

#include "case.hpp"
#include "unwind_table.hpp"

namespace {

using kit::UnwindTable;
using Codes = std::initializer_list<int>;

std::string bytes_of(Codes codes) {
  std::string bytes;
  for (int code : codes) bytes += static_cast<char>(code);
  return bytes;
}

std::string word(std::uint64_t number, int size) {
  std::string bytes;
  for (int i = 0; i < size; i++) bytes += static_cast<char>(number >> 8 * i);
  return bytes;
}

std::string entry(std::string body) {
  body.resize((body.size() + 3) / 4 * 4, '\0');
  return word(body.size(), 4) + body;
}

// One function of 0x100 bytes at 0x4000, in 4 bytes a step: the return address is x30, the CFA the stack pointer.
UnwindTable table_of(Codes codes, const std::string& augmentation = "zR", int link = 30) {
  std::string cie = word(0, 4) + bytes_of({1}) + augmentation + bytes_of({0, 4, 0x78, link, 1, 0, 0x0c, 31, 0});
  std::string all = entry(cie);
  all += entry(word(all.size() + 4, 4) + word(0x4000, 8) + word(0x100, 8) + bytes_of({0}) + bytes_of(codes));
  return kit::make_unwind_table({{all, 0x1000, false, false, true}});
}

std::uint32_t link_rule(std::uint32_t kind, std::uint32_t link, std::uint32_t beside, int offset) {
  return kit_unwind_link_rule(kind, link, beside, offset / 16);
}

constexpr std::uint32_t same = KIT_UNWIND_BESIDE_NONE, unknown = KIT_UNWIND_BESIDE_UNKNOWN, before = KIT_UNWIND_BESIDE;

}  // namespace

TEST_CASE("an arm64 function's return address is in its register until it is kept, beside the frame pointer or alone") {
  // stp x29, x30, [sp, #-32]!; mov x29, sp; ... ldp; with a signed return address.
  UnwindTable table = table_of({0x2d, 0x41, 0x0e, 32, 0x9d, 4, 0x9e, 3, 0x41, 0x0d, 29, 0x44, 0xdd, 0xde, 0x0c, 31, 0});
  CHECK(table.functions == 1);
  CHECK(table.unread == 0);
  CHECK(table.rule_of(0x4000) == link_rule(KIT_UNWIND_STACK, 0, same, 0));
  CHECK(table.rule_of(0x4004) == link_rule(KIT_UNWIND_STACK, 3, before, 32));
  CHECK(table.rule_of(0x4008) == link_rule(KIT_UNWIND_FRAME, 3, before, 32));
  CHECK(table.rule_of(0x4018) == link_rule(KIT_UNWIND_STACK, 0, same, 0));
  CHECK(table.rule_of(0x4100) == KIT_UNWIND_GAP);
  CHECK(table_of({0x0e, 16, 0x9e, 2}).rule_of(0x4000) == link_rule(KIT_UNWIND_STACK, 2, same, 16));
  // Every place that a word can tell of, and one that it cannot.
  for (int words : {-3, -2, -1, 1, 2, 3}) {
    std::uint32_t rule = table_of({0x0e, 0x80, 1, 0x9e, 8, 0x9d, 8 + words}).rule_of(0x4000);
    CHECK(kit_unwind_frame(rule) == 8);
    CHECK(kit_unwind_beside_words(kit_unwind_beside(rule)) == words);
    CHECK(kit_unwind_link_offset(rule) == 128);
  }
  CHECK(kit_unwind_beside(table_of({0x9e, 8, 0x9d, 12}).rule_of(0x4000)) == unknown);
}

TEST_CASE("what an arm64 function says that the walker does not know is marked") {
  CHECK(table_of({0x07, 30}).rule_of(0x4000) == KIT_UNWIND_OUTERMOST);
  CHECK(kit_unwind_kind(table_of({0x0e, 0x80, 1}, "zRS").rule_of(0x4000)) == KIT_UNWIND_SIGNAL);
  CHECK(table_of({0x0c, 19, 16}).rule_of(0x4000) == KIT_UNWIND_UNSUPPORTED);         // another register
  CHECK(table_of({0x0e, 8}).rule_of(0x4000) == KIT_UNWIND_UNSUPPORTED);              // no stack pointer is
  CHECK(table_of({0x0e, 0x80, 0x80, 4}).rule_of(0x4000) == KIT_UNWIND_UNSUPPORTED);  // 64 KiB
  CHECK(table_of({0x09, 30, 17}).rule_of(0x4000) == KIT_UNWIND_UNSUPPORTED);         // the return address in x17
  CHECK(table_of({0x0f, 2, 0x8f, 0}).rule_of(0x4000) == KIT_UNWIND_UNSUPPORTED);     // by an expression
  UnwindTable elsewhere = table_of({}, "zR", 15);
  CHECK(elsewhere.unread == 0);
  CHECK(elsewhere.rule_of(0x4000) == KIT_UNWIND_UNSUPPORTED);
  CHECK(elsewhere.rule_of(0x40ff) == KIT_UNWIND_UNSUPPORTED);
  CHECK(elsewhere.rule_of(0x4100) == KIT_UNWIND_GAP);
}
