// SPDX-License-Identifier: BSD-2-Clause
// Columns described once: heading, width, JSON key, and how to get the cell out of a record. Every output is made of
// these.
#pragma once

#include <concepts>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "kit/failure.hpp"
#include "kit/record.h"

namespace kit {

enum class Unit { ns, us, ms };

// One frame of a stack as it is shown. Text lives as long as the stack.
struct StackFrame {
  enum class Kind : std::uint8_t { user, kernel, jit };
  std::uint64_t address = 0;        // as it was taken
  std::uint64_t module_offset = 0;  // the same in the terms of the module's own symbols
  std::uint64_t offset = 0;         // from the function's beginning
  std::string_view name;            // empty: not known, for `reason`
  std::string_view module, build_id, file, reason;
  std::uint32_t line = 0;  // 0: not known
  bool inlined = false;
  Kind kind = Kind::user;
};
// Leaf first.
using Stack = std::vector<StackFrame>;

// One value on its way to an output. Text, CSV and JSON write it differently; what it is stands here.
struct Cell {
  enum class Kind {
    unknown,   // this one value is not known: `?`, null
    absent,    // this kernel, or this run, has no source for it: `n/a`, null
    none,      // there is none, and that is known: `-`, null
    number,    // signed
    count,     // unsigned
    boolean,   //
    decimal,   // a ratio; three digits after the point
    text,      //
    fields,    // names with cells: NAME=VALUE in text, an object in JSON
    words,     // NUL-terminated words: quoted for a shell in text, an array in JSON
    error,     // an errno: its name
    duration,  // ns; in text in `unit`
    address,   // hexadecimal
    time,      // ns since boot
    stack,     // frames, leaf first
  };
  Kind kind = Kind::unknown;
  std::int64_t number = 0;
  double decimal = 0;
  Unit unit = Unit::ns;
  std::string_view view;                                 // text that lives in the record
  std::string own;                                       // text that was made for the cell
  std::vector<std::pair<std::string_view, Cell>> parts;  // of fields
  const Stack* frames = nullptr;                         // which live until the row is written

  std::string_view text() const { return own.empty() ? view : std::string_view(own); }

  static Cell unknown() { return {}; }
  static Cell absent() { return of(Kind::absent, 0); }
  static Cell none() { return of(Kind::none, 0); }
  static Cell integer(std::int64_t value) { return of(Kind::number, value); }
  static Cell count(std::uint64_t value) { return of(Kind::count, static_cast<std::int64_t>(value)); }
  static Cell boolean(bool value) { return of(Kind::boolean, value); }
  static Cell ratio(double value) {
    Cell cell = of(Kind::decimal, 0);
    cell.decimal = value;
    return cell;
  }
  static Cell error(int value) { return value ? of(Kind::error, value) : none(); }
  static Cell duration(std::uint64_t ns, Unit unit) {
    Cell cell = of(Kind::duration, static_cast<std::int64_t>(ns));
    cell.unit = unit;
    return cell;
  }
  static Cell address(std::uint64_t value) { return of(Kind::address, static_cast<std::int64_t>(value)); }
  static Cell time(std::uint64_t boot_ns) { return of(Kind::time, static_cast<std::int64_t>(boot_ns)); }
  static Cell borrowed(std::string_view text) {
    Cell cell = of(Kind::text, 0);
    cell.view = text;
    return cell;
  }
  static Cell owned(std::string text) {
    Cell cell = of(Kind::text, 0);
    cell.own = std::move(text);
    return cell;
  }
  static Cell fields(std::vector<std::pair<std::string_view, Cell>> parts) {
    Cell cell = of(Kind::fields, 0);
    cell.parts = std::move(parts);
    return cell;
  }
  static Cell stack(const Stack& stack) {
    Cell cell = of(Kind::stack, 0);
    cell.frames = &stack;
    return cell;
  }
  static Cell words(std::string_view blob) {
    Cell cell = of(Kind::words, 0);
    cell.view = blob;
    return cell;
  }

