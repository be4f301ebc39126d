// SPDX-License-Identifier: BSD-2-Clause
// Pictures that are lines of text: folded stacks, and what `perf script` writes.
#include <map>
#include <tuple>

#include "kit/picture.hpp"
#include "kit/text.hpp"

namespace kit {
namespace {

constexpr std::uint64_t hertz_ns = 10'101'010;  // between two samples, as far as their order is known: 99 a second

// A frame's name in a folded line, with the marks that viewers know.
std::string folded_name(const PictureFrame& frame) {
  std::string name = frame.name;
  for (char& c : name)
    if (c == ';') c = ':';
  if (frame.inlined) return name + "_[i]";
  if (frame.kind == StackFrame::Kind::kernel) return name + "_[k]";
  return frame.kind == StackFrame::Kind::jit ? name + "_[j]" : name;
}

std::string plain(std::string text, char instead) {
  for (char& c : text)
    if (c == ';' || c == '(' || c == ')') c = instead;
  return text;
}

}  // namespace

std::string write_folded(const Picture& picture) {
  std::map<std::string, std::uint64_t> lines;
  for (const PictureStack& stack : picture.stacks) {
    std::string line = plain(stack.comm, ':');
    for (std::uint32_t frame : stack.frames) line += ';' + folded_name(picture.frames[frame]);
    lines[line] += stack.weight;
  }
  std::string out;
  for (const auto& [line, weight] : lines)
    if (weight) out += cat(line, ' ', weight, '\n');
  return out;
}

std::map<std::string, std::uint64_t> read_folded(std::string_view text, const std::string& path) {
  std::map<std::string, std::uint64_t> lines;
  for (std::string_view line : split(text, '\n')) {
    if (line.empty()) continue;
    std::size_t space = line.rfind(' ');
    auto count = space == line.npos ? std::nullopt : parse_number(line.substr(space + 1));
    if (!count && line.starts_with('#')) continue;  // a remark; a thread's name may begin so, too
    if (!count) throw Failure(Exit::usage, cat(path, ": these are no folded stacks: expects lines of \"a;b;c COUNT\""));
    lines[std::string(line.substr(0, space))] += *count;
  }
  return lines;
}

namespace {

// A stack's lines, innermost first.
std::string perf_frames(const Picture& picture, const PictureStack& stack) {
  std::string frames;
  for (auto at = stack.frames.rbegin(); at != stack.frames.rend(); ++at) {
    const PictureFrame& frame = picture.frames[*at];
    std::string hex;
    append_hex(hex, frame.address);
    frames += cat('\t', std::string(hex.size() < 18 ? 18 - hex.size() : 0, ' '), hex.substr(2), ' ', frame.name,
                  frame.name == "[unknown]" ? "" : "+0x0", " (",
                  frame.kind == StackFrame::Kind::kernel ? "[kernel.kallsyms]"
                  : frame.module.empty()                 ? "[unknown]"
                                                         : plain(frame.module, '_'),
                  ")\n");
  }
  return frames;
}

void put_sample(std::string& out, const PictureStack& stack, std::uint64_t time, std::uint64_t period,
                const char* event, std::string_view frames) {
  out += cat(stack.comm.empty() ? "?" : stack.comm, ' ', stack.pid, '/', stack.tid, ' ', time / 1'000'000'000, '.');
  append_padded(out, time % 1'000'000'000, 9);  // as with its option --ns
  std::string number = cat(period);
  out += cat(": ", std::string(number.size() < 10 ? 10 - number.size() : 0, ' '), number, ' ', event, ": \n", frames,
             '\n');
}

// A sample where each stack of a thread begins, with its time as the period, and one of no time where it ends: readers
// take the weight from the period, or from the time to the next sample, or to half way there (speedscope).
std::string perf_times(const Picture& picture) {
  std::map<std::tuple<std::uint32_t, std::uint32_t, std::string>, std::uint64_t> threads;
  std::string out;
  for (const PictureStack& stack : picture.stacks) {
    std::uint64_t& past = threads[{stack.pid, stack.tid, stack.comm}];
    std::string frames = perf_frames(picture, stack);
    put_sample(out, stack, picture.clock.boot_ns + past, stack.weight, "time", frames);
    past += stack.weight;
    put_sample(out, stack, picture.clock.boot_ns + past, 0, "time", frames);
  }
  return out;
}

}  // namespace

// A sample for each one that was counted; their times are made up, a sampling period apart.
std::string write_perf_script(const Picture& picture) {
  if (picture.time) return perf_times(picture);
  std::string out;
  std::uint64_t time = picture.clock.boot_ns;
  for (const PictureStack& stack : picture.stacks) {
    std::string frames = perf_frames(picture, stack);
    for (std::uint64_t i = 0; i < stack.count; i++, time += hertz_ns)
      put_sample(out, stack, time, 1, "cpu-clock", frames);
  }
  return out;
}

}  // namespace kit
