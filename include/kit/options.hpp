// SPDX-License-Identifier: BSD-2-Clause
// Options declared as data: one declaration is letter, name, argument, help and the variable that takes the value; the
// variable's type picks the parser and the message. argp(3) reads them; help, manual and completions are made of them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kit/clock.hpp"
#include "kit/names.hpp"
#include "kit/table.hpp"

namespace kit {

// What a tool's run looks like, which settles what -d, -n, -i and stray words mean.
enum class Shape {
  stream,    // a row per record, until something ends it
  interval,  // reports: one at the end, or one each interval; [INTERVAL [COUNT]] as words
  stacks,    // the same with stacks in the rows; [DURATION] as a word
};

enum class Output { text, json, csv };

struct Duration {
  std::uint64_t ns = 0;
};
struct Size {
  std::uint64_t bytes = 0;
  std::uint64_t most = UINT64_MAX;
};
// A whole number from 1 to `most`; 0 if it was not given.
struct Number {
  std::uint32_t value = 0;
  std::uint32_t most = UINT32_MAX;
  explicit operator bool() const { return value > 0; }
};
struct ErrorNumber {
  int number = 0;  // 0: none given
};

// What every tool can be told (CONTRACT, section 1).
struct Settings {
  Output output = Output::text;
  TimeStyle time = TimeStyle::clock;
  std::optional<Duration> duration, interval;
  std::optional<std::uint64_t> count;
  std::vector<std::uint32_t> pids, tids, users;
  std::string comm, cgroup;
  std::optional<std::uint32_t> tree;
  std::vector<std::string> command;
  std::optional<Size> buffer;
  bool strict = false, explain = false, verbose = false;
  std::string record, replay, attach, btf;
  int ready_fd = -1;
};

// Each puts the text's value into the variable or returns what is wrong with it.
std::string parse_value(std::string_view text, std::string& value);
std::string parse_value(std::string_view text, Number& value);
std::string parse_value(std::string_view text, Duration& value);
std::string parse_value(std::string_view text, Size& value);
std::string parse_value(std::string_view text, ErrorNumber& value);
// A comma-separated list of numbers from 0.
std::string parse_value(std::string_view text, std::vector<std::uint32_t>& value);
// A comma-separated list of system calls: every number, in every ABI, that bears one of the names.
std::string parse_value(std::string_view text, std::vector<SyscallNumber>& value);

class Options {
 public:
  using Parse = std::function<std::string(std::string_view)>;
  struct Option {
    int key;  // the letter, or a number above 255
    std::string name, argument, help;
    Parse parse;
    bool common = false, hidden = false;
  };
  struct Example {
    std::string command, meaning;
  };

  Options(Shape shape, std::string name, std::string about);

  // A switch.
  Options& flag(char letter, std::string name, bool& on, std::string help);
  // An option with an argument; `letter` is 0 where it has none.
  template <typename Value>
  Options& option(char letter, std::string name, std::string argument, Value& value, std::string help) {
    return add(letter, std::move(name), std::move(argument), std::move(help),
               [&value](std::string_view text) { return parse_value(text, value); });
  }
  // The same with a parser of the tool's own.
  Options& add(char letter, std::string name, std::string argument, std::string help, Parse parse);
  Options& example(std::string command, std::string meaning);
  // A paragraph for --help and the manual: what the tool measures, what it does not see.
  Options& details(std::string paragraph);
  // Words that are no options: what they are called in the usage line, and where they go. Without, a word is refused or
  // is the interval.
  Options& words(std::string called, std::vector<std::string>& words);
  // The table whose keys --help states.
  Options& shows(const Columns& columns);
  // A histogram: its name and unit, what is counted, and its keys, each with a phrase.
  struct Counts {
    std::string name, unit, about;
    std::vector<std::pair<std::string, std::string>> keys;
  };
  Options& shows(Counts counts);

  // Reads the command line. Prints and throws Finished for --help and the like; throws Failure (usage).
  Settings parse(int argc, char** argv);

  Shape shape() const { return shape_; }
  const std::string& name() const { return name_; }
  const std::string& about() const { return about_; }
  const std::vector<Option>& all() const { return options_; }
  const std::vector<Example>& examples() const { return examples_; }
  const std::vector<std::string>& paragraphs() const { return details_; }
  const Columns* columns() const { return columns_; }
  const std::vector<Counts>& histograms() const { return histograms_; }
  // The command line as it was given, for captures.
  const std::string& given() const { return given_; }

 private:
  friend struct OptionsParser;
  void declare_common(Settings& settings);
  void declare_run(Settings& settings);
  void declare_filters(Settings& settings);
  void declare_files(Settings& settings);
  void declare_prints();
  void check(const Settings& settings, const std::vector<std::string>& words, Settings& out) const;

  Shape shape_;
  std::string name_, about_, given_;
  std::vector<Option> options_;
  std::vector<Example> examples_;
  std::vector<std::string> details_;
  const Columns* columns_ = nullptr;
  std::vector<Counts> histograms_;
  std::string words_called_;
  std::vector<std::string>* words_ = nullptr;
  int next_key_ = 1000;
};

// The manual page (roff) and the completions for "bash", "zsh" or "fish", as the build installs them. `program` is the
// installed name.
std::string manual(const Options& options, const std::string& program);
std::string completion(const Options& options, const std::string& program, std::string_view shell);

const char* version();

}  // namespace kit
