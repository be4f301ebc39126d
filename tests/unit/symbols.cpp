// SPDX-License-Identifier: BSD-2-Clause
// Symbols: what texts of the kernel and of run-time compilers mean, names of three languages, damaged files, and
// agreement with llvm-symbolizer on random addresses.
#include "symbols.hpp"

#include <fcntl.h>
#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <ctime>
#include <random>
#include <set>
#include <sstream>

#include "case.hpp"
#include "demangle.hpp"
#include "elf_symbols.hpp"
#include "frame_text.hpp"
#include "kallsyms.hpp"
#include "processes.hpp"

namespace {

struct Named {
  std::string function;
  std::uint32_t line;
};
using Answer = std::vector<Named>;

// Random places in a file's code.
std::vector<std::uint64_t> random_addresses(const std::string& path, std::size_t count) {
  std::string command = "readelf -SW " + path + " | sed -n 's/^ *\\[ *[0-9]*\\] \\.text *PROGBITS *//p'";
  std::istringstream line(test::run({"sh", "-c", command}).out);
  std::uint64_t start = 0, offset = 0, size = 0;
  line >> std::hex >> start >> offset >> size;
  if (!size) throw std::runtime_error("no .text in " + path);
  std::mt19937_64 random(1);
  std::vector<std::uint64_t> all;
  for (std::size_t i = 0; i < count; i++) all.push_back(start + random() % size);
  return all;
}

std::vector<Answer> ask_llvm(const std::string& path, const std::vector<std::uint64_t>& addresses) {
  test::TemporaryDirectory folder;
  std::ofstream in(folder.path() + "/in");
  for (std::uint64_t address : addresses) in << "0x" << std::hex << address << '\n';
  in.close();
  std::istringstream out(
      test::run({"sh", "-c", "exec llvm-symbolizer-14 --no-demangle --obj=" + path + " <" + folder.path() + "/in"})
          .out);
  std::vector<Answer> all(1);
  for (std::string name, place; std::getline(out, name);) {
    if (name.empty()) {
      all.emplace_back();
      continue;
    }
    std::getline(out, place);
    place = place.substr(0, place.rfind(':'));
    all.back().push_back({name, static_cast<std::uint32_t>(std::atoi(place.substr(place.rfind(':') + 1).c_str()))});
  }
  return all;
}

// What compilers make of one function, f.cold and f.constprop.0, are the same function, as are the versions of a symbol
// (f@@V1): llvm-symbolizer itself gives the one name or the other, by where the symbol table is.
constexpr const char* copies[] = {" [clone .", " (.", ".cold", ".constprop.", ".isra.", ".part.", ".lto_priv."};

std::string without_copies(std::string_view name) {
  for (const char* mark : copies) name = name.substr(0, name.find(mark));
  return std::string(name);
}

std::string plain(std::string_view mangled) {
  return blazesym::demangle(without_copies(mangled.substr(0, mangled.find('@'))));
}

// Where each name of a function stands, in the file or in the file with its debugging data.
using Places = std::map<std::string, std::set<std::uint64_t>>;
Places places_of(const std::string& path) {
  std::string id = blazesym::ElfFile(open(path.c_str(), O_RDONLY | O_CLOEXEC)).build_id();
  std::string debug =
      "/usr/lib/debug/.build-id/" + id.substr(0, 2) + "/" + id.substr(std::min<std::size_t>(2, id.size()));
  std::istringstream lines(
      test::run({"sh", "-c", "{ nm " + path + "; nm -D " + path + "; nm " + debug + ".debug; } 2>/dev/null"}).out);
  Places places;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::uint64_t address = 0;
    std::string type, name;
    if (words >> std::hex >> address >> type >> name) places[plain(name)].insert(address);
  }
  return places;
}

// Names of one place (aliases) and line 0 are no disagreement.
bool same_function(const std::string& ours, const std::string& theirs, const Places& places) {
  if (ours == theirs) return true;
  auto one = places.find(ours), other = places.find(theirs);
  if (one == places.end() || other == places.end()) return false;
  return std::any_of(one->second.begin(), one->second.end(), [&](auto place) { return other->second.contains(place); });
}

