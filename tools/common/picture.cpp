// SPDX-License-Identifier: BSD-2-Clause
#include "kit/picture.hpp"

#include <fcntl.h>

#include <algorithm>
#include <numeric>
#include <tuple>

#include "kit/text.hpp"

namespace kit {
namespace {

// Names are chosen by others: no control bytes, no bytes that are not UTF-8, nothing that ends a line.
std::string clean(std::string_view text) {
  std::string out;
  append_visible(out, text);
  return out;
}

void write_all(const std::string& path, std::string_view bytes) {
  Fd file(path == "-" ? dup(1) : open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  while (file && !bytes.empty()) {
    ssize_t written = ::write(file.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) break;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  if (!file || !bytes.empty()) throw Failure(Exit::failed, cat("cannot write ", path, ": ", error_text(errno)));
}

// Says now, not after an hour, what cannot be written; leaves what is there as it is.
void check_writable(const std::string& path) {
  bool there = access(path.c_str(), F_OK) == 0;
  Fd file(open(path.c_str(), O_WRONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0666));
  // A FIFO that nobody reads yet.
  if (!file && errno != ENXIO) throw Failure(Exit::failed, cat("cannot write ", path, ": ", error_text(errno)));
  if (!there) unlink(path.c_str());
}

std::string read_all(const std::string& path) {
  Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string bytes;
  char block[65536];
  ssize_t size = -1;
  while (file && (size = read(file.get(), block, sizeof block)) > 0)
    bytes.append(block, static_cast<std::size_t>(size));
  if (size < 0) throw Failure(Exit::failed, cat("cannot read ", path, ": ", error_text(errno)));
  return bytes;
}

}  // namespace

PictureFrame picture_frame(const StackFrame& frame) {
  return {.name = frame.name.empty() ? std::string("[unknown]") : clean(frame.name),
          .module = clean(frame.module),
          .build_id = clean(frame.build_id),
          .file = clean(frame.file),
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

const std::array<Pictures::Kind, 7> Pictures::kinds = {{
    {"folded", "stacks in a line each, for flamegraph.pl, speedscope, the Firefox Profiler", write_folded},
    {"pprof", "a profile for `go tool pprof` and speedscope", write_pprof},
    {"chrome", "a trace for chrome://tracing, Perfetto, speedscope", write_chrome},
    {"perfetto", "a trace for Perfetto", write_perfetto},
    {"firefox", "a profile for the Firefox Profiler", write_firefox},
    {"speedscope", "a profile for speedscope", write_speedscope},
    {"perf-script", "what `perf script` would write", write_perf_script},
}};

Pictures::Pictures(Options& options, std::string title, bool time) {
  picture_.maker = options.name();
  picture_.title = std::move(title);
  picture_.time = time;
  auto want = [this](std::size_t kind) {
    return [this, kind](std::string_view path) -> std::string {
      wanted_.emplace_back(kind, path);
      return path.empty() ? "expects a file, or - for standard output" : "";
    };
  };
  options.add(0, "flame", "FILE", "a flame graph, FILE.svg or FILE.html, for any browser", want(kinds.size()));
  options.add(0, "flame-diff", "OLD", "colour the flame graph by what grew and shrank since these folded stacks",
              [this](std::string_view path) {
                before_ = path;
                return std::string();
              });
  for (std::size_t i = 0; i < kinds.size(); i++) {
    // Weights that are times are no samples.
    if (time && kinds[i].write == write_perf_script) continue;
    options.add(0, kinds[i].option, "FILE", kinds[i].about, want(i));
  }
}

void Pictures::begin(Session& session) {
  auto on_stdout = std::count_if(wanted_.begin(), wanted_.end(), [](const auto& one) { return one.second == "-"; });
  bool flame = std::any_of(wanted_.begin(), wanted_.end(), [](const auto& one) { return one.first == kinds.size(); });
  if (on_stdout > 1 || (on_stdout && session.settings().output != Output::text))
    throw Failure(Exit::usage, "standard output takes one output: give the others a file");
  if (!before_.empty() && !flame) throw Failure(Exit::usage, "--flame-diff goes with --flame");
  if (!before_.empty()) older_ = read_folded(read_all(before_), before_);
  for (const auto& [kind, path] : wanted_) {
    if (kind == kinds.size() && path != "-" && !path.ends_with(".svg") && !path.ends_with(".html"))
      throw Failure(Exit::usage, cat("--flame ", path, ": expects a name that ends in .svg or .html"));
    if (path != "-") check_writable(path);
  }
  if (on_stdout) session.keep_quiet();
}

void Pictures::add(const Stack& leaf_first, std::uint32_t pid, std::uint32_t tid, std::string_view comm,
                   std::uint64_t weight, std::uint64_t count) {
  if (wanted_.empty()) return;
  PictureStack stack;
  stack.pid = pid;
  stack.tid = tid ? tid : pid;
  stack.comm = clean(comm);
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

std::string Pictures::content(std::size_t kind, const std::string& path) const {
  if (kind < kinds.size()) return kinds[kind].write(picture_);
  auto* compared = before_.empty() ? nullptr : &older_;
  return path.ends_with(".html") ? write_html(picture_, compared) : write_svg(picture_, compared);
}

int Pictures::write(const Session& session, int code) {
  picture_.clock = session.clock();
  for (const auto& [kind, path] : wanted_) write_all(path, content(kind, path));
  return code;
}

}  // namespace kit
