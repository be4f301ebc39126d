// SPDX-License-Identifier: BSD-2-Clause
#include "kit/sink.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "kit/failure.hpp"
#include "kit/names.hpp"
#include "kit/text.hpp"

namespace kit {
namespace {

using Kind = Cell::Kind;

// A duration as text and CSV show it, to three digits behind the point, and what is halfway to the even one.
void append_duration(std::string& out, std::uint64_t ns, Unit unit) {
  std::uint64_t us = ns / 1000, rest = ns % 1000;
  switch (unit) {
    case Unit::ms: return append_thousandths(out, us + (rest > 500 || (rest == 500 && us % 2)));
    case Unit::us: return append_thousandths(out, ns);
    case Unit::ns: return append(out, ns);
  }
}

// What is said of a histogram besides its buckets.
struct Share {
  std::string_view heading, key;
  double fraction;
};
constexpr Share shares[] = {{"p50", "p50", 0.5}, {"p90", "p90", 0.9}, {"p99", "p99", 0.99}, {"p99.9", "p999", 0.999}};

// Never above the largest value, where that is known: a bucket is wider.
std::uint64_t share_of(const Histogram& histogram, const Share& share) {
  return std::min(histogram.slots.percentile(share.fraction), histogram.max.value_or(UINT64_MAX));
}

// As a cell: of equal buckets it may have a sign, or not be known.
Cell share_cell(const Histogram& histogram, const Share& share) {
  if (!histogram.slots.count()) return Cell::unknown();
  if (!histogram.slots.equal()) return Cell::count(share_of(histogram, share));
  auto value = histogram.slots.equal_percentile(share.fraction);
  auto most = histogram.max ? static_cast<std::int64_t>(*histogram.max) : INT64_MAX;
  return value ? Cell::integer(std::min(*value, most)) : Cell::unknown();
}

// A sum or the largest value.
Cell total_cell(const Histogram& histogram, std::optional<std::uint64_t> value) {
  if (!value) return Cell::unknown();
  return histogram.slots.equal() ? Cell::integer(static_cast<std::int64_t>(*value)) : Cell::count(*value);
}

// The bounds of a slot; of equal buckets the outermost have one only.
struct Bounds {
  std::string first, last;
};
Bounds bounds_of(const Slots& slots, unsigned slot, const std::string& none) {
  if (!slots.equal()) return {cat(slot_first(slot)), cat(slot_last(slot))};
  auto text = [&](std::optional<std::int64_t> bound) { return bound ? std::to_string(*bound) : none; };
  return {text(slots.equal()->first(slot)), text(slots.equal()->last(slot))};
}

// A value of a histogram to three digits: "1.02us", "4K", "65.5us".
std::string quantity(std::string_view unit, std::uint64_t value) {
  if (unit == "ns") return rounded_duration(value);
  return unit == "bytes" ? rounded_size(value) : cat(value);
}
std::string quantity(std::string_view unit, const Cell& cell) {
  if (cell.kind == Kind::unknown) return "?";
  if (cell.number < 0 && cell.kind == Kind::number) return std::to_string(cell.number);
  return quantity(unit, static_cast<std::uint64_t>(cell.number));
}

template <typename Time>
void append_plain(std::string& out, const Cell& cell, Time time);

// A cell among several: text is quoted, so that one sees where it ends.
void append_field(std::string& out, const Cell& cell) {
  if (cell.kind == Kind::stack && cell.frames->empty()) return append(out, "-");
  if (cell.kind != Kind::text) return append_plain(out, cell, [](std::uint64_t) {});
  std::string visible;
  append_visible(visible, cell.text());
  out += '"';
  for (char c : visible) out += c == '"' ? "\\\"" : std::string(1, c);
  out += '"';
}

// A frame in a line: its name or, in its place, where it lies, and why there is none.
void append_frame(std::string& out, const StackFrame& frame) {
  if (!frame.name.empty()) {
    append_visible(out, frame.name);
    if (frame.inlined)
      out += " [inlined]";
    else
      out += '+', append_hex(out, frame.offset);
  } else {
    append_hex(out, frame.module.empty() ? frame.address : frame.module_offset);
  }
  if (!frame.inlined && !frame.module.empty()) {
    out += " (";
    append_visible(out, frame.module);
    out += ')';
  }
  if (frame.line) {
    out += ' ';
    append_visible(out, frame.file.substr(frame.file.rfind('/') + 1));
    out += cat(':', frame.line);
  }
  if (frame.name.empty()) {
    if (!frame.build_id.empty()) out += cat(" build id ", frame.build_id);
    out += cat(" [", frame.reason, ']');
  }
}

// Frames on lines of their own, as text shows them.
void append_stack(std::string& out, const Stack& stack) {
  for (const StackFrame& frame : stack) {
    out += "\n    ";
    append_frame(out, frame);
  }
}

// Root first, joined by semicolons, as CSV has it.
void append_folded(std::string& out, const Stack& stack) {
  for (auto frame = stack.rbegin(); frame != stack.rend(); ++frame) {
    if (frame != stack.rbegin()) out += ';';
    std::string name(frame->name.empty() ? std::string_view("[unknown]") : frame->name);
    std::replace(name.begin(), name.end(), ';', ':');
    append_visible(out, name);
  }
}

// A value as text and CSV show it. `time` is how to write the time cells.
template <typename Time>
void append_plain(std::string& out, const Cell& cell, Time time) {
  auto bits = static_cast<std::uint64_t>(cell.number);
  switch (cell.kind) {
    case Kind::unknown: out += '?'; break;
    case Kind::absent: out += "n/a"; break;
    case Kind::none: out += '-'; break;
    case Kind::number: append(out, cell.number); break;
    case Kind::count: append(out, bits); break;
    case Kind::boolean: out += cell.number ? "yes" : "no"; break;
    case Kind::decimal: append_decimal(out, cell.decimal, 3); break;
    case Kind::text: append_visible(out, cell.text()); break;
    case Kind::words: {
      bool first = true;
      for (std::string_view word : split_words(cell.text())) {
        if (!std::exchange(first, false)) out += ' ';
        append_shell_word(out, word);
      }
      break;
    }
    case Kind::fields:
      for (const auto& [name, part] : cell.parts) {
        if (&part != &cell.parts[0].second) out += ' ';
        out += cat(name, '=');
        append_field(out, part);
      }
      break;
    case Kind::error: out += errno_name(static_cast<int>(cell.number)); break;
    case Kind::duration: append_duration(out, bits, cell.unit); break;
    case Kind::address: append_hex(out, bits); break;
    case Kind::time: time(bits); break;
    case Kind::stack: append_folded(out, *cell.frames); break;
  }
}

bool is_time(const Column& column) { return column.key == std::string_view("time"); }

class TextSink : public Sink {
 public:
  TextSink(TimeStyle time, bool reports, OutputBuffer& out) : time_(time), reports_(reports), out_(out) {}

