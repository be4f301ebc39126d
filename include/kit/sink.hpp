// SPDX-License-Identifier: BSD-2-Clause
// Where rows, histograms and the summary go: text, JSON lines or CSV (CONTRACT, section 4).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kit/attach.hpp"
#include "kit/clock.hpp"
#include "kit/options.hpp"
#include "kit/slots.hpp"
#include "kit/table.hpp"

namespace kit {

// Standard output, written in batches. Throws Finished when the reader has gone, Failure when the disk is full.
class OutputBuffer {
 public:
  std::string& text() { return text_; }
  void flush();

 private:
  std::string text_;
};

// How a traced command ended.
struct CommandEnd {
  int exit = 0;
  int signal = 0;  // 0: it exited by itself
};

// Counts by name; no value where this kernel keeps no such count.
using Losses = std::map<std::string, std::optional<std::uint64_t>>;

struct Start {
  std::string tool, version, kernel, arch;
  Clock clock;
  std::string filters = "{}";  // JSON
  std::string plan = "{}";     // JSON
};

struct End {
  std::uint64_t rows = 0, late = 0;
  Losses lost;
  std::optional<CommandEnd> command;
};

// What is said of a row besides its cells.
struct RowMark {
  std::optional<std::uint64_t> interval;  // which report, from 1
  bool partial = false;                   // of a last report that was cut short
  bool late = false;                      // came after later ones were shown
};

struct Histogram {
  using Key = std::vector<std::pair<std::string, Cell>>;
  std::string name;  // of what is measured
  std::string unit;  // "ns", "bytes"
  Key key;
  const Slots& slots;
  std::optional<std::uint64_t> sum, max;
};

// Counts about a report, by name in the order in which they are shown.
struct Tally {
  std::string type;   // JSON's
  std::string title;  // text's
  std::vector<std::pair<std::string, std::uint64_t>> counts;
  std::vector<std::pair<std::string, std::string>> texts{};  // what they are about
};

class Sink {
 public:
  virtual ~Sink() = default;
  virtual void start(const Start& start) = 0;
  // Once, before the first row or, in text, where there may be none.
  virtual void table(const Columns& columns) = 0;
  // A report begins: its number from 1, when it ends (ns since boot), and whether it was cut short.
  virtual void report(std::uint64_t interval, std::uint64_t time, bool partial) = 0;
  virtual void row(const Columns& columns, const std::vector<Cell>& cells, const RowMark& mark) = 0;
  virtual void histogram(const Histogram& histogram, const RowMark& mark) = 0;
  virtual void tally(const Tally& tally, const RowMark& mark) = 0;
  virtual void end(const End& end) = 0;
};

std::unique_ptr<Sink> make_sink(Output output, TimeStyle time, Shape shape, bool with_interval, OutputBuffer& out);

// Shows nothing.
std::unique_ptr<Sink> make_quiet_sink();

// A value as text shows it.
std::string cell_text(const Cell& cell);
// The plan as JSON, for the start line and --explain.
std::string plan_json(const std::vector<Settled>& plan);
// What --explain prints; kit/suite.hpp reads it.
std::string plan_text(const std::vector<Settled>& plan);
inline constexpr std::string_view no_way_text = "cannot be seen on this kernel";
// {"name":count,...}
std::string losses_json(const Losses& lost);

}  // namespace kit
