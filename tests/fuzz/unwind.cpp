// SPDX-License-Identifier: BSD-2-Clause
// Call frame information with hostile bytes: tables made of it end, are bounded and in order, and what they say of an
// address that was left whole is what was said. Built so that a wrong step ends the program.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <random>

#include "case.hpp"
#include "unwind_table.hpp"

namespace {

using Random = std::mt19937_64;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds of_a_case{8};

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

template <typename Change>
void go_on(Change change) {
  kit::Elf file(std::filesystem::canonical("/proc/self/exe"));
  auto whole = call_frames(file);
  REQUIRE(!whole.empty());
  // A part is enough, and as quick as many tries need it to be.
  whole[0].bytes.resize(std::min<std::size_t>(whole[0].bytes.size(), 8192));
  std::uint64_t seed = 1;
  for (auto end = Clock::now() + of_a_case; Clock::now() < end; seed++) {
    Random random(seed);
    auto sections = whole;
    sections[0].debug = random() % 4 == 0;
    change(sections[0].bytes, random);
    auto begin = Clock::now();
    check_table(make_unwind_table(sections), sections[0].bytes.size());
    if (Clock::now() - begin > std::chrono::seconds(2)) FAIL_CHECK("seed " << seed << " took too long");
  }
  CHECK(seed > 100);
}

}  // namespace

TEST_CASE("call frames whose bytes are changed make tables that are in order") {
  go_on([](std::string& bytes, Random& random) {
    if (random() % 2) bytes.resize(random() % bytes.size());
    for (std::size_t i = random() % 200; i-- > 0 && !bytes.empty();)
      bytes[random() % bytes.size()] = static_cast<char>(random());
  });
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