bool agree(const blazesym::Symbol& ours, const Answer& theirs, const Places& places) {
  bool unknown = theirs.empty() || theirs[0].function == "??";
  if (ours.frames.empty() || ours.frames.back().name.empty()) return unknown;
  if (unknown) return true;
  if (ours.frames.size() != theirs.size()) return false;
  for (std::size_t i = 0; i < theirs.size(); i++) {
    const blazesym::Frame& frame = ours.frames[i];
    if (!same_function(without_copies(frame.name), plain(theirs[i].function), places)) return false;
    if (frame.line && theirs[i].line && frame.line != theirs[i].line) return false;
  }
  return true;
}

std::string difference(const blazesym::Symbol& ours, const Answer& theirs) {
  std::ostringstream text;
  text << std::hex << ours.address << std::dec << " ours:";
  for (const auto& frame : ours.frames) text << ' ' << frame.name << ':' << frame.line;
  text << " theirs:";
  for (const auto& frame : theirs) text << ' ' << frame.function << ':' << frame.line;
  return text.str();
}

// With debugging data, which is to be there, most of the addresses have lines.
void check_agreement(const std::string& path, std::size_t count, bool has_lines = true) {
  if (!std::filesystem::exists(path)) SKIP_CASE(path + " is not there");
  if (test::run({"sh", "-c", "command -v llvm-symbolizer-14"}).status != 0) SKIP_CASE("there is no llvm-symbolizer-14");
  auto addresses = random_addresses(path, count);
  auto theirs = ask_llvm(path, addresses);
  auto places = places_of(path);
  auto symbolizer = blazesym::make_symbolizer({});  // whose texts the answers hold
  auto ours = symbolizer->file(path, addresses);
  REQUIRE(theirs.size() >= ours.size());
  std::size_t agreed = 0, shown = 0, named = 0, inlined = 0, lines = 0, their_lines = 0;
  for (std::size_t i = 0; i < ours.size(); i++) {
    named += !ours[i].frames.empty() && !ours[i].frames.back().name.empty();
    inlined += ours[i].frames.size() > 1;
    lines += !ours[i].frames.empty() && ours[i].frames[0].line;
    their_lines += !theirs[i].empty() && theirs[i][0].line;
    if (agree(ours[i], theirs[i], places))
      agreed++;
    else if (shown++ < 10)
      UNSCOPED_INFO(difference(ours[i], theirs[i]));
  }
  UNSCOPED_INFO(path << ": " << agreed << " of " << ours.size() << " agree, " << named << " have names, " << inlined
                     << " are of inlined functions, " << lines << " have lines, " << their_lines << " of theirs");
  if (has_lines && their_lines * 2 < count) SKIP_CASE("there is no debugging data of " + path);
  CHECK(agreed * 1000 >= count * 999);
  CHECK(named * 10 > count * (has_lines ? 9 : 5));
  CHECK(lines * 1000 >= their_lines * 999);
}

}  // namespace

