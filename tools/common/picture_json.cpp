// SPDX-License-Identifier: BSD-2-Clause
// Pictures that are JSON: for Chrome's viewer, the Firefox Profiler and speedscope.
#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "kit/picture.hpp"
#include "kit/text.hpp"
#include "picture_json.hpp"

namespace kit {
namespace {

// A thread, as far as threads were told apart.
using Thread = std::tuple<std::uint32_t, std::uint32_t, std::string>;
std::map<Thread, std::vector<const PictureStack*>> by_thread(const Picture& picture) {
  std::map<Thread, std::vector<const PictureStack*>> threads;
  for (const PictureStack& stack : picture.stacks) threads[{stack.pid, stack.tid, stack.comm}].push_back(&stack);
  for (auto& [thread, stacks] : threads)
    std::sort(stacks.begin(), stacks.end(), [](const auto* a, const auto* b) { return a->frames < b->frames; });
  return threads;
}

std::string thread_name(const Thread& thread) { return cat(std::get<2>(thread), " (", std::get<1>(thread), ')'); }

}  // namespace

// What was summed up has no times: stacks lie side by side, as wide as they weigh, equal beginnings joined.
std::string write_chrome(const Picture& whole) {
  Picture picture = whole.by_function();
  std::string out = "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[";
  std::uint64_t unit = picture.time ? 1 : 1'000'000;  // a sample is drawn as a millisecond
  auto separate = [&out] {
    if (out.back() != '[') out += ",\n";
  };
  std::set<std::pair<std::uint32_t, std::uint32_t>> tracks;
  for (const auto& [thread, stacks] : by_thread(picture)) {
    auto [pid, tid, comm] = thread;
    // Threads that were not told apart have one number and many names; viewers lay what has one number on one track.
    while (!tracks.emplace(pid, tid).second) tid++;
    std::string where = cat("\"pid\":", pid, ",\"tid\":", tid);
    separate();
    out += cat("{\"name\":\"thread_name\",\"ph\":\"M\",", where, ",\"args\":{\"name\":", quoted(comm), "}}");
    std::uint64_t at = 0;
    std::vector<std::uint32_t> open;
    auto mark = [&](char phase, std::uint32_t frame) {
      separate();
      out += cat("{\"name\":", quoted(picture.frames[frame].name), ",\"cat\":\"", picture.maker, "\",\"ph\":\"", phase,
                 "\",", where, ",\"ts\":", decimal(at, 1000, 3), '}');
    };
    auto close_to = [&](std::size_t depth) {
      for (; open.size() > depth; open.pop_back()) mark('E', open.back());
    };
    for (const PictureStack* stack : stacks) {
      if (!stack->weight) continue;
      auto [same, next] = std::mismatch(open.begin(), open.end(), stack->frames.begin(), stack->frames.end());
      // Of a beginning and an end at one time and of one name, viewers take the beginning first: 1 ns of what
      // begins keeps them apart.
      bool touches =
          next != stack->frames.end() && std::any_of(same, open.end(), [&, name = *next](std::uint32_t frame) {
            return picture.frames[frame].name == picture.frames[name].name;
          });
      close_to(static_cast<std::size_t>(same - open.begin()));
      at += touches;
      while (open.size() < stack->frames.size()) {
        open.push_back(stack->frames[open.size()]);
        mark('B', open.back());
      }
      at += stack->weight * unit - touches;
    }
    close_to(0);
  }
  return out + "]}\n";
}

std::string write_speedscope(const Picture& whole) {
  Picture picture = whole.by_function();
  std::string out =
      cat("{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\",\"exporter\":\"corekit ", picture.maker,
          "\",\"name\":", quoted(picture.title), ",\"activeProfileIndex\":0,\"shared\":{\"frames\":");
  out += list(picture.frames, [](const PictureFrame& frame) {
    std::string one = "{\"name\":" + quoted(frame.name);
    if (!frame.file.empty()) one += ",\"file\":" + quoted(frame.file);
    if (frame.line) one += cat(",\"line\":", frame.line);
    return one + '}';
  });
  out += "},\"profiles\":";
  out += list(by_thread(picture), [&](const auto& thread) {
    std::uint64_t sum = 0;
    for (const PictureStack* stack : thread.second) sum += stack->weight;
    return cat(
        "{\"type\":\"sampled\",\"name\":", quoted(thread_name(thread.first)), ",\"unit\":\"",
        picture.time ? "nanoseconds" : "none", "\",\"startValue\":0,\"endValue\":", sum, ",\"samples\":",
        list(thread.second,
             [](const PictureStack* stack) { return list(stack->frames, [](std::uint32_t frame) { return frame; }); }),
        ",\"weights\":", list(thread.second, [](const PictureStack* stack) { return stack->weight; }), '}');
  });
  return out + "}\n";
}

namespace {

// The tables that all threads of a Firefox profile share, version 60 of its format.
class FirefoxTables {
 public:
  explicit FirefoxTables(const Picture& picture) : picture_(picture) {}

  std::uint32_t string(const std::string& text) {
    auto [found, fresh] = numbers_.try_emplace(text, static_cast<std::uint32_t>(strings_.size()));
    if (fresh) strings_.push_back(text);
    return found->second;
  }

  // The number of a stack; -1 is the empty one.
  std::int64_t stack(const std::vector<std::uint32_t>& frames) {
    std::int64_t at = -1;
    for (std::uint32_t frame : frames) {
      auto [found, fresh] = stacks_.try_emplace({at, frame}, static_cast<std::int64_t>(rows_.size()));
      if (fresh) rows_.emplace_back(at, frame);
      at = found->second;
    }
    return at;
  }

