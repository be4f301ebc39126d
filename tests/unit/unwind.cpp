// SPDX-License-Identifier: BSD-2-Clause
// Unwind tables: agreement with libdw's interpreter on every row of whole libraries and programs, and what is made of
// descriptions that are odd.
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <fcntl.h>
#include <link.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iostream>

#include "case.hpp"
#include "unwind_table.hpp"

namespace {

using kit::CallFrames;
using kit::UnwindTable;

// --- The same of libdw's interpreter ---------------------------------------------------------------------------------

struct Ops {
  const Dwarf_Op* ops = nullptr;
  std::size_t count = 0;
  bool is(std::size_t at, unsigned op) const { return at < count && ops[at].atom == op; }
};

// "register + offset" and whether what is kept there is meant; false where it is neither.
bool read_address(const Ops& ops, unsigned& base, std::int64_t& offset, bool& followed) {
  if (ops.count < 1 || ops.count > 2) return false;
  const Dwarf_Op& first = ops.ops[0];
  if (first.atom == DW_OP_bregx) {
    base = static_cast<unsigned>(first.number);
    offset = static_cast<std::int64_t>(first.number2);
  } else if (first.atom >= DW_OP_breg0 && first.atom <= DW_OP_breg31) {
    base = first.atom - DW_OP_breg0;
    offset = static_cast<std::int64_t>(first.number);
  } else {
    return false;
  }
  followed = ops.count == 2;
  return !followed || ops.is(1, DW_OP_deref);
}

// Where a register is kept, as an offset from the CFA.
bool kept_at_cfa(const Ops& ops, std::int64_t& offset) {
  if (!ops.is(0, DW_OP_call_frame_cfa) || ops.count > 3) return false;
  offset = 0;
  if (ops.count == 1) return true;
  if (ops.count == 2 && ops.is(1, DW_OP_plus_uconst)) {
    offset = static_cast<std::int64_t>(ops.ops[1].number);
    return true;
  }
  offset = static_cast<std::int64_t>(ops.ops[1].number);
  return ops.count == 3 && ops.is(2, DW_OP_plus);
}

// An expression for where a register is kept begins with the CFA on its stack.
bool kept_at(Ops ops, unsigned wanted_base, std::int64_t wanted) {
  if (ops.is(0, DW_OP_call_frame_cfa)) ops = {ops.ops + 1, ops.count - 1};
  unsigned base = 0;
  std::int64_t offset = 0;
  bool followed = false;
  return read_address(ops, base, offset, followed) && !followed && base == wanted_base && offset == wanted;
}

constexpr unsigned rbp = 6, rsp = 7, rip = 16;
// Of arm64.
constexpr unsigned x29 = 29, x30 = 30, x_stack = 31;
// The numbers of DWARF of the words of pt_regs.
constexpr unsigned registers[] = {15, 14, 13, 12, 6, 3, 11, 10, 9, 8, 0, 2, 1, 4, 5};

struct Told {
  Ops cfa, frame, caller;
  Dwarf_Op frame_memory[3], caller_memory[3];
  bool caller_undefined = false, caller_same = false, frame_undefined = false, frame_same = false, signal = false;

