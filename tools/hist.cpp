// SPDX-License-Identifier: BSD-2-Clause
// hist: a histogram of a value that any probe has, per key if asked.
#include "hist.h"

#include "hist.skel.h"
#include "kit/histograms.hpp"
#include "kit/text.hpp"

namespace {

// A number or a time, "-5" or "10ms".
std::optional<std::int64_t> parse_value(std::string_view text) {
  bool minus = text.starts_with('-');
  if (minus) text.remove_prefix(1);
  auto value = kit::parse_number(text);
  if (!value) value = kit::parse_duration(text, false);
  if (!value || *value > INT64_MAX) return {};
  return minus ? -static_cast<std::int64_t>(*value) : static_cast<std::int64_t>(*value);
}

// Of "MIN,MAX,STEP"; why not, if it cannot be.
std::string parse_linear(std::string_view text, std::optional<kit::EqualBuckets>& equal) {
  auto words = kit::split(text, ',');
  auto number = [&](std::size_t i) { return i < words.size() ? parse_value(words[i]) : std::nullopt; };
  auto min = number(0), max = number(1), step = number(2);
  if (words.size() != 3 || !min || !max || !step || *step <= 0 || *max <= *min)
    return "expected MIN,MAX,STEP, numbers or times: 0,100,10";
  std::uint64_t range = static_cast<std::uint64_t>(*max) - static_cast<std::uint64_t>(*min);
  std::uint64_t size = static_cast<std::uint64_t>(*step), buckets = range / size;
  if (range % size) return "MAX is to be a whole number of STEPs above MIN";
  if (buckets > kit::most_equal_buckets)
    return kit::cat("that is ", buckets, " buckets, and ", kit::most_equal_buckets, " are the limit");
  equal = {.min = *min, .step = size, .buckets = static_cast<std::uint32_t>(buckets)};
  return {};
}

struct Knobs {
  std::vector<std::string> words;
  bool force = false;
  std::optional<kit::EqualBuckets> equal;
};

void declare(kit::Options& options, Knobs& knobs) {
  kit::Probing::declare(options, knobs.words, knobs.force);
  options
      .add(0, "linear", "MIN,MAX,STEP", "buckets of STEP from MIN to MAX, rather than eight to each power of two",
           [&](std::string_view text) { return parse_linear(text, knobs.equal); })
      .shows({"the value",
              "ns for a latency, else none",
              "how often the first expression had which value",
              {{"probe", "the place, where there are several"},
               {"values", "the further expressions, which are keys"},
               {"sign",
                "of a value that has one, without --linear: positive, or negative: of those below 0, without their "
                "sign"}}})
      .details(
          "The first expression is the value; up to 4 others are keys, of which 2 may be strings of up to 62 bytes, "
          "or one beside stacks. "
          "Buckets are at most 12.5 % wide. With --linear all values below MIN are in one, and all from MAX on.")
      .example("hist kretprobe:vfs_read latency", "how long reads take")
      .example("hist 'kretprobe:vfs_read /retval >= 0/' retval pid", "how much each process reads at once")
      .example("hist --linear 0,10ms,500us uretprobe:./server:handle latency", "in buckets of half a millisecond")
      .example("hist tracepoint:syscalls:sys_enter_write count -d 5", "how much is asked to be written");
}

}  // namespace

int tool(int argc, char** argv) {
  Knobs knobs;
  kit::Options options(kit::Shape::interval, "hist", "Show a histogram of a value that any probe has.");
  declare(options, knobs);
  kit::Stacks stacks(options, kit::Stacks::Letters::none);
  kit::Session session(options, argc, argv);
  kit::ProbeDemand demand{.values = FETCH_KEY_VALUES, .keys = true, .number_first = true, .stacks = &stacks};
  kit::Probing probing(session, knobs.words, demand, knobs.force);
  kit::Skeleton<hist_bpf> bpf;
  kit::Histograms histograms(probing, bpf.object(), true, knobs.equal);
  probing.start(bpf);
  return session.reports(
      bpf, [&](kit::Report& report) { histograms.show(report, report.entries<hist_key, kit_histogram>("values")); });
}
