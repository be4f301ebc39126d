// SPDX-License-Identifier: BSD-2-Clause
// Time lines: what began and ended when, on tracks, as files for viewers of traces.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kit/clock.hpp"
#include "kit/picture_files.hpp"
#include "kit/table.hpp"

namespace kit {

// What a viewer shows of a span besides: a column's key and the row's value.
struct Note {
  std::string_view key;
  std::string text;
  bool number = false;  // the text is one
};

struct Span {
  std::string name;
  std::uint64_t begin = 0;  // ns since boot
  std::uint64_t end = 0;    // 0, while it is gathered: it lasts until the next of its track begins, or the run ends
  std::vector<Note> notes;
};

// What spans belong to.
struct Track {
  enum class Kind { device, process };
  Kind kind = Kind::device;
  std::uint32_t number = 0;  // a process's PID; of a device only what tells it from others
  std::string name;
  std::vector<Span> spans;  // by their beginnings
};

struct Timeline {
  std::string maker, title;  // the tool that made it
  Clock clock;
  std::vector<Track> tracks;
  std::uint64_t begin() const;  // of what is drawn
  std::uint64_t end() const;
};

// Spans of a track side by side, so that none overlaps another of its lane: as few lanes as do.
using Lane = std::vector<const Span*>;
std::vector<Lane> lanes_of(const Track& track);

// Each gives a file's bytes. Times are from the time line's beginning.
std::string write_chrome(const Timeline& timeline);
std::string write_perfetto(const Timeline& timeline);
std::string write_firefox(const Timeline& timeline);
std::string write_speedscope(const Timeline& timeline);

// The options, what the rows add, and the files in the end.
class Timelines {
 public:
  Timelines(Options& options, std::string title);
  // `needed` is an option without which there are no spans; empty: none is, or it was given.
  void begin(Session& session, std::string_view needed = {});
  // A row as a span of a device, or of a process, with the row's values as its notes. The table lives until write().
  // Names are as others chose them; the last name of a track stays.
  template <typename Row>
  void device(std::uint32_t number, std::string_view name, std::string_view what, std::uint64_t begin,
              std::uint64_t end, const Table<Row>& table, const Row& row) {
    if (wanted()) add(Track::Kind::device, number, name, {std::string(what), begin, end, {}}, table, &row);
  }
  template <typename Row>
  void process(std::uint32_t pid, std::string_view name, std::uint64_t begin, std::uint64_t end,
               const Table<Row>& table, const Row& row) {
    if (wanted()) add(Track::Kind::process, pid, name, {std::string(name), begin, end, {}}, table, &row);
  }
  // Writes them all and gives `code` on, the run's.
  int write(const Session& session, int code);

 private:
  bool wanted() const { return files_.wanted(); }
  void end_all(const Session& session);
  void add(Track::Kind kind, std::uint32_t number, std::string_view track, Span span, const Columns& columns,
           const void* row);

  Timeline timeline_;
  std::vector<Cell> cells_;
  PictureFiles files_;
  std::uint64_t end_ = 0;
  std::map<std::pair<Track::Kind, std::uint32_t>, std::size_t> numbers_;
};

}  // namespace kit
