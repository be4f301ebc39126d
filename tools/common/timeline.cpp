// SPDX-License-Identifier: BSD-2-Clause
#include "kit/timeline.hpp"

#include <algorithm>
#include <optional>

#include "kit/sink.hpp"
#include "kit/text.hpp"

namespace kit {

std::uint64_t Timeline::begin() const {
  std::uint64_t first = clock.boot_ns;
  for (const Track& track : tracks)
    for (const Span& span : track.spans) first = std::min(first, span.begin);
  return first;
}

std::uint64_t Timeline::end() const {
  std::uint64_t last = clock.boot_ns;
  for (const Track& track : tracks)
    for (const Span& span : track.spans) last = std::max(last, span.end);
  return last;
}

namespace {

// None of what is not known, of the time, which is the span's, and of what takes more than a line.
std::optional<Note> note_of(const std::string& key, const Cell& cell) {
  using Kind = Cell::Kind;
  switch (cell.kind) {
    case Kind::unknown:
    case Kind::absent:
    case Kind::none:
    case Kind::time:
    case Kind::stack: return std::nullopt;
    case Kind::count:
    case Kind::duration: return Note{key, cat(static_cast<std::uint64_t>(cell.number)), true};
    default: return Note{key, cell_text(cell), false};
  }
}

// The run's end is kept in captures, as a name.
std::uint64_t end_of_run(const Session& session) {
  return parse_number(session.name("end of the run", 0, [] { return cat(boot_time()); })).value_or(0);
}

}  // namespace

std::vector<Lane> lanes_of(const Track& track) {
  std::vector<Lane> lanes;
  for (const Span& span : track.spans) {
    auto free =
        std::find_if(lanes.begin(), lanes.end(), [&](const Lane& lane) { return lane.back()->end <= span.begin; });
    (free == lanes.end() ? lanes.emplace_back() : *free).push_back(&span);
  }
  return lanes;
}

Timelines::Timelines(Options& options, std::string title) {
  timeline_.maker = options.name();
  timeline_.title = std::move(title);
  auto declare = [&](const char* name, const char* about, std::string (*made)(const Timeline&)) {
    files_.declare(options, name, about, [this, made](const std::string&) { return made(timeline_); });
  };
  declare("chrome", "a time line for chrome://tracing, Perfetto, speedscope", write_chrome);
  declare("perfetto", "a time line for Perfetto", write_perfetto);
  declare("firefox", "a time line for the Firefox Profiler", write_firefox);
  declare("speedscope", "a time line for speedscope", write_speedscope);
}

void Timelines::add(Track::Kind kind, std::uint32_t number, std::string_view name, Span span, const Columns& columns,
                    const void* row) {
  columns.cells(row, cells_);
  auto [found, fresh] = numbers_.try_emplace({kind, number}, timeline_.tracks.size());
  if (fresh) timeline_.tracks.push_back({.kind = kind, .number = number, .name = {}, .spans = {}});
  Track& track = timeline_.tracks[found->second];
  track.name = picture_text(name);
  span.name = picture_text(span.name);
  for (std::size_t i = 0; i < cells_.size(); i++)
    if (auto note = note_of(columns.columns()[i].key, cells_[i])) span.notes.push_back(std::move(*note));
  track.spans.push_back(std::move(span));
}

void Timelines::begin(Session& session, std::string_view needed) {
  if (wanted() && !needed.empty()) throw Failure(Exit::usage, cat("a time line goes with ", needed));
  files_.begin(session);
  session.at_end([&] { end_ = end_of_run(session); });
}

void Timelines::end_all(const Session& session) {
  if (session.replaying()) end_ = end_of_run(session);
  for (Track& track : timeline_.tracks) {
    std::stable_sort(track.spans.begin(), track.spans.end(), [](const Span& a, const Span& b) {
      return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
    });
    for (const Span& span : track.spans) end_ = std::max({end_, span.begin, span.end});
  }
  for (Track& track : timeline_.tracks)
    for (auto span = track.spans.begin(); span != track.spans.end(); ++span)
      if (!span->end) span->end = span + 1 == track.spans.end() ? end_ : (span + 1)->begin;
}

int Timelines::write(const Session& session, int code) {
  timeline_.clock = session.clock();
  end_all(session);
  files_.write();
  return code;
}

}  // namespace kit