  void start(const Start& start) override { clock_ = start.clock; }

  void table(const Columns& columns) override {
    std::string& out = out_.text();
    Line line;
    const auto& all = columns.columns();
    if (is_raw(all)) return;
    for (const Place& place : places_of(columns, true)) {
      if (!place.right) move_to(out, line, line.planned);
      std::size_t begin = out.size();
      out += all[place.column].heading;
      align(out, line, place, begin, width(all[place.column].heading));
    }
    out += '\n';
  }

  void report(std::uint64_t interval, std::uint64_t time, bool partial) override {
    std::string& out = out_.text();
    histograms_ = false;
    if (!reports_) return;
    if (interval > 1) out += '\n';
    if (time_ != TimeStyle::none) {
      append_time(out, time_, clock_, time, previous_);
      previous_ = time;
      out += partial ? " (cut short)\n" : "\n";
    } else if (partial) {
      out += "(cut short)\n";
    }
  }

  void row(const Columns& columns, const std::vector<Cell>& cells, const RowMark& mark) override {
    std::string& out = out_.text();
    Line line;
    const auto& all = columns.columns();
    if (is_raw(all)) {
      out += cells.back().text();
      return;
    }
    bool stacks = false;
    for (const Place& place : places_of(columns, false)) {
      const Cell& cell = cells[place.column];
      if (cell.kind == Kind::stack) {
        std::size_t begin = out.size();
        if (std::exchange(stacks, true)) out += cat("\n    -- ", all[place.column].heading);
        append_stack(out, *cell.frames);
        line.have += width(std::string_view(out).substr(begin));
        continue;
      }
      if (!place.right) move_to(out, line, line.planned);
      std::size_t begin = out.size();
      append_plain(out, cell, [&](std::uint64_t boot) {
        append_time(out, time_, clock_, boot, previous_);
        previous_ = boot;
      });
      bool ascii = cell.kind == Kind::number || cell.kind == Kind::count || cell.kind == Kind::time;
      align(out, line, place, begin, ascii ? out.size() - begin : width(std::string_view(out).substr(begin)));
    }
    out += mark.late ? " (late)\n" : "\n";
  }

