// SPDX-License-Identifier: BSD-2-Clause
// Time lines as viewers read them. A track is a process to viewers that know nothing else, its lanes are threads.
#include <algorithm>
#include <set>

#include "kit/text.hpp"
#include "kit/timeline.hpp"
#include "picture_json.hpp"
#include "picture_proto.hpp"

namespace kit {
namespace {

// A track's number, to viewers for which it is a process: a device's is not that of any process.
std::uint64_t number_of(const Timeline& timeline, const Track& track) {
  constexpr std::uint64_t beyond_pids = 1 << 22;
  if (track.kind == Track::Kind::process) return track.number;
  return beyond_pids + 1 + static_cast<std::uint64_t>(&track - timeline.tracks.data());
}

std::string lane_name(const Track& track, std::size_t lane) {
  return lane ? cat(track.name, " (", lane + 1, ')') : track.name;
}

// "pid 12, bytes 4096".
std::string notes_text(const Span& span) {
  std::string out;
  for (const Note& note : span.notes) out += cat(out.empty() ? "" : ", ", note.key, ' ', note.text);
  return out;
}

// What comes before them, and the notes in one line and one by one, as members of an object.
std::string notes_json(std::string_view before, const Span& span) {
  std::string out = cat('{', before, "\"detail\":", quoted(notes_text(span)));
  for (const Note& note : span.notes)
    out += cat(',', quoted(note.key), ':', note.number ? note.text : quoted(note.text));
  return out + '}';
}

// How many of a track's spans are in progress, whenever that changes: calls each(time, how many).
template <typename Each>
void each_depth(const Track& track, Each each) {
  std::map<std::uint64_t, std::int64_t> changes;
  for (const Span& span : track.spans) changes[span.begin]++, changes[span.end]--;
  std::int64_t depth = 0;
  for (const auto& [time, change] : changes)
    if (change) each(time, static_cast<std::uint64_t>(depth += change));
}

}  // namespace

std::string write_chrome(const Timeline& timeline) {
  std::uint64_t begin = timeline.begin();
  std::string out = "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[";
  auto put = [&out](const std::string& event) {
    if (out.back() != '[') out += ",\n";
    out += event;
  };
  auto time = [begin](std::uint64_t ns) { return decimal(ns - begin, 1000, 3); };
  for (const Track& track : timeline.tracks) {
    std::uint64_t number = number_of(timeline, track), thread = track.kind == Track::Kind::process ? number : 1;
    std::string of_track = cat("\"pid\":", number);
    put(cat("{\"name\":\"process_name\",\"ph\":\"M\",", of_track, ",\"tid\":", thread,
            ",\"args\":{\"name\":", quoted(track.name), "}}"));
    auto lanes = lanes_of(track);
    for (std::size_t i = 0; i < lanes.size(); i++) {
      std::string where = cat(of_track, ",\"tid\":", thread + i);
      put(cat("{\"name\":\"thread_name\",\"ph\":\"M\",", where, ",\"args\":{\"name\":", quoted(lane_name(track, i)),
              "}}"));
      for (std::size_t at = 0; at < lanes[i].size(); at++) {
        const Span& span = *lanes[i][at];
        // Viewers add beginning and duration in floating point: 1 ns keeps what touches from overlapping.
        bool touches = at + 1 < lanes[i].size() && lanes[i][at + 1]->begin == span.end && span.end > span.begin;
        put(cat("{\"name\":", quoted(span.name), ",\"cat\":\"", timeline.maker, "\",\"ph\":\"X\",", where,
                ",\"ts\":", time(span.begin), ",\"dur\":", decimal(span.end - span.begin - touches, 1000, 3),
                ",\"args\":", notes_json("", span), '}'));
      }
    }
    if (track.kind == Track::Kind::device)
      each_depth(track, [&](std::uint64_t when, std::uint64_t depth) {
        put(cat("{\"name\":\"in flight\",\"ph\":\"C\",", of_track, ",\"tid\":", thread, ",\"ts\":", time(when),
                ",\"args\":{\"count\":", depth, "}}"));
      });
  }
  return out + "]}\n";
}

namespace {

// Writes packets of one sequence; tracks have numbers of their own, from 1.
class PerfettoTracks {
 public:
  explicit PerfettoTracks(std::string& out) : out_(out) {}

