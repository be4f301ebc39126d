// SPDX-License-Identifier: BSD-2-Clause
// Records of several CPUs come out in the order of their times.
#include "kit/stream.hpp"

#include <cstring>
#include <random>

#include "case.hpp"

namespace {

std::string record(std::uint64_t time, std::string_view tail = "", std::uint32_t tail_at = 0,
                   std::string_view rest = "") {
  kit_head head{};
  head.time = time;
  head.fixed = sizeof head;
  head.tail_at = tail_at;
  head.tail_size = static_cast<std::uint32_t>(tail.size());
  std::string bytes(reinterpret_cast<const char*>(&head), sizeof head);
  bytes.append(tail_at, '#');
  bytes += tail;
  bytes += rest;
  return bytes;
}

struct Given {
  std::uint64_t time;
  bool late;
  std::string tail;
  bool operator==(const Given&) const = default;
};

std::vector<Given> release(kit::Reorder& reorder, std::uint64_t time) {
  std::vector<Given> given;
  reorder.release(time, [&](const kit_head& head, bool late) {
    CHECK(head.tail_at == 0);
    CHECK(reinterpret_cast<std::uintptr_t>(&head) % alignof(kit_head) == 0);
    given.push_back({head.time, late, std::string(reinterpret_cast<const char*>(&head) + head.fixed, head.tail_size)});
  });
  return given;
}

}  // namespace

TEST_CASE("records within the window are sorted") {
  kit::Reorder reorder;
  for (std::uint64_t time : {30, 10, 20}) CHECK(reorder.add(record(time)));
  CHECK(release(reorder, 25) == std::vector<Given>{{10, false, ""}, {20, false, ""}});
  CHECK_FALSE(reorder.empty());
  CHECK(release(reorder, 25).empty());
  CHECK(release(reorder, 30) == std::vector<Given>{{30, false, ""}});
  CHECK(reorder.empty());
}

TEST_CASE("what comes after later ones were given is late") {
  kit::Reorder reorder;
  reorder.add(record(100));
  CHECK(release(reorder, 100).size() == 1);
  reorder.add(record(50));
  reorder.add(record(100));
  reorder.add(record(150));
  CHECK(release(reorder, UINT64_MAX) == std::vector<Given>{{50, true, ""}, {100, false, ""}, {150, false, ""}});
}

TEST_CASE("records of one time stay in the order in which they came") {
  kit::Reorder reorder;
  reorder.add(record(9, "z"));
  for (std::string_view tail : {"a", "b", "c"}) reorder.add(record(5, tail));
  auto given = release(reorder, UINT64_MAX);
  REQUIRE(given.size() == 4);
  CHECK(given[0].tail + given[1].tail + given[2].tail + given[3].tail == "abcz");
}

TEST_CASE("a tail moves up to the fixed part, and what is around it goes") {
  kit::Reorder reorder;
  CHECK(reorder.add(record(1, "tail", 7, "beyond")));
  CHECK(reorder.add(record(2, "", 3)));
  CHECK(reorder.add(record(3, "next")));
  CHECK(release(reorder, UINT64_MAX) == std::vector<Given>{{1, false, "tail"}, {2, false, ""}, {3, false, "next"}});
}

TEST_CASE("what is no record is refused") {
  kit::Reorder reorder;
  CHECK_FALSE(reorder.add(""));
  std::string good = record(1, "tail");
  CHECK_FALSE(reorder.add(std::string_view(good).substr(0, sizeof(kit_head) - 1)));
  CHECK_FALSE(reorder.add(std::string_view(good).substr(0, good.size() - 1)));
  auto broken = [&](auto change) {
    std::string bytes = record(1, "tail", 2);
    kit_head head;
    std::memcpy(&head, bytes.data(), sizeof head);
    change(head);
    std::memcpy(bytes.data(), &head, sizeof head);
    return reorder.add(bytes);
  };
  CHECK_FALSE(broken([](kit_head& head) { head.fixed = 8; }));
  CHECK_FALSE(broken([](kit_head& head) { head.fixed = 60000; }));
  CHECK_FALSE(broken([](kit_head& head) { head.tail_size = UINT32_MAX; }));
  CHECK_FALSE(broken([](kit_head& head) { head.tail_at = UINT32_MAX; }));
  CHECK_FALSE(broken([](kit_head& head) { head.tail_at = head.tail_size = 0x80000000u; }));
  CHECK(reorder.empty());
}

TEST_CASE("many records, added and given in turn, all come out once and in order") {
  std::mt19937 random(7);
  kit::Reorder reorder;
  std::uint64_t now = 1000, added = 0, given = 0, last = 0;
  for (int round = 0; round < 2000; round++) {
    now += random() % 50;
    for (unsigned i = 0; i < random() % 6; i++, added++) {
      std::uint64_t time = now - random() % 100;
      CHECK(reorder.add(record(time, std::string(random() % 20, 'x'))));
    }
    for (const Given& one : release(reorder, now - 100)) {
      CHECK_FALSE(one.late);
      CHECK(one.time >= last);
      CHECK(one.tail.find_first_not_of('x') == one.tail.npos);
      last = one.time;
      given++;
    }
  }
  given += release(reorder, UINT64_MAX).size();
  CHECK(given == added);
}

TEST_CASE("so many records are given at once, in order, whatever has come meanwhile") {
  kit::Reorder reorder;
  std::vector<std::uint64_t> given;
  auto each = [&](const kit_head& head, bool) { given.push_back(head.time); };
  for (std::uint64_t time : {40, 10, 50, 30}) CHECK(reorder.add(record(time, "tail")));
  CHECK(reorder.release(45, each, 2));
  CHECK(given == std::vector<std::uint64_t>{10, 30});
  for (std::uint64_t time : {35, 60}) CHECK(reorder.add(record(time, "more")));
  CHECK(reorder.release(45, each, 1));
  CHECK_FALSE(reorder.release(45, each, 1));
  CHECK(given == std::vector<std::uint64_t>{10, 30, 35, 40});
  CHECK(reorder.size() > 0);
  CHECK_FALSE(reorder.release(UINT64_MAX, each));
  CHECK(given == std::vector<std::uint64_t>{10, 30, 35, 40, 50, 60});
  CHECK(reorder.empty());
  CHECK(reorder.size() == 0);
}