  void histogram(const Histogram& histogram, const RowMark&) override {
    std::string& out = out_.text();
    if (std::exchange(histograms_, true)) out += '\n';
    std::string keys;
    for (const auto& [name, cell] : histogram.key) {
      keys += cat(keys.empty() ? "" : ", ", name, " = ");
      append_plain(keys, cell, [](std::uint64_t) {});
    }
    if (!keys.empty()) out += keys + '\n';
    histogram.slots.equal() ? append_equal_bars(out, histogram) : append_bars(out, histogram);
    append_summary(out, histogram);
  }

  void tally(const Tally& tally, const RowMark&) override {
    std::string& out = out_.text();
    out += cat(tally.texts.empty() ? "\n" : "", tally.title, ':');
    for (const auto& [name, count] : tally.counts)
      out += cat(name == tally.counts.front().first ? " " : ", ", count, ' ', name);
    for (const auto& [name, text] : tally.texts) append_visible(out += cat(", ", name, ' '), text.empty() ? "?" : text);
    out += '\n';
  }

  void end(const End&) override {}

 private:
  static bool is_raw(const std::vector<Column>& all) { return !all.empty() && all.back().raw && all.back().raw(); }

  bool shown(const Column& column) const {
    return (!column.shown || column.shown()) && !(is_time(column) && time_ == TimeStyle::none);
  }

  int width_of(const Column& column) const {
    if (!is_time(column)) return std::max(column.width, static_cast<int>(column.heading.size()));
    switch (time_) {
      case TimeStyle::iso: return 35;
      case TimeStyle::epoch: return 20;
      case TimeStyle::delta:
      case TimeStyle::boot: return 16;
      default: return 12;
    }
  }

  // Where a column that is shown stands.
  struct Place {
    std::size_t column, room;
    bool right;
  };
  // Of these columns, found out once: whether a column is shown does not change between two headings.
  const std::vector<Place>& places_of(const Columns& columns, bool anew) {
    if (!anew && placed_ == &columns) return places_;
    placed_ = &columns;
    places_.clear();
    const auto& all = columns.columns();
    for (std::size_t i = 0; i < all.size(); i++)
      if (shown(all[i])) places_.push_back({i, static_cast<std::size_t>(width_of(all[i])), all[i].right});
    return places_;
  }

  // How far a line has come, and how far it would be were no value too wide for its column.
  struct Line {
    std::size_t have = 0, planned = 0;
  };

  // Spaces up to a place, or one where it was passed already.
  static std::size_t gap(const std::string& out, const Line& line, std::size_t target, std::size_t begin) {
    return line.have < target ? target - line.have : line.have > 0 && out[begin - 1] != ' ';
  }

  static void move_to(std::string& out, Line& line, std::size_t target) {
    std::size_t spaces = gap(out, line, target, out.size());
    out.append(spaces, ' ');
    line.have += spaces;
  }

  // Moves the value that begins there, so many columns wide, to its place; those on the left stand there already. A
  // value that is too wide takes from the space of those that follow it, so that the row finds back into its columns.
  static void align(std::string& out, Line& line, const Place& place, std::size_t begin, std::size_t size) {
    if (place.right) {
      std::size_t spaces = gap(out, line, line.planned + (size < place.room ? place.room - size : 0), begin);
      out.insert(begin, spaces, ' ');
      line.have += spaces;
    }
    line.have += size;
    line.planned += place.room + 1;
  }