  static void check(int status) {
    if (status != 0) throw std::runtime_error(dwarf_errmsg(-1));
  }
  Told(Dwarf_Frame* frame_of, bool arm64, bool is_signal) : signal(is_signal) {
    Dwarf_Op* ops = nullptr;
    check(dwarf_frame_cfa(frame_of, &ops, &cfa.count));
    cfa.ops = ops;
    check(dwarf_frame_register(frame_of, arm64 ? x29 : rbp, frame_memory, &ops, &frame.count));
    frame.ops = ops;
    frame_undefined = frame.count == 0 && ops == frame_memory;
    frame_same = frame.count == 0 && ops == nullptr;
    check(dwarf_frame_register(frame_of, arm64 ? x30 : rip, caller_memory, &ops, &caller.count));
    caller.ops = ops;
    caller_undefined = caller.count == 0 && ops == caller_memory;
    caller_same = caller.count == 0 && ops == nullptr;
  }
};

bool same_frame(std::uint32_t rule, const Told& told) {
  std::uint32_t frame = kit_unwind_frame(rule);
  std::int64_t offset = 0;
  // libdw takes what is not described for unknown, of which the ABI says that a callee keeps it.
  if (frame == KIT_UNWIND_SAME) return told.frame_same || told.frame_undefined;
  if (frame <= KIT_UNWIND_SAVED_MOST) return kept_at_cfa(told.frame, offset) && offset == -8 * std::int64_t{frame};
  if (frame == KIT_UNWIND_SAVED_AT_FRAME) return kept_at(told.frame, rbp, 0);
  return true;
}

bool same_cfa(std::uint32_t rule, const Told& told) {
  unsigned base = 0, kind = kit_unwind_kind(rule);
  std::int64_t offset = 0;
  bool followed = false;
  if (kind == KIT_UNWIND_PLT) {
    return told.cfa.count == 9 && told.cfa.is(0, DW_OP_breg7) && told.cfa.is(8, DW_OP_plus) &&
           told.cfa.ops[4].atom == DW_OP_lit0 + static_cast<unsigned>(kit_unwind_offset(rule) / 8);
  }
  if (!read_address(told.cfa, base, offset, followed) || offset != kit_unwind_offset(rule)) return false;
  switch (kind) {
    case KIT_UNWIND_STACK: return !followed && base == rsp;
    case KIT_UNWIND_FRAME: return !followed && base == rbp;
    case KIT_UNWIND_AT_STACK: return followed && base == rsp;
    case KIT_UNWIND_AT_FRAME: return followed && base == rbp;
    default: return !followed && kind >= KIT_UNWIND_REGISTER && base == registers[kind - KIT_UNWIND_REGISTER];
  }
}

bool same(std::uint32_t rule, const Told& told) {
  std::int64_t offset = 0;
  switch (kit_unwind_kind(rule)) {
    case KIT_UNWIND_UNSUPPORTED: return true;
    case KIT_UNWIND_GAP: return false;
    case KIT_UNWIND_OUTERMOST: return told.caller_undefined;
    case KIT_UNWIND_SIGNAL:
      return kept_at(told.caller, rsp, KIT_UNWIND_SIGNAL_RIP) && kept_at(told.frame, rsp, KIT_UNWIND_SIGNAL_RBP);
    default: return kept_at_cfa(told.caller, offset) && offset == -8 && same_cfa(rule, told) && same_frame(rule, told);
  }
}

bool same_arm64(std::uint32_t rule, const Told& told) {
  std::uint32_t kind = kit_unwind_kind(rule), link = kit_unwind_frame(rule), beside = kit_unwind_beside(rule);
  if (kind == KIT_UNWIND_UNSUPPORTED) return true;
  if (kind == KIT_UNWIND_OUTERMOST) return told.caller_undefined;
  if (kind == KIT_UNWIND_SIGNAL) return told.signal;
  unsigned base = 0;
  std::int64_t offset = 0;
  bool followed = false;
  if (!read_address(told.cfa, base, offset, followed) || followed || offset != kit_unwind_link_offset(rule) ||
      base != (kind == KIT_UNWIND_STACK ? x_stack : x29) || (kind != KIT_UNWIND_STACK && kind != KIT_UNWIND_FRAME))
    return false;
  if (link ? !kept_at_cfa(told.caller, offset) || offset != -8 * std::int64_t{link} : !told.caller_same) return false;
  if (beside == KIT_UNWIND_BESIDE_UNKNOWN) return true;
  if (beside == KIT_UNWIND_BESIDE_NONE) return told.frame_same || told.frame_undefined;
  return kept_at_cfa(told.frame, offset) && offset == -8 * (std::int64_t{link} + kit_unwind_beside_words(beside));
}

struct Agreement {
  std::size_t rows = 0, unlike = 0, gaps = 0;
  std::uint64_t first_unlike = 0;
};

// Asks libdw of each of our rows, and of the instruction where each of its own ends.
Agreement compare(const std::string& path, const UnwindTable& table, bool arm64) {
  Agreement agreement;
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  Elf* elf = elf_begin(fd, ELF_C_READ_MMAP, nullptr);
  Dwarf_CFI* cfi = dwarf_getcfi_elf(elf);
  REQUIRE(cfi);
  for (std::size_t i = 0; i < table.rows.size(); i++) {
    std::uint64_t at = table.base + table.rows[i].start;
    std::uint64_t next = i + 1 < table.rows.size() ? table.base + table.rows[i + 1].start : at + 1;
    while (at < next) {
      Dwarf_Frame* frame = nullptr;
      if (dwarf_cfi_addrframe(cfi, at, &frame) != 0) {
        agreement.gaps += kit_unwind_kind(table.rows[i].rule) != KIT_UNWIND_GAP;
        break;
      }
      Dwarf_Addr start = 0, end = 0;
      bool is_signal = false;
      dwarf_frame_info(frame, &start, &end, &is_signal);
      agreement.rows++;
      Told told(frame, arm64, is_signal);
      if (!(arm64 ? same_arm64 : same)(table.rows[i].rule, told)) {
        if (agreement.unlike++ == 0) agreement.first_unlike = at;
      }
      free(frame);
      if (end <= at) break;
      at = end;
    }
  }
  dwarf_cfi_end(cfi);
  elf_end(elf);
  close(fd);
  return agreement;
}

double now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

struct Sum {
  std::size_t rows = 0, unsupported = 0;
};

void check_file(const std::string& path, Sum& sum) {
  INFO(path);
  double begin = now();
  kit::Elf file(path);
  std::vector<CallFrames> frames = call_frames(file);
  REQUIRE_FALSE(frames.empty());
  UnwindTable table = make_unwind_table(frames);
  double made = now() - begin;
  CHECK(table.whole);
  CHECK(table.unread == 0);
  CHECK(std::is_sorted(table.rows.begin(), table.rows.end(),
                       [](const auto& a, const auto& b) { return a.start <= b.start && &a != &b; }));
  Agreement agreement = compare(path, table, frames[0].arm64);
  std::cout << path << ": " << table.functions << " functions, " << table.rows.size() << " rows, "
            << table.rows.size() * sizeof(kit_unwind_row) / 1024 << " KiB in " << static_cast<int>(made * 1000)
            << " ms; " << table.unsupported() << " rows unsupported; libdw was asked of " << agreement.rows << '\n';
  INFO("the first that is unlike: 0x" << std::hex << agreement.first_unlike);
  CHECK(agreement.unlike == 0);
  CHECK(agreement.gaps == 0);
  CHECK(agreement.rows >= table.functions);
  sum.rows += table.rows.size();
  sum.unsupported += table.unsupported();
}

// The files that are mapped into this program, which are libc and libstdc++ at least.
std::vector<std::string> own_libraries() {
  std::vector<std::string> all;
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* into) {
        if (info->dlpi_name && info->dlpi_name[0] == '/')
          static_cast<std::vector<std::string>*>(into)->push_back(info->dlpi_name);
        return 0;
      },
      &all);
  return all;
}

