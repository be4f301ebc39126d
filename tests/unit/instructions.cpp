// SPDX-License-Identifier: BSD-2-Clause
// Instructions of x86_64: where each begins, and which leave a function.
#include "instructions.hpp"

#include <elf.h>

#include <sstream>

#include "case.hpp"
#include "kit/elf.hpp"
#include "returns.hpp"

namespace {

using Kind = kit::Instruction::Kind;

std::string bytes(const std::string& hex) {
  std::istringstream words(hex);
  std::string all;
  for (std::string word; words >> word;) all += static_cast<char>(std::stoi(word, nullptr, 16));
  return all;
}

unsigned size_of(const std::string& hex) {
  auto instruction = kit::decode_instruction(bytes(hex) + std::string(16, '\0'));
  return instruction ? instruction->size : 0;
}

}  // namespace

TEST_CASE("instructions are as long as they are") {
  CHECK(size_of("c3") == 1);
  CHECK(size_of("f3 0f 1e fa") == 4);                     // endbr64
  CHECK(size_of("66 0f 1f 84 00 00 00 00 00") == 9);      // nopw
  CHECK(size_of("48 b8 01 02 03 04 05 06 07 08") == 10);  // movabs
  CHECK(size_of("66 b8 01 02") == 4);                     // mov $,%ax
  CHECK(size_of("48 8d 3d 01 02 03 04") == 7);            // lea (%rip)
  CHECK(size_of("8b 44 24 08") == 4);                     // mov 8(%rsp)
  CHECK(size_of("f6 05 01 02 03 04 05") == 7);            // testb $,(%rip)
  CHECK(size_of("f7 d8") == 2);                           // neg
  CHECK(size_of("66 66 48 e8 01 02 03 04") == 8);         // call of __tls_get_addr
  CHECK(size_of("c5 f8 77") == 3);                        // vzeroupper
  CHECK(size_of("c4 e3 7d 39 c1 01") == 6);               // vextracti128
  CHECK(size_of("62 f1 fe 48 6f 46 01") == 7);            // vmovdqu64 of EVEX
  CHECK(size_of("a0 01 02 03 04 05 06 07 08") == 9);      // movabs
  CHECK(size_of("c8 01 02 03") == 4);                     // enter
  for (const char* none : {"06", "60", "9a", "0f 04", "82"}) CHECK(size_of(none) == 0);
  CHECK_FALSE(kit::decode_instruction(bytes("48 b8 01")));
  CHECK_FALSE(kit::decode_instruction(""));
  CHECK_FALSE(kit::decode_instruction(std::string(20, '\x66')));
}

TEST_CASE("what leaves a function is told from what stays") {
  auto kind = [](const std::string& hex) { return kit::decode_instruction(bytes(hex) + std::string(16, '\0'))->kind; };
  CHECK(kind("c3") == Kind::returns);
  CHECK(kind("c2 08 00") == Kind::returns);
  CHECK(kind("f2 c3") == Kind::returns);
  CHECK(kind("ff e0") == Kind::jumps_anywhere);
  CHECK(kind("ff d0") == Kind::other);  // a call
  CHECK(kind("e8 00 00 00 00") == Kind::other);
  CHECK(kit::decode_instruction(bytes("eb fe"))->to == 0);
  CHECK(kit::decode_instruction(bytes("0f 85 fa ff ff ff"))->to == 0);
  CHECK(kit::decode_instruction(bytes("3e ff e0"))->in_function);

  auto ends = kit::function_ends(bytes("74 03 31 c0 c3 e9 00 01 00 00"));
  REQUIRE(ends);
  CHECK(ends->starts == std::vector<std::uint64_t>{0, 2, 4, 5});
  CHECK(ends->returns == std::vector<std::uint64_t>{4});
  REQUIRE(ends->leaves.size() == 1);
  CHECK(ends->leaves[0].at == 5);
  CHECK(ends->leaves[0].to == 0x10a);
  CHECK(ends->leaves[0].always);
  CHECK_FALSE(ends->calls);
  CHECK_FALSE(kit::function_ends(bytes("31 c0 48")));
  for (const char* call : {"e8 00 00 00 00 c3", "ff d0 c3", "ff 15 00 00 00 00 c3", "0f 05 c3", "cd 80 c3"})
    CHECK(kit::function_ends(bytes(call))->calls);
}