  std::string text() {
    const auto& frames = picture_.frames;
    auto same = [&](const char* value) { return list(frames, [value](const PictureFrame&) { return value; }); };
    auto number = [&frames](const PictureFrame& frame) { return &frame - frames.data(); };
    std::string names = list(frames, [&](const PictureFrame& frame) { return string(frame.name); });
    std::string category = list(frames, [](const PictureFrame& frame) { return static_cast<int>(frame.kind) + 1; });
    std::string lines = list(frames, [](const PictureFrame& frame) { return frame.line ? cat(frame.line) : "null"; });
    std::string size = cat(",\"length\":", frames.size(), '}');
    std::string out =
        cat("{\"stackTable\":{\"frame\":", list(rows_, [](const auto& row) { return row.second; }),
            ",\"prefix\":", list(rows_, [](const auto& row) { return row.first < 0 ? "null" : cat(row.first); }),
            ",\"length\":", rows_.size(), "},\"frameTable\":{\"address\":", same("-1"), ",\"inlineDepth\":", same("0"),
            ",\"category\":", category, ",\"subcategory\":", same("0"), ",\"func\":", list(frames, number),
            ",\"nativeSymbol\":", same("null"), ",\"innerWindowID\":", same("0"), ",\"line\":", lines,
            ",\"column\":", same("null"), size);
    out += cat(",\"funcTable\":{\"name\":", names, ",\"isJS\":", same("false"), ",\"relevantForJS\":", same("false"),
               ",\"resource\":", same("-1"), ",\"source\":", same("null"), ",\"lineNumber\":", same("null"),
               ",\"columnNumber\":", same("null"), size);
    out +=
        ",\"resourceTable\":{\"lib\":[],\"name\":[],\"host\":[],\"type\":[],\"length\":0},"
        "\"nativeSymbols\":{\"libIndex\":[],\"address\":[],\"name\":[],\"functionSize\":[],\"length\":0},"
        "\"sources\":{\"uuid\":[],\"filename\":[],\"length\":0},\"stringArray\":";
    return out + list(strings_, [](const std::string& one) { return quoted(one); }) + '}';
  }

 private:
  const Picture& picture_;
  std::map<std::string, std::uint32_t> numbers_;
  std::vector<std::string> strings_;
  std::map<std::pair<std::int64_t, std::uint32_t>, std::int64_t> stacks_;
  std::vector<std::pair<std::int64_t, std::uint32_t>> rows_;
};

constexpr const char* firefox_categories =
    "[{\"name\":\"Other\",\"color\":\"grey\",\"subcategories\":[\"Other\"]},"
    "{\"name\":\"User\",\"color\":\"yellow\",\"subcategories\":[\"Other\"]},"
    "{\"name\":\"Kernel\",\"color\":\"orange\",\"subcategories\":[\"Other\"]},"
    "{\"name\":\"JIT\",\"color\":\"green\",\"subcategories\":[\"Other\"]}]";

std::string firefox_thread(const Picture& picture, FirefoxTables& tables, const Thread& thread,
                           const std::vector<const PictureStack*>& stacks) {
  auto [pid, tid, comm] = thread;
  std::uint64_t at = 0;
  std::string numbers = list(stacks, [&](const PictureStack* stack) {
    std::int64_t number = tables.stack(stack->frames);
    return number < 0 ? std::string("null") : cat(number);
  });
  std::string times = list(stacks, [&](const PictureStack* stack) {
    std::string time = picture.time ? decimal(at, 1'000'000, 6) : cat(at);
    at += stack->weight;
    return time;
  });
  std::string weights = list(stacks, [&](const PictureStack* stack) {
    return picture.time ? decimal(stack->weight, 1'000'000, 6) : cat(stack->weight);
  });
  return cat(
      "{\"processType\":\"default\",\"processStartupTime\":0,\"processShutdownTime\":null,\"registerTime\":0,"
      "\"unregisterTime\":null,\"pausedRanges\":[],\"name\":",
      quoted(comm), ",\"isMainThread\":", pid == tid ? "true" : "false", ",\"processName\":", quoted(comm),
      ",\"pid\":\"", pid, "\",\"tid\":", tid, ",\"samples\":{\"stack\":", numbers, ",\"time\":", times,
      ",\"weight\":", weights, ",\"weightType\":\"", picture.time ? "tracing-ms" : "samples",
      "\",\"length\":", stacks.size(),
      "},\"markers\":{\"name\":[],\"startTime\":[],\"endTime\":[],\"phase\":[],\"category\":[],\"data\":[],"
      "\"length\":0}}");
}

}  // namespace

std::string write_firefox(const Picture& whole) {
  Picture picture = whole.by_function();
  FirefoxTables tables(picture);
  std::string threads = list(by_thread(picture), [&](const auto& thread) {
    return firefox_thread(picture, tables, thread.first, thread.second);
  });
  return cat("{\"meta\":{\"interval\":1,\"startTime\":", picture.clock.realtime_ns / 1'000'000,
             ",\"processType\":0,\"product\":", quoted("corekit " + picture.maker),
             ",\"stackwalk\":1,\"version\":29,\"preprocessedProfileVersion\":60,\"categories\":", firefox_categories,
             ",\"markerSchema\":[],\"symbolicated\":true},\"libs\":[],\"shared\":", tables.text(),
             ",\"threads\":", threads, ",\"pages\":[]}\n");
}

}  // namespace kit