TEST_CASE("names agree with llvm-symbolizer's: libc") {
  check_agreement("/usr/lib/x86_64-linux-gnu/libc.so.6", 10'000);
}

// Of which the distribution has no debugging data; of the other build of the same library it has.
TEST_CASE("names agree with llvm-symbolizer's: libstdc++") {
  check_agreement("/usr/lib/x86_64-linux-gnu/debug/libstdc++.so.6", 10'000);
}

TEST_CASE("names agree with llvm-symbolizer's: libstdc++ without debugging data") {
  check_agreement("/usr/lib/x86_64-linux-gnu/libstdc++.so.6", 10'000, false);
}

TEST_CASE("names agree with llvm-symbolizer's: Python") { check_agreement("/usr/bin/python3.11", 10'000); }

TEST_CASE("names agree with llvm-symbolizer's: this test itself") {
  check_agreement(std::filesystem::read_symlink("/proc/self/exe"), 10'000, false);
}

TEST_CASE("names are found again in less than a microsecond") {
  std::string path = "/usr/lib/x86_64-linux-gnu/libc.so.6";
  if (!std::filesystem::exists(path)) SKIP_CASE(path + " is not there");
  auto addresses = random_addresses(path, 10'000);
  auto symbolizer = blazesym::make_symbolizer({});
  symbolizer->file(path, addresses);
  // What the processor was busy with it: the rest of the machine does other things.
  auto now = [] {
    timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return time.tv_sec * 1'000'000'000 + time.tv_nsec;
  };
  long best = LONG_MAX;
  for (int i = 0; i < 50; i++) {
    long begin = now();
    CHECK(symbolizer->file(path, addresses).size() == addresses.size());
    best = std::min(best, now() - begin);
  }
  INFO(best / 10'000 << " ns for an address");
  CHECK(best < 10'000'000);
}

// Asks two files in turn; gives the names, and the bytes that are in use in the end.
std::pair<std::vector<std::string>, std::size_t> ask_in_turn(const std::vector<std::string>& paths,
                                                             std::size_t memory) {
  auto in_use = [] { return mallinfo2().uordblks + mallinfo2().hblkhd; };
  std::size_t before = in_use();
  std::vector<std::string> names;
  auto symbolizer = blazesym::make_symbolizer({.memory = memory});
  for (int turn = 0; turn < 2; turn++)
    for (const std::string& path : paths)
      for (const auto& symbol : symbolizer->file(path, random_addresses(path, 2000)))
        for (const auto& frame : symbol.frames) names.push_back(std::string(frame.name) + std::to_string(frame.line));
  std::size_t own = 0;
  for (const std::string& name : names) own += name.capacity() > 15 ? name.capacity() + 1 : 0;
  return {names, in_use() - before - own - names.capacity() * sizeof names[0]};
}

TEST_CASE("with little memory names are the same, and indexes that are not in use are dropped") {
  std::string self = std::filesystem::read_symlink("/proc/self/exe"), libc = "/usr/lib/x86_64-linux-gnu/libc.so.6";
  if (!std::filesystem::exists(libc)) SKIP_CASE(libc + " is not there");
  auto [whole, much] = ask_in_turn({libc, self}, std::size_t{1} << 30);
  auto [same, little] = ask_in_turn({libc, self}, 1);
  INFO(much << " bytes without a limit, " << little << " with the least");
  REQUIRE(whole.size() == same.size());
  auto [one, other] = std::mismatch(whole.begin(), whole.end(), same.begin());
  if (one != whole.end()) FAIL_CHECK(one - whole.begin() << ": " << *one << " without a limit, then " << *other);
  CHECK(little < much);
  CHECK(whole.size() > 4000);
}

TEST_CASE("texts count as memory, and what is forgotten is known again when it is asked for") {
  std::string libc = "/usr/lib/x86_64-linux-gnu/libc.so.6";
  if (!std::filesystem::exists(libc)) SKIP_CASE(libc + " is not there");
  auto addresses = random_addresses(libc, 2000);
  auto symbolizer = blazesym::make_symbolizer({.memory = 1 << 20});
  auto names = [&] {
    std::vector<std::string> all;
    for (const auto& symbol : symbolizer->file(libc, addresses))
      for (const auto& frame : symbol.frames) all.emplace_back(frame.name);
    return all;
  };
  auto first = names();
  std::set<std::string> different(first.begin(), first.end());
  std::size_t texts = 0;
  for (const std::string& name : different) texts += name.size();
  CHECK(symbolizer->memory() > texts);
  CHECK(symbolizer->memory() > 1 << 20);
  symbolizer->forget();
  CHECK(symbolizer->memory() == 0);
  CHECK(names() == first);

  auto with_room = blazesym::make_symbolizer({});
  with_room->file(libc, addresses);
  std::size_t kept = with_room->memory();
  with_room->forget();
  CHECK(with_room->memory() == kept);
}

TEST_CASE("a process that has ended is forgotten the second time, when nothing new of it can come") {
  pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  REQUIRE(child > 0);
  auto symbolizer = blazesym::make_symbolizer({});
  auto pid = static_cast<std::uint32_t>(child);
  std::uint64_t here = reinterpret_cast<std::uint64_t>(&random_addresses);
  auto reason = [&] { return symbolizer->process(pid, {&here, 1}).at(0).reason; };
  symbolizer->see(pid);
  symbolizer->forget();
  CHECK(reason() == blazesym::Reason::none);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  symbolizer->forget();
  CHECK(reason() == blazesym::Reason::none);
  symbolizer->forget();
  CHECK(reason() == blazesym::Reason::gone);
}

TEST_CASE("mappings are read as the kernel writes them") {
  auto all = blazesym::parse_maps(
      "55d0c6a00000-55d0c6a02000 r--p 00000000 fe:00 131 /usr/bin/a b\n"
      "55d0c6a02000-55d0c6a04000 r-xp 00002000 fe:00 131    /usr/bin/a b\n"
      "7f0000000000-7f0000001000 rwxp 00000000 00:00 0 \n"
      "7f1000000000-7f1000001000 r-xp 00001000 fe:00 77 /tmp/x\\012y (deleted)\n"
      "7ffc00000000-7ffc00002000 r-xp 00000000 00:00 0   [vdso]\n"
      "rubbish\n-\n7f-7e r-xp 0 0:0 0\n");
  REQUIRE(all.size() == 4);
  CHECK(all[0].start == 0x55d0c6a02000);
  CHECK(all[0].offset == 0x2000);
  CHECK(all[0].path == "/usr/bin/a b");
  CHECK(all[0].inode == 131);
  CHECK(all[1].path.empty());
  CHECK(all[2].path == "/tmp/x\ny");
  CHECK(all[3].path == "[vdso]");
}

TEST_CASE("perf maps are read with and without 0x, the later of two at one place") {
  auto all =
      blazesym::parse_perf_map("0x20 10 second one\n10 8 first\n\nrubbish\n20 0x4 now\nfffffffffffffff0 20 over\n");
  REQUIRE(all.size() == 2);
  CHECK(all[0].name == "first");
  CHECK(all[1].name == "now");
  CHECK(all[1].size == 4);
}

TEST_CASE("kallsyms names the kernel, its modules and BPF programs") {
  blazesym::KernelSymbols symbols(
      "ffffffff81000000 T _stext\nffffffff81000010 t one\nffffffff81000010 t alias\nffffffff81000100 T _etext\n"
      "ffffffff82000000 D data\nffffffffc0000000 t in_module\t[thing]\nffffffffc0100000 t bpf_prog_12_x\t[bpf]\n");
  blazesym::KernelSymbols::Found found;
  REQUIRE(symbols.find(0xffffffff81000018, found));
  CHECK(found.name == "one");
  CHECK(found.offset == 8);
  CHECK(found.module.empty());
  CHECK_FALSE(symbols.find(0xffffffff80ffffff, found));
  CHECK_FALSE(symbols.find(0xffffffff82000000, found));
  REQUIRE(symbols.find(0xffffffffc0000004, found));
  CHECK(found.module == "thing");
  REQUIRE(symbols.find(0xffffffffc0100004, found));
  CHECK(found.module == "bpf");
  CHECK(blazesym::KernelSymbols("0000000000000000 T _stext\n").hidden());
}

TEST_CASE("kallsyms tells where the code of a function lies, in all its parts") {
  blazesym::KernelSymbols symbols(
      "ffffffff81000000 t one\nffffffff81000010 t one_more\nffffffff81000020 t one.cold\nffffffff81000040 t two\n"
      "ffffffff81000050 t one\nffffffff81000060 T _etext\n");
  using Ranges = std::vector<std::pair<std::uint64_t, std::uint64_t>>;
  CHECK(symbols.ranges("one") == Ranges{{0xffffffff81000000, 0xffffffff81000010},
                                        {0xffffffff81000020, 0xffffffff81000040},
                                        {0xffffffff81000050, 0xffffffff81000060}});
  CHECK(symbols.ranges("two") == Ranges{{0xffffffff81000040, 0xffffffff81000050}});
  CHECK(symbols.ranges("three").empty());
}

TEST_CASE("frames without names are read back from text") {
  auto frame = blazesym::parse_frame("    0x1f (/usr/bin/a (b)) build id 0123ab [stripped]");
  REQUIRE(frame);
  CHECK(frame->address == 0x1f);
  CHECK(frame->module == "/usr/bin/a (b)");
  CHECK(frame->build_id == "0123ab");
  frame = blazesym::parse_frame("/lib/libc++.so+0x10 (0123ab)\r");
  REQUIRE(frame);
  CHECK(frame->module == "/lib/libc++.so");
  CHECK(frame->address == 0x10);
  CHECK(frame->build_id == "0123ab");
  frame = blazesym::parse_frame("ffffffff81000000 ([kernel]) [not permitted]");
  REQUIRE(frame);
  CHECK(frame->module.empty());
  for (const char* none : {"", " ", "main", "0x", "a+x", "+", "+1", "(", ") (", "10000000000000000"})
    CHECK_FALSE(blazesym::parse_frame(none));
}

TEST_CASE("names are shown as their language writes them") {
  CHECK(blazesym::demangle("main") == "main");
  CHECK(blazesym::demangle("_ZN3foo3barEi") == "foo::bar(int)");
  CHECK(blazesym::demangle("_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE") == "core::fmt::Write::write_fmt");
  CHECK(blazesym::demangle("_ZN40_$LT$T$u20$as$u20$core..fmt..Display$GT$3fmt17h0123456789abcdefE")
            .starts_with("<T as core::fmt"));
  CHECK(blazesym::demangle("_RNvC6_123foo3bar") == "123foo::bar");
  CHECK(blazesym::demangle("_RNvCs1234_7mycrate3foo") == "mycrate::foo");
  CHECK(blazesym::demangle("_RINvNtC3std3mem8align_ofdE") == "std::mem::align_of::<f64>");
  CHECK(blazesym::demangle("_RNCNvC4main4main0") == "main::main::{closure#0}");
  CHECK(blazesym::demangle("_R") == "_R");
  CHECK(blazesym::demangle("_RNvB_") == "_RNvB_");  // a name that contains itself
  CHECK(blazesym::demangle("_Z") == "_Z");
  CHECK(blazesym::demangle(std::string(100'000, '_')).size() == 100'000);
}

TEST_CASE("damaged files have reasons, not crashes") {
  test::TemporaryDirectory folder;
  std::string whole = test::read_file(std::filesystem::read_symlink("/proc/self/exe")), path = folder.path() + "/file";
  std::vector<std::uint64_t> addresses = {0, 1, 0x1000, 0x20000, UINT64_MAX};
  std::mt19937_64 random(2);
  auto ask = [&](const std::string& bytes) {
    std::ofstream(path, std::ios::trunc) << bytes;
    auto answers = blazesym::make_symbolizer({})->file(path, addresses);
    CHECK(answers.size() == addresses.size());
    return answers;
  };
  CHECK(ask("").front().reason == blazesym::Reason::broken_file);
  CHECK(ask("no ELF file").front().reason == blazesym::Reason::broken_file);
  for (int i = 0; i < 8; i++) ask(whole.substr(0, random() % std::min<std::size_t>(whole.size(), 1 << 20)));
  for (int i = 0; i < 8; i++) {
    std::string bytes = whole.substr(0, 1 << 20);
    for (int j = 0; j < 200; j++) bytes[random() % 4096] = static_cast<char>(random());
    std::memcpy(bytes.data(), "\177ELF\2\1\1", 7);
    ask(bytes);
  }
  CHECK(blazesym::make_symbolizer({})->file("/no/such/file", addresses).front().reason == blazesym::Reason::no_file);
}
