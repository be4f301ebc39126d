// SPDX-License-Identifier: BSD-2-Clause
// ELF files: what is found in good ones, and that bad ones harm nobody.
#include "kit/elf.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "case.hpp"

extern "C" __attribute__((noinline, used)) int a_function_of_the_elf_test(int x) { return x + 1; }

namespace {

const char* self = "/proc/self/exe";

std::string refusal(const std::function<void()>& act) {
  try {
    act();
  } catch (const kit::Failure& failure) {
    CHECK(failure.code() == kit::Exit::usage);
    return failure.what();
  }
  return "nothing was refused";
}

// Everything that can be asked of a file.
std::size_t ask_all(const std::string& path) {
  kit::Elf elf(path);
  std::size_t sum = elf.build_id().size() + elf.interpreter().size() + elf.segments().size() + elf.notes().size();
  for (const auto& section : elf.sections()) sum += section.name.size() + elf.section(section.name)->bytes.size();
  for (const auto& one : elf.relocations()) sum += one.symbol.size();
  elf.each_symbol(
      [&](const kit::ElfSymbol& symbol) { sum += symbol.name.size() + elf.offset_of(symbol.address).value_or(0); });
  return sum + elf.functions("*a*").size() + elf.bytes_at(0, 100).size();
}

}  // namespace

TEST_CASE("a function of this program is found where it is") {
  kit::Elf elf(self);
  kit::ElfSymbol symbol = elf.function("a_function_of_the_elf_test");
  CHECK(symbol.size > 0);
  CHECK_FALSE(symbol.indirect);
  auto offset = elf.offset_of(symbol.address);
  REQUIRE(offset);
  CHECK(elf.address_of(*offset) == symbol.address);
  std::string code = elf.bytes_at(symbol.address, symbol.size);
  CHECK(code == std::string(reinterpret_cast<const char*>(&a_function_of_the_elf_test), symbol.size));
  CHECK(elf.functions("a_function_of_*_test").size() == 1);
  CHECK(elf.functions("a_function_of_*_tests").empty());
  CHECK(elf.bits() == 64);
  CHECK(elf.interpreter().find("ld-linux") != std::string::npos);
}

TEST_CASE("a name that is nearly right is corrected") {
  CHECK(refusal([] { kit::Elf(self).function("a_function_of_the_elf_tost"); }).find("a_function_of_the_elf_test") !=
        std::string::npos);
}

TEST_CASE("libraries are found by their names") {
  std::string whole = kit::find_elf("libc").path;
  CHECK(kit::identity_of(whole).inode != 0);
  CHECK(kit::find_elf("libc.so.6").path == whole);
  CHECK(kit::find_elf("c").path == whole);
  CHECK(kit::find_elf(whole).path == whole);
  CHECK(kit::Elf(whole).identity() == kit::identity_of(whole));
  auto pid = static_cast<std::uint32_t>(getpid());
  CHECK(kit::identity_of(kit::find_elf("libc", pid).path) == kit::identity_of(whole));
  CHECK(kit::identity_of(kit::find_elf("", pid).path) == kit::identity_of(self));
  CHECK(kit::identity_of(kit::find_elf(whole, pid).path) == kit::identity_of(whole));
  CHECK(kit::find_elf("sh").path.ends_with("/sh"));
  refusal([] { kit::find_elf("no-such-library-at-all"); });
  refusal([&] { kit::find_elf("no-such-library-at-all", pid); });
  CHECK(kit::is_library("/lib/libc-2.31.so", "libc"));
  CHECK(kit::is_library("/lib/libc.so.6", "c"));
  CHECK_FALSE(kit::is_library("/lib/libc-client.so", "libc"));
  CHECK_FALSE(kit::is_library("/lib/libcrypt.so.1", "libc"));
}

TEST_CASE("glibc's strlen is told to be indirect") {
  kit::Elf elf(kit::find_elf("libc").path);
  kit::ElfSymbol symbol = elf.function("strlen");
  CHECK(symbol.indirect);
  CHECK(symbol.defined);
  CHECK(elf.build_id().size() == 40);
  CHECK_FALSE(elf.function("getpid").indirect);
}

TEST_CASE("what is no ELF file is refused in one line") {
  test::TemporaryDirectory folder;
  std::string script = folder.path() + "/script";
  std::ofstream(script) << "#!/bin/sh\n";
  CHECK(refusal([&] { kit::Elf{script}; }).find("no ELF file") != std::string::npos);
  CHECK(refusal([&] { kit::Elf{folder.path()}; }).find("is no file") != std::string::npos);
  CHECK(refusal([&] { kit::Elf{folder.path() + "/nothing"}; }).find("No such file") != std::string::npos);
  REQUIRE(mkfifo((folder.path() + "/fifo").c_str(), 0600) == 0);
  CHECK(refusal([&] { kit::Elf{folder.path() + "/fifo"}; }).find("is no file") != std::string::npos);
}

TEST_CASE("a process that is not there is refused") {
  refusal([] { kit::file_mappings(0x7ffffff0); });
}

TEST_CASE("no truncated or altered file is read beyond its end") {
  std::string good = test::read_file(kit::find_elf("libz").path);
  test::TemporaryDirectory folder;
  std::string path = folder.path() + "/bad.so";
  std::size_t asked = 0, sum = 0;
  auto ask = [&](std::string_view bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
    try {
      sum += ask_all(path);
    } catch (const kit::Failure&) {
    }
    asked++;
  };
  for (std::size_t size = 0; size < good.size(); size += size < 256 ? 8 : good.size() / 64)
    ask(std::string_view(good).substr(0, size));
  // Every word of the headers, and some in between, made absurd.
  std::uint64_t random = 1;
  for (int i = 0; i < 600; i++) {
    std::string bad = good;
    for (int change = 0; change < 4; change++) {
      random = random * 6364136223846793005u + 1442695040888963407u;
      std::size_t where = (random >> 33) % (change % 2 ? bad.size() : 1024);
      if (i % 3 == 0) where = bad.size() - 1 - (random >> 33) % 2048;  // the section headers
      bad[where] = static_cast<char>(i % 2 ? 0xff : random >> 24);
    }
    ask(bad);
  }
  CHECK(asked > 650);
  CHECK(sum > 0);
}
