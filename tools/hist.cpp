// SPDX-License-Identifier: BSD-2-Clause
// hist: a histogram of a value that any probe has, per key if asked.
#include "hist.h"

#include "hist.skel.h"
#include "kit/histograms.hpp"

namespace {

void declare(kit::Options& options, std::vector<std::string>& words, bool& force) {
  kit::Probing::declare(options, words, force);
  options
      .shows({"the value",
              "ns for a latency, else none",
              "how often the first expression had which value",
              {{"probe", "the place, where there are several"},
               {"values", "the further expressions, which are keys"},
               {"sign", "of a value that has one: positive, or negative: of those below 0, without their sign"}}})
      .details(
          "The first expression is the value; up to 4 others are keys, of which 2 may be strings of up to 62 bytes. "
          "Buckets are at most 12.5 % wide.")
      .example("hist kretprobe:vfs_read latency", "how long reads take")
      .example("hist 'kretprobe:vfs_read /retval >= 0/' retval pid", "how much each process reads at once")
      .example("hist tracepoint:syscalls:sys_enter_write count -d 5", "how much is asked to be written");
}

}  // namespace

int tool(int argc, char** argv) {
  std::vector<std::string> words;
  bool force = false;
  kit::Options options(kit::Shape::interval, "hist", "Show a histogram of a value that any probe has.");
  declare(options, words, force);
  kit::Session session(options, argc, argv);
  kit::ProbeDemand demand{.values = FETCH_KEY_VALUES, .keys = true, .number_first = true};
  kit::Probing probing(session, words, demand, force);
  kit::Skeleton<hist_bpf> bpf;
  kit::Histograms histograms(probing, bpf.object(), true);
  probing.start(bpf);
  return session.reports(
      bpf, [&](kit::Report& report) { histograms.show(report, report.entries<hist_key, kit_histogram>("values")); });
}