  // A bar for each power of two between the first and the last that have any.
  static void append_bars(std::string& out, const Histogram& histogram) {
    std::vector<std::uint64_t> powers(65);
    const auto& counts = histogram.slots.counts();
    for (unsigned slot = 0; slot < counts.size(); slot++)
      powers[slot_first(slot) ? kit_log2(slot_first(slot)) + 1 : 0] += counts[slot];
    auto any = [](std::uint64_t count) { return count > 0; };
    auto first = std::find_if(powers.begin(), powers.end(), any);
    auto last = std::find_if(powers.rbegin(), powers.rend(), any).base();
    std::uint64_t most = *std::max_element(powers.begin(), powers.end());
    append_cell(out, histogram.name, 24, false);
    out += "     COUNT\n";
    for (auto power = first; power < last; ++power) {
      auto index = power - powers.begin();
      std::uint64_t low = index ? std::uint64_t{1} << (index - 1) : 0, high = index ? low * 2 : 1;
      std::string below = high ? quantity(histogram.unit, high) : "";
      append_bar(out, cat('[', quantity(histogram.unit, low), ", ", below, ')'), *power, most);
    }
  }

  // A bar for each bucket between the first and the last that have any.
  static void append_equal_bars(std::string& out, const Histogram& histogram) {
    const auto& counts = histogram.slots.counts();
    const EqualBuckets& equal = *histogram.slots.equal();
    auto any = [](std::uint64_t count) { return count > 0; };
    auto first = std::find_if(counts.begin(), counts.end(), any);
    auto last = std::find_if(counts.rbegin(), counts.rend(), any).base();
    std::uint64_t most = *std::max_element(counts.begin(), counts.end());
    append_cell(out, histogram.name, 24, false);
    out += "     COUNT\n";
    auto text = [&](std::optional<std::int64_t> bound) {
      return bound ? quantity(histogram.unit, Cell::integer(*bound)) : "";
    };
    for (auto count = first; count < last; ++count) {
      auto slot = static_cast<unsigned>(count - counts.begin());
      auto low = equal.first(slot), high = equal.first(slot + 1);
      if (slot > equal.buckets) high.reset();
      append_bar(out, cat(low ? '[' : '(', text(low), ", ", text(high), ')'), *count, most);
    }
  }

  // A part of a step shows that there is something.
  static void append_bar(std::string& out, const std::string& range, std::uint64_t count, std::uint64_t most) {
    append_cell(out, range, 24, false);
    append_cell(out, cat(count), 10, true);
    std::size_t length =
        most ? static_cast<std::size_t>(static_cast<double>(count) / static_cast<double>(most) * 40) : 0;
    out += cat(count ? " " : "", std::string(count ? std::max<std::size_t>(length, 1) : 0, '@'), '\n');
  }

  static void append_summary(std::string& out, const Histogram& histogram) {
    std::uint64_t count = histogram.slots.count();
    out += cat("count ", count);
    for (const Share& share : shares)
      if (count) out += cat("  ", share.heading, ' ', quantity(histogram.unit, share_cell(histogram, share)));
    if (count && histogram.max) out += cat("  max ", quantity(histogram.unit, total_cell(histogram, histogram.max)));
    out += '\n';
  }

  static void append_cell(std::string& out, std::string_view text, std::size_t room, bool right) {
    std::size_t have = width(text), pad = have < room ? room - have : 0;
    if (right) out.append(pad, ' ');
    out += text;
    if (!right) out.append(pad, ' ');
  }

  TimeStyle time_;
  bool reports_, histograms_ = false;  // histograms_: one was shown in this report
  OutputBuffer& out_;
  Clock clock_;
  std::uint64_t previous_ = 0;
  const Columns* placed_ = nullptr;  // whose columns' places those are
  std::vector<Place> places_;
};

class JsonSink : public Sink {
 public:
  explicit JsonSink(OutputBuffer& out) : out_(out) {}

  void start(const Start& start) override {
    clock_ = start.clock;
    std::string& out = out_.text();
    out += "{\"type\":\"start\",\"schema\":1,\"tool\":";
    append_json(out, start.tool);
    out += ",\"version\":";
    append_json(out, start.version);
    out += ",\"kernel\":";
    append_json(out, start.kernel);
    out += ",\"arch\":";
    append_json(out, start.arch);
    out += ",\"time\":\"";
    append_rfc3339(out, clock_.realtime_ns);
    out += cat("\",\"clock\":{\"boot_ns\":", clock_.boot_ns, ",\"realtime_ns\":", clock_.realtime_ns,
               "},\"filters\":", start.filters, ",\"plan\":", start.plan, "}\n");
  }

