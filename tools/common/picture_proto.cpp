// SPDX-License-Identifier: BSD-2-Clause
// Pictures that are protocol buffers: pprof's profile.proto and Perfetto's trace.proto. The fields' numbers are those
// of the two published schemas; a field is a number, a kind and a value, no more.
#include <zlib.h>

#include <map>
#include <set>
#include <tuple>

#include "kit/picture.hpp"
#include "kit/text.hpp"
#include "picture_proto.hpp"

namespace kit {
namespace {

std::string gzip(const std::string& bytes) {
  z_stream stream{};
  // 15 bits of window, and 16 for a gzip header.
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    throw Failure(Exit::failed, "cannot compress: no memory");
  std::string out(deflateBound(&stream, bytes.size()) + 32, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

// The strings, mappings, functions and locations of a profile, each under a number of its own, from 1.
class PprofTables {
 public:
  PprofTables() { string(""); }
  std::uint64_t string(const std::string& text) {
    auto [found, fresh] = strings_.try_emplace(text, strings_.size());
    if (fresh) order_.push_back(text);
    return found->second;
  }
  std::uint64_t mapping(const PictureFrame& frame) {
    auto [found, fresh] = mappings_.try_emplace({frame.module, frame.build_id}, mappings_.size() + 1);
    if (fresh)
      out_.message(3, Message()
                          .number(1, found->second)
                          .number(5, string(frame.module))
                          .number(6, string(frame.build_id))
                          .number(7, 1)
                          .number(9, 1)
                          .number(10, 1));
    return found->second;
  }
  std::uint64_t function(const PictureFrame& frame) {
    auto [found, fresh] = functions_.try_emplace({frame.name, frame.file}, functions_.size() + 1);
    if (fresh)
      out_.message(5, Message()
                          .number(1, found->second)
                          .number(2, string(frame.name))
                          .number(3, string(frame.name))
                          .number(4, string(frame.file)));
    return found->second;
  }
  // Frames of one address: inlined ones, innermost first, and the function that holds them.
  std::uint64_t location(const Picture& picture, const std::vector<std::uint32_t>& frames) {
    auto [found, fresh] = locations_.try_emplace(frames, locations_.size() + 1);
    if (!fresh) return found->second;
    const PictureFrame& holder = picture.frames[frames.back()];
    Message location;
    location.number(1, found->second).number(2, mapping(holder)).number(3, holder.address);
    for (std::uint32_t frame : frames)
      location.message(4, Message().number(1, function(picture.frames[frame])).number(2, picture.frames[frame].line));
    out_.message(4, location);
    return found->second;
  }
  // Everything, with the strings, which grow until the end.
  std::string finish(Message& rest) {
    std::string bytes = out_.bytes() + rest.bytes();
    Message strings;
    for (const std::string& text : order_) strings.text(6, text);
    return bytes + strings.bytes();
  }

 private:
  Message out_;
  std::map<std::string, std::uint64_t> strings_;
  std::vector<std::string> order_;
  std::map<std::pair<std::string, std::string>, std::uint64_t> mappings_, functions_;
  std::map<std::vector<std::uint32_t>, std::uint64_t> locations_;
};

Message pprof_sample(const Picture& picture, const PictureStack& stack, PprofTables& tables) {
  std::vector<std::uint64_t> locations;
  std::vector<std::uint32_t> together;
  for (auto at = stack.frames.rbegin(); at != stack.frames.rend(); ++at) {
    together.push_back(*at);
    if (picture.frames[*at].inlined && at + 1 != stack.frames.rend()) continue;
    locations.push_back(tables.location(picture, together));
    together.clear();
  }
  Message sample;
  sample.numbers(1, locations);
  sample.numbers(2, picture.time ? std::vector{stack.count, stack.weight} : std::vector{stack.weight});
  sample.message(3, Message().number(1, tables.string("comm")).number(2, tables.string(stack.comm)));
  sample.message(3, Message().number(1, tables.string("pid")).number(3, stack.pid));
  sample.message(3, Message().number(1, tables.string("tid")).number(3, stack.tid));
  if (!stack.cgroup.empty())
    sample.message(3, Message().number(1, tables.string("cgroup")).number(2, tables.string(stack.cgroup)));
  return sample;
}

}  // namespace

std::string write_pprof(const Picture& picture) {
  PprofTables tables;
  Message rest;
  auto type = [&](const char* name, const char* unit) {
    return Message().number(1, tables.string(name)).number(2, tables.string(unit));
  };
  rest.message(1, type(picture.time ? "switches" : "samples", "count"));
  if (picture.time) rest.message(1, type("off-cpu", "nanoseconds"));
  for (const PictureStack& stack : picture.stacks) rest.message(2, pprof_sample(picture, stack, tables));
  rest.number(9, picture.clock.realtime_ns);
  rest.number(14, tables.string(picture.time ? "off-cpu" : "samples"));
  return gzip(tables.finish(rest));
}

namespace {

// A thread's track, and the process's that it belongs to.
void put_track(std::string& out, std::uint64_t track, const PictureStack& stack) {
  Message thread;
  thread.number(1, stack.pid).number(2, stack.tid).text(5, stack.comm);
  Message descriptor;
  descriptor.number(1, track).message(4, thread);
  put_packet(out, Message().number(10, perfetto_sequence).message(60, descriptor));
}

// Stacks side by side as slices within slices, as wide as they weigh.
class PerfettoSlices {
 public:
  PerfettoSlices(std::string& out, const Picture& picture, std::uint64_t track)
      : out_(out), picture_(picture), track_(track), at_(picture.clock.boot_ns) {}
  void add(const PictureStack& stack) {
    std::size_t same = 0;
    while (same < std::min(open_.size(), stack.frames.size()) && open_[same] == stack.frames[same]) same++;
    close_to(same);
    while (open_.size() < stack.frames.size()) {
      open_.push_back(stack.frames[open_.size()]);
      Message event;
      event.number(9, slice_begin).number(11, track_).text(23, picture_.frames[open_.back()].name);
      put_event(event);
    }
    at_ += stack.weight * (picture_.time ? 1 : 1'000'000);  // a sample is drawn as a millisecond
  }
  void close_to(std::size_t depth) {
    for (; open_.size() > depth; open_.pop_back()) put_event(Message().number(9, slice_end).number(11, track_));
  }

 private:
  void put_event(const Message& event) {
    Message packet;
    packet.number(8, at_).number(10, perfetto_sequence).number(13, needs_incremental).message(11, event);
    put_packet(out_, packet);
  }
  std::string& out_;
  const Picture& picture_;
  std::uint64_t track_, at_;
  std::vector<std::uint32_t> open_;
};

}  // namespace

std::string write_perfetto(const Picture& whole) {
  Picture picture = whole.by_function();
  std::string out;
  std::map<std::tuple<std::uint32_t, std::uint32_t, std::string>,
           std::map<std::vector<std::uint32_t>, const PictureStack*>>
      threads;
  for (const PictureStack& stack : picture.stacks) threads[{stack.pid, stack.tid, stack.comm}][stack.frames] = &stack;
  put_clocks(out, picture.clock);
  std::uint64_t track = 0;
  for (const auto& [thread, stacks] : threads) {
    put_track(out, ++track, *stacks.begin()->second);
    PerfettoSlices slices(out, picture, track);
    for (const auto& [frames, stack] : stacks)
      if (stack->weight) slices.add(*stack);
    slices.close_to(0);
  }
  return out;
}

}  // namespace kit