// --- Sections made here ----------------------------------------------------------------------------------------------

using Bytes = std::string;

Bytes operator+(Bytes bytes, std::initializer_list<int> more) {
  for (int one : more) bytes += static_cast<char>(one);
  return bytes;
}

template <typename Number>
Bytes bytes_of(Number number) {
  return Bytes(reinterpret_cast<const char*>(&number), sizeof number);
}

Bytes entry(const Bytes& body) { return bytes_of(static_cast<std::uint32_t>(body.size())) + body; }

// A CIE whose pointers are absolute, of 8 bytes: CFA = rsp + 8, the return address at CFA - 8.
Bytes cie() {
  return entry(bytes_of(std::uint32_t{0}) + std::initializer_list<int>{1, 0, 1, 0x78, 16, 0x0c, 7, 8, 0x90, 1});
}

// The FDE that comes `before` bytes behind the CIE that it belongs to.
Bytes fde(std::size_t before, std::uint64_t start, std::uint64_t size, std::initializer_list<int> program) {
  return entry(bytes_of(static_cast<std::uint32_t>(before + 4)) + bytes_of(start) + bytes_of(size) + program);
}

UnwindTable table_of(const Bytes& bytes) { return kit::make_unwind_table({{bytes, 0x1000}}); }

// The rule at the end of a function whose program is this one.
std::uint32_t rule_after(std::initializer_list<int> program) {
  UnwindTable table = table_of(cie() + fde(cie().size(), 0x4000, 0x100, program));
  return table.rule_of(0x40ff);
}

}  // namespace

