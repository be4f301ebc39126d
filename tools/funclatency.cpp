// SPDX-License-Identifier: BSD-2-Clause
// funclatency: how long functions take, of the kernel or of programs.
#include "funclatency.h"

#include "funclatency.skel.h"
#include "kit/histograms.hpp"

namespace {

struct Knobs {
  std::vector<std::string> words;
  bool per_function = false, typed = false, force = false;
};

void declare(kit::Options& options, Knobs& knobs) {
  options.words("FUNC...", knobs.words)
      .flag(0, "per-function", knobs.per_function, "a histogram of each function, not one of all")
      .flag(0, "fexit", knobs.typed, "functions of the kernel by fentry and fexit, which cost less; a hundred at most")
      .flag(0, "force-uretprobe", knobs.force, "probe returns that may harm the program: of C++ that throws, and of Go")
      .shows({"latency", "ns", "how often the functions took how long", {{"probe", "with --per-function: which one"}}})
      .details(
          "FUNC is a function of the kernel, or FILE:FUNC one of a program or library; globs are taken, and filters "
          "behind them as trace has them. The time is that from a call to its return, sleep and what it calls "
          "included; calls of a recursion are told apart.")
      .example("funclatency vfs_read -d 10", "reads, in ten seconds")
      .example("funclatency 'libc:*alloc' --per-function -- ls", "allocations of a command")
      .example("funclatency 'tcp_*' --per-function 1", "each second, each function of TCP's");
}

// As probes: "vfs_read" is kretprobe:vfs_read, "libc:malloc" is uretprobe:libc:malloc.
std::vector<std::string> probes_of(const Knobs& knobs) {
  std::vector<std::string> words;
  for (const std::string& word : knobs.words) {
    bool filter = word.find('/') == 0 && word.find(':') == std::string::npos;
    bool user = word.find(':') != std::string::npos;
    if (!filter && !words.empty()) words.emplace_back("latency");
    const char* kind = filter ? "" : user ? "uretprobe:" : knobs.typed ? "fexit:" : "kretprobe:";
    words.push_back(kind + word);
  }
  if (!words.empty()) words.emplace_back("latency");
  return words;
}

}  // namespace

int tool(int argc, char** argv) {
  Knobs knobs;
  kit::Options options(kit::Shape::interval, "funclatency", "Show how long functions take, as histograms.");
  declare(options, knobs);
  kit::Session session(options, argc, argv);
  // What --explain tells of where no function is named: of one that every program has.
  if (knobs.words.empty() && session.settings().explain) knobs.words = {"libc:getenv"};
  kit::ProbeDemand demand{.keys = true, .number_first = true};
  kit::Probing probing(session, probes_of(knobs), demand, knobs.force);
  kit::Skeleton<funclatency_bpf> bpf;
  kit::Histograms histograms(probing, bpf.object(), knobs.per_function);
  probing.start(bpf);
  return session.reports(bpf, [&](kit::Report& report) {
    histograms.show(report, report.entries<funclatency_key, kit_histogram>("values"));
  });
}