  std::uint64_t add(const Message& what, std::uint64_t parent = 0) {
    Message descriptor;
    descriptor.number(1, ++last_);
    if (parent) descriptor.number(5, parent);
    put_packet(out_, Message().number(10, perfetto_sequence).message(60, descriptor.merge(what)));
    return last_;
  }
  void event(std::uint64_t time, const Message& event) {
    put_packet(
        out_, Message().number(8, time).number(10, perfetto_sequence).number(13, needs_incremental).message(11, event));
  }

 private:
  std::string& out_;
  std::uint64_t last_ = 0;
};

void put_lane(PerfettoTracks& tracks, std::uint64_t number, const Lane& lane) {
  for (const Span* span : lane) {
    Message begin;
    begin.number(9, slice_begin).number(11, number).text(23, span->name);
    for (const Note& note : span->notes) {
      Message annotation = Message().text(10, note.key);
      begin.message(
          4, note.number ? annotation.number(3, parse_number(note.text).value_or(0)) : annotation.text(6, note.text));
    }
    tracks.event(span->begin, begin);
    tracks.event(span->end, Message().number(9, slice_end).number(11, number));
  }
}

}  // namespace

std::string write_perfetto(const Timeline& timeline) {
  constexpr std::uint64_t counter_event = 4, unit_count = 2;
  std::string out;
  put_clocks(out, timeline.clock);
  PerfettoTracks tracks(out);
  for (const Track& track : timeline.tracks) {
    bool process = track.kind == Track::Kind::process;
    std::uint64_t number =
        tracks.add(process ? Message().message(3, Message().number(1, track.number).text(6, track.name))
                           : Message().text(2, track.name));
    auto lanes = lanes_of(track);
    for (std::size_t i = 0; i < lanes.size(); i++)
      put_lane(tracks, i || !process ? tracks.add(Message().text(2, lane_name(track, i)), number) : number, lanes[i]);
    if (process) continue;
    std::uint64_t counter =
        tracks.add(Message().text(2, "in flight").message(8, Message().number(3, unit_count)), number);
    each_depth(track, [&](std::uint64_t time, std::uint64_t depth) {
      tracks.event(time, Message().number(9, counter_event).number(11, counter).number(30, depth));
    });
  }
  return out;
}

std::string write_speedscope(const Timeline& timeline) {
  std::uint64_t begin = timeline.begin(), length = timeline.end() - begin;
  std::map<std::string, std::size_t> numbers;
  std::string frames, profiles;
  auto frame = [&](const std::string& name) {
    auto [found, fresh] = numbers.try_emplace(name, numbers.size());
    if (fresh) frames += cat(frames.empty() ? "" : ",", "{\"name\":", quoted(name), '}');
    return found->second;
  };
  for (const Track& track : timeline.tracks) {
    auto lanes = lanes_of(track);
    for (std::size_t i = 0; i < lanes.size(); i++) {
      std::string events = list(lanes[i], [&](const Span* span) {
        std::size_t number = frame(span->name);
        return cat("{\"type\":\"O\",\"frame\":", number, ",\"at\":", span->begin - begin,
                   "},{\"type\":\"C\",\"frame\":", number, ",\"at\":", span->end - begin, '}');
      });
      std::string name =
          track.kind == Track::Kind::process ? cat(lane_name(track, i), " (", track.number, ')') : lane_name(track, i);
      profiles += cat(profiles.empty() ? "" : ",\n", "{\"type\":\"evented\",\"name\":", quoted(name),
                      ",\"unit\":\"nanoseconds\",\"startValue\":0,\"endValue\":", length, ",\"events\":", events, '}');
    }
  }
  return cat("{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\",\"exporter\":\"corekit ",
             timeline.maker, "\",\"name\":", quoted(timeline.title),
             ",\"activeProfileIndex\":0,\"shared\":{\"frames\":[", frames, "]},\"profiles\":[", profiles, "]}\n");
}

namespace {

// A thread of markers: the viewer itself lays those that overlap one below the other.
std::string firefox_track(const Timeline& timeline, std::uint64_t begin, const Track& track,
                          std::map<std::string, std::size_t>& names) {
  std::uint64_t number = number_of(timeline, track);
  auto each = [&](auto what) { return list(track.spans, what); };
  std::string named = each([&](const Span& span) { return names.try_emplace(span.name, names.size()).first->second; });
  std::string begins = each([&](const Span& span) { return decimal(span.begin - begin, 1'000'000, 6); });
  std::string ends = each([&](const Span& span) { return decimal(span.end - begin, 1'000'000, 6); });
  std::string data = each([](const Span& span) { return notes_json("\"type\":\"span\",", span); });
  return cat(
      "{\"processType\":\"default\",\"processStartupTime\":0,\"processShutdownTime\":null,\"registerTime\":0,"
      "\"unregisterTime\":null,\"pausedRanges\":[],\"name\":",
      quoted(track.name), ",\"isMainThread\":true,\"processName\":", quoted(track.name), ",\"pid\":\"", number,
      "\",\"tid\":", number, ",\"samples\":{\"stack\":[],\"time\":[],\"weight\":[],\"weightType\":\"samples\",",
      "\"length\":0},\"markers\":{\"name\":", named, ",\"startTime\":", begins, ",\"endTime\":", ends,
      ",\"phase\":", each([](const Span&) { return 1; }), ",\"category\":", each([](const Span&) { return 0; }),
      ",\"data\":", data, ",\"length\":", track.spans.size(), "}}");
}

// What the viewer shows of a marker: its name, the notes in one line, and each of them.
std::string firefox_schema(const Timeline& timeline) {
  std::set<std::pair<std::string_view, bool>> keys;
  for (const Track& track : timeline.tracks)
    for (const Span& span : track.spans)
      for (const Note& note : span.notes) keys.emplace(note.key, note.number);
  return cat(
      "[{\"name\":\"span\",\"display\":[\"marker-chart\",\"marker-table\"],\"tooltipLabel\":\"{marker.name}\","
      "\"tableLabel\":\"{marker.data.detail}\",\"chartLabel\":\"{marker.name}\",\"fields\":",
      list(keys,
           [](const auto& key) {
             return cat("{\"key\":", quoted(key.first), ",\"label\":", quoted(key.first), ",\"format\":\"",
                        key.second ? "integer" : "string", "\"}");
           }),
      "}]");
}

}  // namespace

std::string write_firefox(const Timeline& timeline) {
  std::uint64_t begin = timeline.begin(), start = timeline.clock.realtime_ns - (timeline.clock.boot_ns - begin);
  std::map<std::string, std::size_t> names;
  std::string threads =
      list(timeline.tracks, [&](const Track& track) { return firefox_track(timeline, begin, track, names); });
  std::vector<std::string> strings(names.size());
  for (const auto& [name, number] : names) strings[number] = quoted(name);
  std::string tables =
      "{\"stackTable\":{\"frame\":[],\"prefix\":[],\"length\":0},\"frameTable\":{\"address\":[],\"inlineDepth\":[],"
      "\"category\":[],\"subcategory\":[],\"func\":[],\"nativeSymbol\":[],\"innerWindowID\":[],\"line\":[],"
      "\"column\":[],\"length\":0},\"funcTable\":{\"name\":[],\"isJS\":[],\"relevantForJS\":[],\"resource\":[],"
      "\"source\":[],\"lineNumber\":[],\"columnNumber\":[],\"length\":0},\"resourceTable\":{\"lib\":[],\"name\":[],"
      "\"host\":[],\"type\":[],\"length\":0},\"nativeSymbols\":{\"libIndex\":[],\"address\":[],\"name\":[],"
      "\"functionSize\":[],\"length\":0},\"sources\":{\"uuid\":[],\"filename\":[],\"length\":0},\"stringArray\":";
  tables += list(strings, [](const std::string& text) { return text; }) + '}';
  return cat("{\"meta\":{\"interval\":1,\"startTime\":", start / 1'000'000,
             ",\"processType\":0,\"product\":", quoted("corekit " + timeline.maker),
             ",\"stackwalk\":1,\"version\":29,\"preprocessedProfileVersion\":60,\"categories\":[{\"name\":\"Other\","
             "\"color\":\"grey\",\"subcategories\":[\"Other\"]}],\"markerSchema\":",
             firefox_schema(timeline), ",\"symbolicated\":true},\"libs\":[],\"shared\":", tables,
             ",\"threads\":", threads, ",\"pages\":[]}\n");
}

}  // namespace kit