  void table(const Columns&) override {}
  void report(std::uint64_t, std::uint64_t, bool) override {}

  void row(const Columns& columns, const std::vector<Cell>& cells, const RowMark& mark) override {
    std::string& out = out_.text();
    out += "{\"type\":\"row\"";
    append_mark(out, mark);
    for (std::size_t i = 0; i < cells.size(); i++) append_member(out, columns.columns()[i].key, cells[i]);
    out += "}\n";
  }

  void histogram(const Histogram& histogram, const RowMark& mark) override {
    std::string& out = out_.text();
    const Slots& slots = histogram.slots;
    out += "{\"type\":\"histogram\"";
    append_mark(out, mark);
    out += ",\"name\":";
    append_json(out, histogram.name);
    out += ",\"unit\":";
    append_json(out, histogram.unit);
    out += ",\"key\":{";
    std::string keys;
    for (const auto& [name, cell] : histogram.key) append_member(keys, name, cell);
    if (!keys.empty()) out += keys.substr(1);
    out += cat("},\"count\":", slots.count());
    append_member(out, "sum", total_cell(histogram, histogram.sum));
    for (const Share& share : shares) append_member(out, share.key, share_cell(histogram, share));
    append_member(out, "max", total_cell(histogram, histogram.max));
    out += ",\"buckets\":[";
    bool first = true;
    for (unsigned slot = 0; slot < slots.counts().size(); slot++) {
      if (!slots.counts()[slot]) continue;
      Bounds bounds = bounds_of(slots, slot, "null");
      out += cat(std::exchange(first, false) ? "" : ",", "{\"min\":", bounds.first, ",\"max\":", bounds.last,
                 ",\"count\":", slots.counts()[slot], '}');
    }
    out += "]}\n";
  }

  void tally(const Tally& tally, const RowMark& mark) override {
    std::string& out = out_.text();
    out += cat("{\"type\":\"", tally.type, '"');
    append_mark(out, mark);
    for (const auto& [name, count] : tally.counts) out += cat(",\"", name, "\":", count);
    for (const auto& [name, text] : tally.texts)
      append_member(out, name, text.empty() ? Cell::unknown() : Cell::borrowed(text));
    out += "}\n";
  }

  void end(const End& end) override {
    std::string& out = out_.text();
    out += cat("{\"type\":\"end\",\"rows\":", end.rows, ",\"late\":", end.late, ",\"lost\":", losses_json(end.lost));
    if (end.command) {
      out += ",\"command\":{";
      out += end.command->signal ? cat("\"signal\":\"", signal_name(end.command->signal), '"')
                                 : cat("\"exit\":", end.command->exit);
      out += '}';
    }
    out += "}\n";
  }

 private:
  static void append_mark(std::string& out, const RowMark& mark) {
    if (mark.interval) out += cat(",\"interval\":", *mark.interval);
    if (mark.partial) out += ",\"partial\":true";
    if (mark.late) out += ",\"late\":true";
  }

  void append_member(std::string& out, std::string_view key, const Cell& cell) {
    out += cat(",\"", key, "\":");
    append_value(out, cell);
    if (cell.kind == Kind::text && !valid_utf8(cell.text())) {
      out += cat(",\"", key, "_base64\":\"");
      append_base64(out, cell.text());
      out += '"';
    } else if (cell.kind == Kind::words && !valid_utf8(cell.text())) {
      out += cat(",\"", key, "_base64\":");
      append_list(out, cell.text(), [](std::string& to, std::string_view word) {
        to += '"';
        append_base64(to, word);
        to += '"';
      });
    }
  }

  static void append_text_or_null(std::string& out, std::string_view key, std::string_view text) {
    out += cat(",\"", key, "\":");
    text.empty() ? append(out, "null") : append_json(out, text);
  }

