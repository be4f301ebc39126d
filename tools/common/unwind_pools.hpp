// SPDX-License-Identifier: BSD-2-Clause
// The kernel's memory for unwind tables: rows go there in pieces, which have numbers, and whose room can be had again.
#pragma once

#include <bpf/libbpf.h>

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "kit/handle.hpp"
#include "unwind_table.hpp"

namespace kit {

// The rows of a part of a module.
struct UnwindPiece {
  std::uint64_t start = 0;   // the lowest address, in the file's terms; its rows count from there
  std::uint16_t number = 0;  // see kit/unwind.h
  std::uint32_t pages = 0;
};

// The pages that the rows of a table take.
std::uint32_t unwind_pages(const UnwindTable& table);

class UnwindPools {
 public:
  // `most`: bytes, of all pools.
  UnwindPools(bpf_object* object, std::size_t most);
  // Puts a table in whose first piece begins at `start`, which may be before the table's own first row. Nothing if
  // there is no room left.
  std::optional<std::vector<UnwindPiece>> put(const UnwindTable& table, std::uint64_t start);
  // Waits until no program in the kernel walks by what was there; then others may have its room.
  void free(const std::vector<UnwindPiece>& pieces);
  // Whether so many pages together, of one piece, could be had.
  bool has_room(std::uint32_t pages) const;
  std::size_t bytes() const { return bytes_; }

 private:
  struct Pool {
    Fd map;
    std::map<std::uint32_t, std::uint32_t> free;  // where free pages begin, and how many
  };
  struct Place {
    std::uint32_t pool, page;
  };
  std::optional<Place> reserve(std::uint32_t pages);
  void release(const UnwindPiece& piece);
  bool may_grow() const;
  bool write(const Place& place, std::uint32_t page, const kit_unwind_page& content) const;
  std::optional<UnwindPiece> put_piece(const kit_unwind_row* rows, std::size_t count, std::uint64_t start);

  Fd outer_;
  std::vector<Pool> pools_;
  std::size_t most_, bytes_ = 0;
};

}  // namespace kit
