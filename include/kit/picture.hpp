// SPDX-License-Identifier: BSD-2-Clause
// Pictures of stacks: one model in memory, and a writer for each kind of file that a viewer opens.
#pragma once

#include <cstdint>
#include <map>
#include <tuple>
#include <string>
#include <string_view>
#include <vector>

#include "kit/picture_files.hpp"
#include "kit/session.hpp"
#include "kit/table.hpp"

namespace kit {

struct PictureFrame {
  std::string name;  // never empty, and without control bytes
  std::string module, build_id, file;
  std::uint64_t address = 0;  // in the module's own terms
  std::uint32_t line = 0;
  bool inlined = false;
  StackFrame::Kind kind = StackFrame::Kind::user;
  auto operator<=>(const PictureFrame&) const = default;
};

// Of a frame whose names others chose.
PictureFrame picture_frame(const StackFrame& frame);

// All that met one stack in one thread or process.
struct PictureStack {
  std::vector<std::uint32_t> frames;  // root first; into Picture::frames
  std::uint32_t pid = 0, tid = 0;
  std::string comm;
  std::uint64_t weight = 0, count = 0;
  std::string cgroup;  // the process's, in version 2's tree; empty: not known
};

struct Picture {
  std::string maker, title;  // the tool that made it
  bool time = false;         // weights are ns; else samples
  Clock clock;
  std::vector<PictureFrame> frames;
  std::vector<PictureStack> stacks;
  std::uint64_t total() const;
  // The same by functions alone: frames of one function are one, and equal stacks of a thread are one.
  Picture by_function() const;
};

// Each gives a file's bytes.
std::string write_folded(const Picture& picture);
std::string write_svg(const Picture& picture, const std::map<std::string, std::uint64_t>* before = nullptr);
std::string write_html(const Picture& picture, const std::map<std::string, std::uint64_t>* before = nullptr);
std::string write_pprof(const Picture& picture);
std::string write_chrome(const Picture& picture);
std::string write_perfetto(const Picture& picture);
std::string write_firefox(const Picture& picture);
std::string write_speedscope(const Picture& picture);
std::string write_perf_script(const Picture& picture);

// Folded stacks as --folded and others write them: a line's stack and its count. Throws Failure for what is none.
std::map<std::string, std::uint64_t> read_folded(std::string_view text, const std::string& path);

// The options, what the rows add, and the files in the end.
class Pictures {
 public:
  // `weight` is "samples" or "ns".
  Pictures(Options& options, std::string title, bool time);
  // After the command line was read: refuses two outputs on standard output, and looks whether files can be written.
  void begin(Session& session);
  void add(const Stack& leaf_first, std::uint32_t pid, std::uint32_t tid, std::string_view comm, std::uint64_t weight,
           std::uint64_t count);
  // Whether a file tells of processes' cgroups: Stacks::follow finds them while the processes live.
  bool tells_cgroups() const { return files_.wanted("pprof"); }
  // Writes them all and gives `code` on, the run's.
  int write(const Session& session, int code);

 private:
  Picture picture_;
  std::map<PictureFrame, std::uint32_t> numbers_;
  PictureFiles files_;
  // Stacks that were added, by thread and frames, and where they are.
  std::map<std::tuple<std::uint32_t, std::uint32_t, std::string, std::vector<std::uint32_t>>, std::size_t> known_;
  std::string before_;  // --flame-diff's file
  std::map<std::string, std::uint64_t> older_;
};

}  // namespace kit
