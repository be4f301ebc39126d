// SPDX-License-Identifier: BSD-2-Clause
#include "kit/picture.hpp"

#include <algorithm>
#include <numeric>
#include <tuple>

#include "kit/text.hpp"

namespace kit {

PictureFrame picture_frame(const StackFrame& frame) {
  return {.name = frame.name.empty() ? std::string("[unknown]") : picture_text(frame.name),
          .module = picture_text(frame.module),
          .build_id = picture_text(frame.build_id),
          .file = picture_text(frame.file),
          .address = frame.module_offset ? frame.module_offset : frame.address,
          .line = frame.line,
          .inlined = frame.inlined,
          .kind = frame.kind};
}

std::uint64_t Picture::total() const {
  return std::accumulate(stacks.begin(), stacks.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const PictureStack& stack) { return sum + stack.weight; });
}

Picture Picture::by_function() const {
  Picture out = *this;
  std::map<PictureFrame, std::uint32_t> numbers;
  std::vector<std::uint32_t> number_of;
  out.frames.clear();
  for (PictureFrame frame : frames) {
    frame.address = frame.line = 0;
    frame.file.clear();
    auto [found, fresh] = numbers.try_emplace(frame, static_cast<std::uint32_t>(out.frames.size()));
    if (fresh) out.frames.push_back(frame);
    number_of.push_back(found->second);
  }
  std::map<std::tuple<std::uint32_t, std::uint32_t, std::string, std::vector<std::uint32_t>>, std::size_t> known;
  out.stacks.clear();
  for (PictureStack stack : stacks) {
    for (std::uint32_t& frame : stack.frames) frame = number_of[frame];
    auto [found, fresh] = known.try_emplace({stack.pid, stack.tid, stack.comm, stack.frames}, out.stacks.size());
    if (fresh) {
      out.stacks.push_back(std::move(stack));
    } else {
      out.stacks[found->second].weight += stack.weight;
      out.stacks[found->second].count += stack.count;
    }
  }
  return out;
}

namespace {

struct Kind {
  const char* option;
  const char* about;
  std::string (*write)(const Picture&);
};

constexpr Kind kinds[] = {
    {"folded", "stacks in a line each, for flamegraph.pl, speedscope, the Firefox Profiler", write_folded},
    {"pprof", "a profile for `go tool pprof` and speedscope", write_pprof},
    {"chrome", "a trace for chrome://tracing, Perfetto, speedscope", write_chrome},
    {"perfetto", "a trace for Perfetto", write_perfetto},
    {"firefox", "a profile for the Firefox Profiler", write_firefox},
    {"speedscope", "a profile for speedscope", write_speedscope},
    {"perf-script", "what `perf script` would write", write_perf_script},
};

std::string check_flame(std::string_view path) {
  bool known = path == "-" || path.ends_with(".svg") || path.ends_with(".html");
  return known ? "" : "expects a name that ends in .svg or .html";
}

}  // namespace

Pictures::Pictures(Options& options, std::string title, bool time) {
  picture_.maker = options.name();
  picture_.title = std::move(title);
  picture_.time = time;
  files_.declare(
      options, "flame", "a flame graph, FILE.svg or FILE.html, for any browser",
      [this](const std::string& path) {
        auto* compared = before_.empty() ? nullptr : &older_;
        return path.ends_with(".html") ? write_html(picture_, compared) : write_svg(picture_, compared);
      },
      check_flame);
  options.add(0, "flame-diff", "OLD", "colour the flame graph by what grew and shrank since these folded stacks",
              [this](std::string_view path) {
                before_ = path;
                return std::string();
              });
  for (const Kind& kind : kinds)
    files_.declare(options, kind.option, kind.about,
                   [this, &kind](const std::string&) { return kind.write(picture_); });
}

void Pictures::begin(Session& session) {
  if (!before_.empty() && !files_.wanted("flame")) throw Failure(Exit::usage, "--flame-diff goes with --flame");
  if (!before_.empty()) older_ = read_folded(read_file_of(before_), before_);
  files_.begin(session);
}

void Pictures::add(const Stack& leaf_first, std::uint32_t pid, std::uint32_t tid, std::string_view comm,
                   std::uint64_t weight, std::uint64_t count) {
  if (!files_.wanted()) return;
  PictureStack stack;
  stack.pid = pid;
  stack.tid = tid ? tid : pid;
  stack.comm = picture_text(comm);
  for (auto at = leaf_first.rbegin(); at != leaf_first.rend(); ++at) {
    PictureFrame frame = picture_frame(*at);
    auto [found, fresh] = numbers_.try_emplace(frame, static_cast<std::uint32_t>(picture_.frames.size()));
    if (fresh) picture_.frames.push_back(std::move(frame));
    stack.frames.push_back(found->second);
  }
  auto [found, fresh] = known_.try_emplace({stack.pid, stack.tid, stack.comm, stack.frames}, picture_.stacks.size());
  if (fresh) picture_.stacks.push_back(std::move(stack));
  picture_.stacks[found->second].weight += weight;
  picture_.stacks[found->second].count += count;
}

int Pictures::write(const Session& session, int code) {
  picture_.clock = session.clock();
  for (PictureStack& stack : picture_.stacks)
    stack.cgroup = picture_text(session.name("cgroup", stack.pid, [] { return std::string(); }));
  files_.write();
  return code;
}

}  // namespace kit
