// SPDX-License-Identifier: BSD-2-Clause
// Call frame information with hostile bytes: tables made of it end, are bounded and in order, and what they say of an
// address that was left whole is what was said. Built so that a wrong step ends the program.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <random>

#include "case.hpp"
#include "unwind_table.hpp"

namespace {

using Random = std::mt19937_64;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds of_a_case{5};

void check_table(const kit::UnwindTable& table, std::size_t bytes) {
  const auto& rows = table.rows;
  CHECK(rows.size() <= 2 * bytes);
  bool in_order = std::adjacent_find(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
                    return a.start >= b.start || a.rule == b.rule;
                  }) == rows.end();
  CHECK(in_order);
  if (!rows.empty()) CHECK(rows.back().rule == KIT_UNWIND_GAP);
  for (const kit_unwind_row& row : rows) {
    std::uint32_t kind = kit_unwind_kind(row.rule);
    if (kind >= KIT_UNWIND_REGISTER + KIT_UNWIND_REGISTERS) FAIL_CHECK("there is no such kind: " << kind);
  }
}

// Calls each(random) with new seeds for a while.
template <typename Each>
void go_on_with(Each each) {
  std::uint64_t seed = 1;
  for (auto end = Clock::now() + of_a_case; Clock::now() < end; seed++) {
    Random random(seed);
    auto begin = Clock::now();
    each(random);
    if (Clock::now() - begin > std::chrono::seconds(2)) FAIL_CHECK("seed " << seed << " took too long");
  }
  CHECK(seed > 100);
}

// The frames for exceptions, of this program, or those for debuggers, of one that has both.
kit::CallFrames frames_of(bool debug) {
  kit::Elf file(debug ? test::trigger_path("unwound_fixed") : std::filesystem::canonical("/proc/self/exe").string());
  for (kit::CallFrames& one : call_frames(file))
    if (one.debug == debug) return std::move(one);
  throw std::runtime_error("there are no such frames");
}

// The same frames in the terms of arm64, where a CIE's numbers of registers are others: its return address in x30, its
// frame at x31; what functions say of rbp is of x29.
void as_of_arm64(std::string& bytes) {
  for (std::size_t at = 0; (at = bytes.find("\x01\x78\x10", at)) != bytes.npos; at++) bytes[at + 2] = 30;
  for (std::size_t at = 0; (at = bytes.find("\x0c\x07\x08", at)) != bytes.npos; at++) bytes[at + 1] = 31;
  std::replace(bytes.begin(), bytes.end(), '\x86', '\x9d');
  std::replace(bytes.begin(), bytes.end(), '\x90', '\x9e');
}

template <typename Change>
void go_on(Change change, bool debug = false, bool arm64 = false) {
  kit::CallFrames whole = frames_of(debug);
  if (arm64) as_of_arm64(whole.bytes);
  // A part is enough, and as quick as many tries need it to be.
  whole.bytes.resize(std::min<std::size_t>(whole.bytes.size(), 8192));
  whole.arm64 = arm64;
  kit::UnwindTable unchanged = kit::make_unwind_table({whole});
  CHECK(unchanged.functions > 10);
  CHECK(unchanged.unsupported() * 2 < unchanged.rows.size());
  go_on_with([&](Random& random) {
    kit::CallFrames frames = whole;
    frames.debug = debug != (random() % 8 == 0);
    change(frames.bytes, random);
    check_table(kit::make_unwind_table({frames}), frames.bytes.size());
    // However few rows there may be, there is none more, but for one that says so and one at the end.
    std::size_t most = 1 + random() % 32;
    kit::UnwindTable few = kit::make_unwind_table({frames}, most);
    if (few.rows.size() > 2 * most + 2) FAIL_CHECK(few.rows.size() << " rows where " << most << " may be");
  });
}

void change_bytes(std::string& bytes, Random& random) {
  if (random() % 2) bytes.resize(random() % bytes.size());
  for (std::size_t i = random() % 200; i-- > 0 && !bytes.empty();)
    bytes[random() % bytes.size()] = static_cast<char>(random());
}

}  // namespace

TEST_CASE("call frames whose bytes are changed make tables that are in order") { go_on(change_bytes); }

TEST_CASE("call frames for debuggers whose bytes are changed make tables that are in order") {
  go_on(change_bytes, true);
}

TEST_CASE("call frames of arm64 whose bytes are changed make tables that are in order") {
  go_on(change_bytes, false, true);
  go_on(change_bytes, true, true);
}

TEST_CASE("files whose headers lie about where call frames are make tables that are in order") {
  std::string whole = test::read_file(test::trigger_path("libunwound.so"));
  REQUIRE(whole.size() > 4096);
  test::TemporaryDirectory folder;
  std::string path = folder.path() + "/file";
  std::size_t tables = 0;
  go_on_with([&](Random& random) {
    std::string bytes = whole;
    std::uint64_t sections = 0;  // where their headers are, at the end
    std::copy_n(bytes.data() + 40, sizeof sections, reinterpret_cast<char*>(&sections));
    if (random() % 8 == 0) bytes.resize(random() % bytes.size());
    bool front = random() % 2;
    for (std::size_t i = 1 + random() % 24; i-- > 0;) {
      // Of the file's header no more than where others are: what is not ELF at all is refused elsewhere.
      std::size_t at = front ? 32 + random() % 700 : sections + random() % (whole.size() - sections);
      if (at < bytes.size()) bytes[at] = static_cast<char>(random() % 2 ? random() : random() % 4 * 85);
    }
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
    try {
      auto frames = call_frames(kit::Elf(path));
      std::size_t size = 0;
      for (const kit::CallFrames& one : frames) size += one.bytes.size();
      kit::UnwindTable table = kit::make_unwind_table(frames);
      check_table(table, size);
      tables += !table.rows.empty();
    } catch (const kit::Failure&) {
    }
  });
  CHECK(tables > 20);
}

TEST_CASE("call frames of nothing but instructions, sizes and references make tables that are in order") {
  go_on([](std::string& bytes, Random& random) {
    static const std::uint8_t liked[] = {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x07, 0x0a, 0x0b, 0x0c, 0x0e,
                                         0x0f, 0x10, 0x16, 0x40, 0x41, 0x86, 0x90, 0xc6, 0xff, 0x7f, 0x80};
    // The first CIE stays, so that what follows is run at all.
    for (std::size_t i = 24; i < bytes.size(); i++)
      if (random() % 3 == 0) bytes[i] = static_cast<char>(liked[random() % std::size(liked)]);
  });
}