TEST_CASE("each way of telling a frame has its rule, and what is not known is marked") {
  CHECK(rule_after({}) == kit_unwind_rule(KIT_UNWIND_STACK, KIT_UNWIND_SAME, 1));
  CHECK(rule_after({0x41, 0x0e, 16, 0x86, 2}) == kit_unwind_rule(KIT_UNWIND_STACK, 2, 2));
  CHECK(rule_after({0x41, 0x0e, 16, 0x86, 2, 0x43, 0x0d, 6}) == kit_unwind_rule(KIT_UNWIND_FRAME, 2, 2));
  CHECK(rule_after({0x0c, 10, 0}) == kit_unwind_rule(KIT_UNWIND_REGISTER + 7, KIT_UNWIND_SAME, 0));
  CHECK(rule_after({0x0f, 3, 0x76, 0x78, 0x06, 0x10, 6, 2, 0x76, 0}) ==
        kit_unwind_rule(KIT_UNWIND_AT_FRAME, KIT_UNWIND_SAVED_AT_FRAME, -1));
  CHECK(rule_after({0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3a, 0x2a, 0x33, 0x24, 0x22}) ==
        kit_unwind_rule(KIT_UNWIND_PLT, KIT_UNWIND_SAME, 10));
  CHECK(rule_after({0x07, 16}) == KIT_UNWIND_OUTERMOST);
  CHECK(rule_after({0x07, 6}) == kit_unwind_rule(KIT_UNWIND_STACK, KIT_UNWIND_FRAME_UNKNOWN, 1));
  CHECK(rule_after({0x0a, 0x41, 0x0e, 32, 0x0b}) == kit_unwind_rule(KIT_UNWIND_STACK, KIT_UNWIND_SAME, 1));
  CHECK(rule_after({0x0f, 4, 0x77, 0xa0, 0x01, 0x06, 0x10, 16, 3, 0x77, 0xa8, 0x01, 0x10, 6, 3, 0x77, 0xf8, 0x00}) ==
        KIT_UNWIND_SIGNAL);
  // A CFA that is no multiple of 8, a caller that is elsewhere, an expression of another kind, an unknown operation.
  CHECK(rule_after({0x0e, 12}) == KIT_UNWIND_UNSUPPORTED);
  CHECK(rule_after({0x90, 2}) == KIT_UNWIND_UNSUPPORTED);
  CHECK(rule_after({0x0f, 2, 0x30, 0x06}) == KIT_UNWIND_UNSUPPORTED);
  CHECK(rule_after({0x3e}) == KIT_UNWIND_UNSUPPORTED);
  CHECK(rule_after({0x0b}) == KIT_UNWIND_UNSUPPORTED);
}

TEST_CASE("functions lie beside each other, with gaps between them, and none hides another's rows") {
  Bytes all = cie();
  all += fde(all.size(), 0x4100, 0x10, {0x48, 0x0e, 16});
  all += fde(all.size(), 0x4000, 0x100, {});
  all += fde(all.size(), 0x4108, 0x20, {0x0e, 24, 0x50, 0x0e, 32});  // begins within the first
  UnwindTable table = table_of(all);
  CHECK(table.functions == 3);
  CHECK(table.base == 0x4000);
  auto stack = [](int words) { return kit_unwind_rule(KIT_UNWIND_STACK, KIT_UNWIND_SAME, words); };
  CHECK(table.rule_of(0x3fff) == KIT_UNWIND_GAP);
  CHECK(table.rule_of(0x4000) == stack(1));
  CHECK(table.rule_of(0x4107) == stack(1));
  CHECK(table.rule_of(0x4108) == stack(2));
  CHECK(table.rule_of(0x410f) == stack(2));
  CHECK(table.rule_of(0x4110) == stack(3));
  CHECK(table.rule_of(0x4118) == stack(4));
  CHECK(table.rule_of(0x4127) == stack(4));
  CHECK(table.rule_of(0x4128) == KIT_UNWIND_GAP);
  CHECK(table.rows.back().rule == KIT_UNWIND_GAP);
}

TEST_CASE("frames for debuggers are read as those for exceptions are, behind which they stand") {
  // A CIE by its own number, whose FDEs say where it is from the section's beginning.
  Bytes cie_body = Bytes(4, '\xff') + std::initializer_list<int>{1, 0, 1, 0x78, 16, 0x0c, 7, 8, 0x90, 1};
  Bytes debug = entry(cie_body) + entry(bytes_of(std::uint32_t{0}) + bytes_of(std::uint64_t{0x4000}) +
                                        bytes_of(std::uint64_t{0x40}) + std::initializer_list<int>{0x0e, 48});
  UnwindTable alone = kit::make_unwind_table({{.bytes = debug, .debug = true}});
  CHECK(alone.functions == 1);
  CHECK(alone.rule_of(0x4010) == kit_unwind_rule(KIT_UNWIND_STACK, KIT_UNWIND_SAME, 6));
  Bytes other = cie() + fde(cie().size(), 0x4000, 0x40, {0x0e, 16});
  UnwindTable both = kit::make_unwind_table({{.bytes = other, .address = 0x1000}, {.bytes = debug, .debug = true}});
  CHECK(both.rule_of(0x4010) == kit_unwind_rule(KIT_UNWIND_STACK, KIT_UNWIND_SAME, 2));
}