  static void append_frames(std::string& out, const Stack& stack) {
    out += '[';
    for (const StackFrame& frame : stack) {
      out += &frame == stack.data() ? "{\"addr\":\"" : ",{\"addr\":\"";
      append_hex(out, frame.address);
      out += '"';
      append_text_or_null(out, "name", frame.name);
      out += frame.name.empty() || frame.inlined ? ",\"offset\":null" : cat(",\"offset\":", frame.offset);
      append_text_or_null(out, "module", frame.module);
      out += ",\"module_offset\":\"";
      append_hex(out, frame.module_offset);
      out += '"';
      append_text_or_null(out, "build_id", frame.build_id);
      append_text_or_null(out, "file", frame.file);
      out += frame.line ? cat(",\"line\":", frame.line) : ",\"line\":null";
      out += frame.inlined ? ",\"inlined\":true" : ",\"inlined\":false";
      append_text_or_null(out, "reason", frame.reason);
      out += '}';
    }
    out += ']';
  }

  template <typename Append>
  static void append_list(std::string& out, std::string_view words, Append each) {
    out += '[';
    bool first = true;
    for (std::string_view word : split_words(words)) {
      if (!std::exchange(first, false)) out += ',';
      each(out, word);
    }
    out += ']';
  }

  void append_value(std::string& out, const Cell& cell) {
    auto bits = static_cast<std::uint64_t>(cell.number);
    switch (cell.kind) {
      case Kind::unknown:
      case Kind::absent:
      case Kind::none: out += "null"; break;
      case Kind::number: append(out, cell.number); break;
      case Kind::count:
      case Kind::duration: append(out, bits); break;
      case Kind::boolean: out += cell.number ? "true" : "false"; break;
      case Kind::decimal: append_decimal(out, cell.decimal, 6); break;
      case Kind::text: append_json(out, cell.text()); break;
      case Kind::fields: {
        std::string members;
        for (const auto& [name, part] : cell.parts) append_member(members, name, part);
        out += cat('{', members.empty() ? members : members.substr(1), '}');
        break;
      }
      case Kind::words: append_list(out, cell.text(), append_json); break;
      case Kind::error: append_json(out, errno_name(static_cast<int>(cell.number))); break;
      case Kind::stack: append_frames(out, *cell.frames); break;
      case Kind::address:
        out += '"';
        append_hex(out, bits);
        out += '"';
        break;
      case Kind::time:
        out += '"';
        append_rfc3339(out, clock_.realtime(bits));
        out += '"';
        break;
    }
  }

  OutputBuffer& out_;
  Clock clock_;
};

class CsvSink : public Sink {
 public:
  CsvSink(TimeStyle time, bool intervals, OutputBuffer& out) : time_(time), intervals_(intervals), out_(out) {}

  void start(const Start& start) override { clock_ = start.clock; }

  void table(const Columns& columns) override {
    if (std::exchange(headed_, true)) return;
    std::string line = intervals_ ? ",interval" : "";
    for (const Column& column : columns.columns())
      if (shown(column)) line += cat(',', column.key);
    out_.text() += cat(line.substr(1), "\r\n");
  }

  void report(std::uint64_t, std::uint64_t, bool) override {}

  void row(const Columns& columns, const std::vector<Cell>& cells, const RowMark& mark) override {
    std::string line = intervals_ ? cat(',', mark.interval.value_or(1)) : "";
    for (std::size_t i = 0; i < cells.size(); i++) {
      if (!shown(columns.columns()[i])) continue;
      std::string field;
      append_field(field, cells[i]);
      line += ',';
      append_csv(line, field);
    }
    out_.text() += cat(line.substr(1), "\r\n");
  }

  // A row for each bucket; the key's columns come first.
  void histogram(const Histogram& histogram, const RowMark& mark) override {
    if (!std::exchange(headed_, true)) {
      std::string head = intervals_ ? "interval,name,unit," : "name,unit,";
      for (const auto& [name, cell] : histogram.key) head += cat(name, ',');
      out_.text() += cat(head, "min,max,count\r\n");
    }
    for (unsigned slot = 0; slot < histogram.slots.counts().size(); slot++) {
      if (!histogram.slots.counts()[slot]) continue;
      std::string line = intervals_ ? cat(mark.interval.value_or(1), ',') : "";
      line += cat(histogram.name, ',', histogram.unit, ',');
      for (const auto& [name, cell] : histogram.key) {
        std::string field;
        append_field(field, cell);
        append_csv(line, field);
        line += ',';
      }
      Bounds bounds = bounds_of(histogram.slots, slot, "");
      out_.text() += cat(line, bounds.first, ',', bounds.last, ',', histogram.slots.counts()[slot], "\r\n");
    }
  }

