// SPDX-License-Identifier: BSD-2-Clause
#include "unwind_pools.hpp"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/bpf.h>

#include <algorithm>
#include <cstring>

namespace kit {
namespace {

// A descriptor of our own: the object may be closed before the background has ended.
Fd own(bpf_object* object, const char* map) {
  return Fd(fcntl(bpf_object__find_map_fd_by_name(object, map), F_DUPFD_CLOEXEC, 0));
}

void clear(kit_unwind_page& page) { std::memset(&page, 0xff, sizeof page); }  // KIT_UNWIND_NOWHERE all over

// One less than there is room for, since a gap may come before the first.
constexpr std::size_t rows_of_piece = std::size_t{KIT_UNWIND_PAGES - 1} * KIT_UNWIND_PAGE_ROWS - 1;

std::uint32_t pages_of(std::size_t rows) {
  return static_cast<std::uint32_t>((rows + KIT_UNWIND_PAGE_ROWS - 1) / KIT_UNWIND_PAGE_ROWS);
}

}  // namespace

std::uint32_t unwind_pages(const UnwindTable& table) { return pages_of(table.rows.size()); }

UnwindPools::UnwindPools(bpf_object* object, std::size_t most) : outer_(own(object, "unwind_pools")), most_(most) {
  auto pages = static_cast<std::uint32_t>(std::min<std::size_t>(KIT_UNWIND_FIRST_POOL, most / sizeof(kit_unwind_page)));
  pools_.push_back({own(object, "unwind_pools_first"), {{0, pages}}});
  bytes_ = KIT_UNWIND_FIRST_POOL * sizeof(kit_unwind_page);
}

bool UnwindPools::may_grow() const {
  return pools_.size() < KIT_UNWIND_POOLS && bytes_ + KIT_UNWIND_PAGES * sizeof(kit_unwind_page) <= most_;
}

bool UnwindPools::has_room(std::uint32_t pages) const {
  return may_grow() || std::any_of(pools_.begin(), pools_.end(), [&](const Pool& pool) {
           return std::any_of(pool.free.begin(), pool.free.end(), [&](auto& one) { return one.second >= pages; });
         });
}

std::optional<UnwindPools::Place> UnwindPools::reserve(std::uint32_t pages) {
  for (std::uint32_t number = 0; number < KIT_UNWIND_POOLS; number++) {
    if (number == pools_.size()) {
      if (!may_grow()) return {};
      LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_INNER_MAP);
      Fd map(bpf_map_create(BPF_MAP_TYPE_ARRAY, "unwind_pool", 4, sizeof(kit_unwind_page), KIT_UNWIND_PAGES, &options));
      int fd = map.get();
      if (!map || bpf_map_update_elem(outer_.get(), &number, &fd, BPF_ANY) != 0) return {};
      bytes_ += KIT_UNWIND_PAGES * sizeof(kit_unwind_page);
      pools_.push_back({std::move(map), {{0, KIT_UNWIND_PAGES}}});
    }
    auto& free = pools_[number].free;
    auto found = std::find_if(free.begin(), free.end(), [&](const auto& one) { return one.second >= pages; });
    if (found == free.end()) continue;
    auto [page, count] = *found;
    free.erase(found);
    if (count > pages) free[page + pages] = count - pages;
    return Place{number, page};
  }
  return {};
}

void UnwindPools::release(const UnwindPiece& piece) {
  auto& free = pools_[piece.number >> KIT_UNWIND_POOL_BITS].free;
  auto at = free.emplace(piece.number & (KIT_UNWIND_PAGES - 1), piece.pages).first;
  if (auto next = std::next(at); next != free.end() && at->first + at->second == next->first) {
    at->second += next->second;
    free.erase(next);
  }
  if (at == free.begin()) return;
  if (auto before = std::prev(at); before->first + before->second == at->first) {
    before->second += at->second;
    free.erase(at);
  }
}

void UnwindPools::free(const std::vector<UnwindPiece>& pieces) {
  if (pieces.empty()) return;
  // A change of a map of maps waits for all programs that run (5.0, 1ae80cf31938), even one that changes nothing.
  std::uint32_t number = 0;
  int fd = pools_[number].map.get();
  bpf_map_update_elem(outer_.get(), &number, &fd, BPF_ANY);
  for (const UnwindPiece& piece : pieces) release(piece);
}

bool UnwindPools::write(const Place& place, std::uint32_t page, const kit_unwind_page& content) const {
  std::uint32_t number = place.page + page;
  return bpf_map_update_elem(pools_[place.pool].map.get(), &number, &content, BPF_ANY) == 0;
}

std::optional<UnwindPiece> UnwindPools::put_piece(const kit_unwind_row* rows, std::size_t count, std::uint64_t start) {
  std::uint32_t pages = pages_of(count);
  auto place = reserve(1 + pages);
  if (!place) return {};
  kit_unwind_page directory, page;
  clear(directory);
  bool written = true;
  for (std::uint32_t i = 0; i < pages; i++) {
    std::size_t first = std::size_t{i} * KIT_UNWIND_PAGE_ROWS;
    clear(page);
    std::copy_n(rows + first, std::min<std::size_t>(count - first, KIT_UNWIND_PAGE_ROWS), page.rows);
    directory.first[i] = page.rows[0].start;
    written &= write(*place, 1 + i, page);
  }
  written &= write(*place, 0, directory);
  UnwindPiece piece{start, static_cast<std::uint16_t>(place->pool << KIT_UNWIND_POOL_BITS | place->page), 1 + pages};
  if (written) return piece;
  release(piece);
  return {};
}

std::optional<std::vector<UnwindPiece>> UnwindPools::put(const UnwindTable& table, std::uint64_t start) {
  std::vector<UnwindPiece> pieces;
  start = std::min(start, table.base);
  std::uint64_t shift = table.base - start;
  if (table.rows.empty() || shift + table.rows.back().start >= KIT_UNWIND_NOWHERE) return pieces;
  std::vector<kit_unwind_row> rows;
  for (std::size_t at = 0; at < table.rows.size(); at += rows_of_piece) {
    std::size_t count = std::min(rows_of_piece, table.rows.size() - at);
    rows.clear();
    std::uint64_t begin = at ? table.base + table.rows[at].start : start;
    if (begin < table.base + table.rows[at].start) rows.push_back({0, KIT_UNWIND_GAP});
    for (std::size_t i = at; i < at + count; i++)
      rows.push_back({static_cast<std::uint32_t>(table.base + table.rows[i].start - begin), table.rows[i].rule});
    auto piece = put_piece(rows.data(), rows.size(), begin);
    if (!piece) {
      for (const UnwindPiece& one : pieces) release(one);  // no program knows of them yet
      return {};
    }
    pieces.push_back(*piece);
  }
  return pieces;
}

}  // namespace kit