TEST_CASE("what is too much is left out, and said") {
  Bytes all = cie();
  for (std::uint64_t i = 0; i < 100; i++) all += fde(all.size(), 0x4000 + i * 32, 16, {});
  CHECK(table_of(all).whole);
  UnwindTable cut = kit::make_unwind_table({{all, 0x1000}}, 50);
  CHECK_FALSE(cut.whole);
  CHECK(cut.functions == 50);
  all += fde(all.size(), 0x4000 + (std::uint64_t{1} << 32), 16, {});
  CHECK_FALSE(table_of(all).whole);
  // Within a function, too: what comes after is not known.
  Bytes one = cie();
  one += fde(one.size(), 0x4000, 0x100, {0x41, 0x0e, 16, 0x41, 0x0e, 24, 0x41, 0x0e, 32, 0x41, 0x0e, 40});
  CHECK(table_of(one).rows.size() == 6);
  UnwindTable part = kit::make_unwind_table({{.bytes = one}}, 3);
  CHECK_FALSE(part.whole);
  CHECK(part.rule_of(0x4002) == kit_unwind_rule(KIT_UNWIND_STACK, KIT_UNWIND_SAME, 3));
  CHECK(part.rule_of(0x4003) == KIT_UNWIND_UNSUPPORTED);
  CHECK(part.rule_of(0x40ff) == KIT_UNWIND_UNSUPPORTED);
  CHECK_FALSE(kit::make_unwind_table({{.left_out = true}}).whole);
}

TEST_CASE("sections that end too early have what can be read of them") {
  Bytes all = cie();
  for (std::uint64_t i = 0; i < 4; i++) all += fde(all.size(), 0x4000 + i * 32, 16, {0x41, 0x0e, 16, 0x86, 2});
  for (std::size_t size = 0; size <= all.size(); size++) {
    UnwindTable table = table_of(all.substr(0, size));
    CHECK(table.functions <= 4);
    CHECK((table.functions == 4) == (size == all.size()));
    if (!table.rows.empty()) CHECK(table.rule_of(0x4001) == kit_unwind_rule(KIT_UNWIND_STACK, 2, 2));
  }
  CHECK(table_of("").rows.empty());
  CHECK(table_of("").rule_of(1) == KIT_UNWIND_GAP);
}

TEST_CASE("unwind tables agree with libdw's interpreter on every row of this program's libraries and of itself") {
  std::vector<std::string> all = own_libraries();
  CHECK(std::any_of(all.begin(), all.end(), [](const auto& path) { return path.find("/libc.so") != path.npos; }));
  CHECK(std::any_of(all.begin(), all.end(), [](const auto& path) { return path.find("/libstdc++.so") != path.npos; }));
  all.push_back(std::filesystem::read_symlink("/proc/self/exe"));
  Sum sum;
  for (const std::string& path : all) check_file(path, sum);
  CHECK(sum.unsupported * 1000 < sum.rows);
}

TEST_CASE("unwind tables agree with libdw's interpreter on every row of the distribution's programs") {
  // A library of over 50 MB is enough: the first that is here.
  std::vector<std::string> all = {"/usr/bin/perl"};
  for (const char* folder : {"/usr/lib/llvm-14/lib/libLLVM-14.so.1", "/usr/lib/llvm-19/lib/libLLVM.so.19.1"})
    if (all.size() == 1 && std::filesystem::exists(folder)) all.push_back(std::filesystem::canonical(folder));
  if (!std::filesystem::exists(all[0])) SKIP_CASE("perl is not here", "perl");
  Sum sum;
  for (const std::string& path : all) check_file(path, sum);
  CHECK(sum.unsupported * 1000 < sum.rows);
}

TEST_CASE("unwind tables agree with libdw's interpreter on every row of libraries for arm64") {
  Sum sum;
  for (const char* folder : {"/usr/lib/aarch64-linux-gnu/", "/usr/aarch64-linux-gnu/lib/"})
    for (const char* name : {"libc.so.6", "libm.so.6", "libgcc_s.so.1", "libstdc++.so.6", "libcrypto.so.3"})
      if (std::string path = std::string(folder) + name; std::filesystem::exists(path)) check_file(path, sum);
  if (sum.rows == 0) SKIP_CASE("no libraries for arm64 are here", "libraries for arm64");
  CHECK(sum.unsupported * 1000 < sum.rows);
}