TEST_CASE("a function is probed where that costs least and breaks nothing") {
  auto beginning = [](const std::string& hex) { return kit::beginning_of(bytes(hex)); };
  auto cheap = [&](const std::string& hex) { return beginning(hex).cheap; };
  CHECK(cheap("55 c3") == 0);
  CHECK(cheap("f3 0f 1e fa 55 c3") == 4);                 // endbr64, push %rbp
  CHECK(cheap("f3 0f 1e fa 41 57 c3") == 4);              // push %r15
  CHECK(cheap("f3 0f 1e fa 66 90 53 c3") == 6);           // a long nop between
  CHECK(cheap("f3 0f 1e fa 48 89 f8 53 c3") == 0);        // mov: it would not be idle
  CHECK(cheap("48 85 ff 74 01 c3 c3") == 3);              // test, je
  CHECK(cheap("83 ff 05 0f 84 00 00 00 00 c3") == 3);     // cmp $5,%edi, je
  CHECK(cheap("80 3f 00 74 01 c3 c3") == 0);              // cmpb $0,(%rdi): it may fault first
  CHECK(cheap("48 85 ff 74 03 eb fc c3 c3") == 0);        // jumped to from behind
  CHECK(cheap("f3 0f 1e fa e9 00 10 00 00") == 0);        // it leaves there
  CHECK(cheap("48 85 ff 74 02 ff e0 c3") == 0);           // it may jump anywhere
  CHECK(cheap("f3 0f 1e fa 53 ff e0") == 4);              // which leads to no push
  CHECK(cheap("f3 0f 1e fa 53 06") == 0);                 // not understood
  CHECK(cheap("f3 0f 1e fa 67 e8 00 00 00 00 c3") == 0);  // a call with a prefix
  CHECK(beginning("48 85 ff 74 01 c3 c3").first == 0);

  auto vector = beginning("c4 e2 7d 78 c1 48 89 f8 c3");  // vpbroadcastb, mov
  CHECK(vector.first == 5);
  CHECK(vector.cheap == 5);
  CHECK_FALSE(vector.harmful);
  CHECK(beginning("62 e2 7d 28 7a ce 85 ff 74 00 c3").cheap == 8);    // EVEX; test, je
  CHECK(beginning("c4 e2 7d 78 c1 c5 f9 7e c0 c3").harmful);          // another vector's behind
  CHECK(beginning("c5 f9 70 07 00 48 89 f8 c3").harmful);             // it reads memory
  CHECK(beginning("c4 e2 7d 78 c1 c3").harmful);                      // it returns there
  CHECK_FALSE(beginning("c5 f9 6e c7 c5 f9 7e c0 c3").harmful);       // the kernel refuses that itself
  CHECK(kit::decode_instruction(bytes("c5 f8 c2 c1 00"))->mistaken);  // vcmpps: the opcode of a return
  CHECK_FALSE(kit::decode_instruction(bytes("c5 f9 ef c0"))->mistaken);
}

TEST_CASE("a program's functions are understood") {
  kit::Elf elf(test::trigger_path("steps"));
  if (elf.machine() != EM_X86_64) SKIP_CASE("its instructions are known on x86_64 only");
  kit::ElfSymbol steps = elf.function("steps");
  kit::FunctionCodes codes(elf);
  kit::FunctionReturns returns = codes.returns(steps.address);
  CHECK(returns.unknown.empty());
  REQUIRE(returns.places.size() == 1);
  CHECK(returns.places[0] == *elf.offset_of(steps.address + steps.size - 1));
  CHECK(kit::instruction_at(elf, steps.address + 3) == steps.address + 2);
  CHECK(codes.returns(steps.address + 1).unknown == "its size is not known");
}

TEST_CASE("how long a library's functions are is told without their symbols") {
  kit::ElfPlace place = kit::find_elf("libc.so.6");
  kit::Elf elf(place.path, place.shown);
  if (elf.machine() != EM_X86_64) SKIP_CASE("its instructions are known on x86_64 only");
  std::size_t alike = 0, other = 0;
  for (const kit::ElfSymbol& symbol : elf.functions("*"))
    if (std::uint64_t size = kit::described_size(elf, symbol.address); size && symbol.size && !symbol.indirect)
      (size == symbol.size ? alike : other)++;
  CHECK(kit::described_size(elf, elf.function("malloc").address + 1) == 0);
  CHECK(alike > 1000);
  CHECK(other < alike / 100);
}