 private:
  static Cell of(Kind kind, std::int64_t number) {
    Cell cell;
    cell.kind = kind;
    cell.number = number;
    return cell;
  }
};

// A member as a cell. A 32-bit number with all bits set is what the programs write for "not known" (KIT_NO_PID).
template <std::integral Number>
Cell to_cell(Number value) {
  if constexpr (std::same_as<Number, std::uint32_t>) {
    if (value == KIT_NO_PID) return Cell::unknown();
  }
  if constexpr (std::signed_integral<Number>) {
    return Cell::integer(value);
  } else {
    return Cell::count(value);
  }
}
inline Cell to_cell(const Cell& cell) { return cell; }
template <std::size_t size>
Cell to_cell(const char (&text)[size]) {
  return Cell::borrowed({text, strnlen(text, size)});
}

// A thread's name, which need not end in NUL.
template <std::size_t size>
std::string_view comm_text(const char (&text)[size]) {
  return {text, strnlen(text, size)};
}

struct Column {
  std::string heading;
  std::string key;  // in JSON and CSV; fixed, whatever the options
  int width = 0;    // of the heading and the usual value, in text
  bool right = false;
  std::string about;            // one phrase, for --help and the manual
  std::function<bool()> shown;  // whether text shows the column; none: always
  std::function<bool()> raw;    // whether text is this column's bytes and nothing else; none: never
  std::function<Cell(const void*)> cell;
};

// A column's cell that is made where it is to be, rather than moved there.
struct MadeCell {
  const Column& column;
  const void* row;
  operator Cell() const { return column.cell(row); }
};

// A table's columns without the type of its rows.
class Columns {
 public:
  const std::vector<Column>& columns() const { return columns_; }
  // Fills `cells`, as many as there are columns.
  void cells(const void* row, std::vector<Cell>& cells) const {
    cells.clear();
    for (const Column& column : columns_) cells.emplace_back(MadeCell{column, row});
  }

 protected:
  std::vector<Column> columns_;
};

// The record that a head begins. Throws Failure if it is shorter: the capture it was read from is damaged.
template <typename Record>
const Record& record_as(const kit_head& head) {
  if (head.fixed != sizeof(Record)) throw Failure(Exit::failed, "the capture is damaged: a record has another size");
  return reinterpret_cast<const Record&>(head);
}

// What follows a record's fixed part.
template <typename Record>
std::string_view tail(const Record& record) {
  const char* bytes = reinterpret_cast<const char*>(&record);
  return {bytes + record.head.fixed + record.head.tail_at, record.head.tail_size};
}

template <typename Row>
class Table : public Columns {
 public:
  // A member of the row, or a function of it.
  template <typename Get>
  Table& column(std::string heading, std::string key, int width, std::string about, Get get) {
    Column column{.heading = std::move(heading),
                  .key = std::move(key),
                  .width = width < 0 ? -width : width,
                  .right = width < 0,
                  .about = std::move(about),
                  .shown = {},
                  .raw = {},
                  .cell = {}};
    if constexpr (std::is_member_object_pointer_v<Get>) {
      column.cell = [get](const void* row) { return to_cell(static_cast<const Row*>(row)->*get); };
    } else {
      column.cell = [get](const void* row) { return get(*static_cast<const Row*>(row)); };
    }
    columns_.push_back(std::move(column));
    return *this;
  }
  // Text shows the last `count` columns only with this option, which is true or above 0.
  template <typename Option>
  Table& only_with(const Option& option, std::size_t count = 1) {
    for (std::size_t i = columns_.size() - count; i < columns_.size(); i++)
      columns_[i].shown = [&option] { return static_cast<bool>(option); };
    return *this;
  }
  // The other way round.
  template <typename Option>
  Table& only_without(const Option& option) {
    columns_.back().shown = [&option] { return !option; };
    return *this;
  }
  // The last `count` columns are for programs: text leaves them out, in JSON and CSV they are.
  Table& not_in_text(std::size_t count = 1) {
    for (std::size_t i = columns_.size() - count; i < columns_.size(); i++) columns_[i].shown = [] { return false; };
    return *this;
  }
  // Text is the last column's bytes alone, as they are, where `option` is true.
  Table& raw_with(const bool& option) {
    columns_.back().raw = [&option] { return option; };
    return *this;
  }
  // When the event was complete. For records, which begin with their head.
  Table& time() {
    return column("TIME", "time", 12, "when the event was complete",
                  [](const Row& row) { return Cell::time(row.head.time); });
  }
};

}  // namespace kit