  void tally(const Tally&, const RowMark&) override {}
  void end(const End&) override {}

 private:
  bool shown(const Column& column) const { return !(is_time(column) && time_ == TimeStyle::none); }

  void append_field(std::string& field, const Cell& cell) {
    if (cell.kind == Kind::duration) {
      append(field, static_cast<std::uint64_t>(cell.number));
    } else if (cell.kind != Kind::unknown && cell.kind != Kind::absent && cell.kind != Kind::none) {
      append_plain(field, cell, [&](std::uint64_t boot) {
        append_time(field, time_, clock_, boot, previous_);
        previous_ = boot;
      });
    }
  }

  TimeStyle time_;
  bool intervals_, headed_ = false;
  OutputBuffer& out_;
  Clock clock_;
  std::uint64_t previous_ = 0;
};

class QuietSink : public Sink {
 public:
  void start(const Start&) override {}
  void table(const Columns&) override {}
  void report(std::uint64_t, std::uint64_t, bool) override {}
  void row(const Columns&, const std::vector<Cell>&, const RowMark&) override {}
  void histogram(const Histogram&, const RowMark&) override {}
  void tally(const Tally&, const RowMark&) override {}
  void end(const End&) override {}
};

}  // namespace

std::string cell_text(const Cell& cell) {
  std::string out;
  append_plain(out, cell, [](std::uint64_t) {});
  return out;
}

std::unique_ptr<Sink> make_quiet_sink() { return std::make_unique<QuietSink>(); }

void OutputBuffer::flush() {
  std::string_view rest = text_;
  while (!rest.empty()) {
    ssize_t written = write(STDOUT_FILENO, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      int error = errno;
      text_.clear();
      if (error == EPIPE) throw Finished{};
      throw Failure(Exit::failed, cat("cannot write to standard output: ", error_text(error)));
    }
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  text_.clear();
}

std::unique_ptr<Sink> make_sink(Output output, TimeStyle time, Shape shape, bool with_interval, OutputBuffer& out) {
  switch (output) {
    case Output::json: return std::make_unique<JsonSink>(out);
    case Output::csv: return std::make_unique<CsvSink>(time, shape != Shape::stream, out);
    case Output::text: break;
  }
  return std::make_unique<TextSink>(time, with_interval, out);
}

std::string losses_json(const Losses& lost) {
  std::string out = "{";
  for (const auto& [name, count] : lost) {
    if (out.size() > 1) out += ',';
    append_json(out, name);
    out += count ? cat(':', *count) : ":null";
  }
  return out + '}';
}

std::string plan_json(const std::vector<Settled>& plan) {
  std::string out = cat("{\"form\":\"", form_name(form_of(plan)), "\",\"events\":[");
  for (const Settled& event : plan) {
    if (&event != plan.data()) out += ',';
    out += "{\"event\":";
    append_json(out, event.event);
    out += ",\"way\":";
    event.way.empty() ? append(out, "null") : append_json(out, event.way);
    out += ",\"hooks\":[";
    for (const Part& part : event.parts) {
      if (&part != event.parts.data()) out += ',';
      append_json(out, hook_text(part.hook));
    }
    out += "],\"misses\":";
    event.misses.empty() ? append(out, "null") : append_json(out, event.misses);
    out += ",\"refused\":[";
    for (const Refusal& refusal : event.refused) {
      if (&refusal != event.refused.data()) out += ',';
      out += "{\"way\":";
      append_json(out, refusal.way);
      out += ",\"why\":";
      append_json(out, refusal.why);
      out += '}';
    }
    out += "]}";
  }
  return out + "]}";
}

std::string plan_text(const std::vector<Settled>& plan) {
  std::string out;
  for (const Settled& event : plan) {
    out += cat(event.event, ": ", event.way.empty() ? no_way_text : event.way, '\n');
    for (const Part& part : event.parts) out += cat("  takes    ", hook_text(part.hook), '\n');
    if (!event.misses.empty()) out += cat("  misses   ", event.misses, '\n');
    for (const Refusal& refusal : event.refused) out += cat("  refused  ", refusal.way, ": ", refusal.why, '\n');
  }
  return out + cat("form: ", form_name(form_of(plan)), '\n');
}

}  // namespace kit
