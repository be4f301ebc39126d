// SPDX-License-Identifier: BSD-2-Clause
// The kernel's memory for unwind tables: rows go there in pieces, which have numbers.
#pragma once

#include <bpf/libbpf.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "kit/handle.hpp"
#include "unwind_table.hpp"

namespace kit {

// The rows of a part of a module.
struct UnwindPiece {
  std::uint64_t start = 0;   // the lowest address, in the file's terms; its rows count from there
  std::uint16_t number = 0;  // see kit/unwind.h
};

class UnwindPools {
 public:
  // `most`: bytes, of all pools.
  UnwindPools(bpf_object* object, std::size_t most);
  // Puts a table in whose first piece begins at `start`, which may be before the table's own first row. Nothing if
  // there is no room left.
  std::optional<std::vector<UnwindPiece>> put(const UnwindTable& table, std::uint64_t start);
  std::size_t bytes() const { return bytes_; }

 private:
  struct Pool {
    Fd map;
    std::uint32_t used = 0, pages = 0;
  };
  struct Place {
    std::uint32_t pool, page;
  };
  std::optional<Place> reserve(std::uint32_t pages);
  bool write(const Place& place, std::uint32_t page, const kit_unwind_page& content) const;
  std::optional<UnwindPiece> put_piece(const kit_unwind_row* rows, std::size_t count, std::uint64_t start);

  Fd outer_;
  std::vector<Pool> pools_;
  std::size_t most_, bytes_ = 0;
};

}  // namespace kit
