// SPDX-License-Identifier: BSD-2-Clause
#include "kit/options.hpp"

#include <argp.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "kit/failure.hpp"
#include "kit/names.hpp"
#include "kit/text.hpp"

namespace kit {
namespace {

[[noreturn]] void usage(const std::string& message) { throw Failure(Exit::usage, message); }

std::string parse_id(std::string_view text, std::uint32_t& id) {
  auto number = parse_number(text);
  if (!number || *number == 0 || *number > 0x7fffffff) return "expects a number, like 1234";
  id = static_cast<std::uint32_t>(*number);
  if (kill(static_cast<pid_t>(id), 0) != 0 && errno == ESRCH) return cat("there is no process or thread ", id);
  return "";
}

template <typename Each>
std::string parse_list(std::string_view text, std::vector<std::uint32_t>& list, Each each) {
  for (std::string_view part : split(text, ',')) {
    std::uint32_t id = 0;
    if (std::string wrong = each(part, id); !wrong.empty()) return wrong;
    list.push_back(id);
  }
  return "";
}

std::string parse_user(std::string_view text, std::uint32_t& id) {
  if (auto number = parse_number(text); number && *number < KIT_NO_PID) {
    id = static_cast<std::uint32_t>(*number);
    return "";
  }
  if (auto known = user_id(text)) {
    id = *known;
    return "";
  }
  auto users = all_users();
  return cat("there is no user ", text, " in /etc/passwd", suggestion(text, users));
}

template <typename Value>
struct Choice {
  std::string_view name;
  Value value;
};

template <typename Value, std::size_t size>
Options::Parse choose(Value& value, const Choice<Value> (&choices)[size]) {
  return [&value, &choices](std::string_view text) -> std::string {
    std::string names;
    for (const auto& choice : choices) {
      if (choice.name == text) {
        value = choice.value;
        return "";
      }
      names += cat(names.empty() ? "" : ", ", choice.name);
    }
    return cat("expects one of ", names);
  };
}

constexpr Choice<Output> outputs[] = {{"text", Output::text}, {"json", Output::json}, {"csv", Output::csv}};
constexpr Choice<TimeStyle> times[] = {{"clock", TimeStyle::clock}, {"iso", TimeStyle::iso},
                                       {"epoch", TimeStyle::epoch}, {"delta", TimeStyle::delta},
                                       {"boot", TimeStyle::boot},   {"none", TimeStyle::none}};

Options::Parse duration_into(std::optional<Duration>& value) {
  return [&value](std::string_view text) -> std::string {
    auto ns = parse_duration(text, true);
    if (!ns || *ns == 0) return "expects a duration, like 5, 500ms or 2m";
    value = Duration{*ns};
    return "";
  };
}

std::string parse_count(std::string_view text, std::optional<std::uint64_t>& count) {
  auto number = parse_number(text);
  if (!number || *number == 0) return "expects a number above 0";
  count = number;
  return "";
}

}  // namespace

std::string parse_value(std::string_view text, std::string& value) {
  value = text;
  return value.empty() ? "expects a value" : "";
}

std::string parse_value(std::string_view text, Number& value) {
  auto number = parse_number(text);
  if (!number || *number == 0 || *number > value.most)
    return value.most == UINT32_MAX ? "expects a number above 0" : cat("expects a number from 1 to ", value.most);
  value.value = static_cast<std::uint32_t>(*number);
  return "";
}

std::string parse_value(std::string_view text, Duration& value) {
  auto ns = parse_duration(text, false);
  if (!ns) return "expects a duration with its unit, like 10ms (ns us ms s m h)";
  value.ns = *ns;
  return "";
}

std::string parse_value(std::string_view text, Size& value) {
  auto bytes = parse_size(text);
  if (!bytes || *bytes == 0) return "expects a size, like 64K, 4M or 1G";
  if (*bytes > value.most) return cat("at most ", size_text(value.most));
  value.bytes = *bytes;
  return "";
}

std::string parse_value(std::string_view text, ErrorNumber& value) {
  auto number = errno_number(text);
  if (!number) {
    auto names = all_errnos();
    return cat("there is no error ", text, suggestion(text, names));
  }
  value.number = *number;
  return "";
}

std::string parse_value(std::string_view text, std::vector<std::uint32_t>& value) {
  return parse_list(text, value, [](std::string_view one, std::uint32_t& number) -> std::string {
    auto parsed = parse_number(one);
    if (!parsed || *parsed > UINT32_MAX - 1) return "expects numbers, separated by commas";
    number = static_cast<std::uint32_t>(*parsed);
    return "";
  });
}

std::string parse_value(std::string_view text, std::vector<SyscallNumber>& value) {
  for (std::string_view name : split(text, ',')) {
    auto numbers = syscall_numbers(name);
    if (numbers.empty()) return cat("there is no system call ", name, suggestion(name, all_syscalls()));
    value.insert(value.end(), numbers.begin(), numbers.end());
  }
  return "";
}

Options::Options(Shape shape, std::string name, std::string about)
    : shape_(shape), name_(std::move(name)), about_(std::move(about)) {}

Options& Options::flag(char letter, std::string name, bool& on, std::string help) {
  return add(letter, std::move(name), "", std::move(help), [&on](std::string_view) {
    on = true;
    return std::string();
  });
}

Options& Options::add(char letter, std::string name, std::string argument, std::string help, Parse parse) {
  options_.push_back({.key = letter ? letter : next_key_++,
                      .name = std::move(name),
                      .argument = std::move(argument),
                      .help = std::move(help),
                      .parse = std::move(parse)});
  return *this;
}

Options& Options::example(std::string command, std::string meaning) {
  examples_.push_back({std::move(command), std::move(meaning)});
  return *this;
}

Options& Options::words(std::string called, std::vector<std::string>& words) {
  words_called_ = std::move(called);
  words_ = &words;
  return *this;
}

Options& Options::details(std::string paragraph) {
  details_.push_back(std::move(paragraph));
  return *this;
}

Options& Options::shows(const Columns& columns) {
  columns_ = &columns;
  return *this;
}

Options& Options::shows(Counts counts) {
  histograms_.push_back(std::move(counts));
  return *this;
}

void Options::declare_common(Settings& settings) {
  std::size_t own = options_.size();
  declare_run(settings);
  declare_filters(settings);
  declare_files(settings);
  for (std::size_t i = own; i < options_.size(); i++) options_[i].common = true;
  std::size_t hidden = options_.size();
  declare_prints();
  for (std::size_t i = hidden; i < options_.size(); i++) options_[i].hidden = options_[i].common = true;
}

// How long a run lasts and how it shows what it sees.
void Options::declare_run(Settings& s) {
  bool interval = shape_ != Shape::stream;
  add('o', "output", "FORMAT", "text, json (one object a line) or csv", choose(s.output, outputs));
  add(0, "time", "STYLE", "show TIME as clock, iso, epoch, delta, boot or none", choose(s.time, times));
  add('d', "duration", "DURATION", "end after this long (5, 500ms, 2m)", duration_into(s.duration));
  add('n', "count", "N", interval ? "end after N reports (implies -i 1s)" : "end after N rows",
      [&s](std::string_view text) { return parse_count(text, s.count); });
  if (interval)
    add('i', "interval", "DURATION", "a report each interval, rather than one at the end", duration_into(s.interval));
}

// Whose doings are shown.
void Options::declare_filters(Settings& s) {
  add('p', "pid", "PID,...", "only these processes",
      [&s](std::string_view text) { return parse_list(text, s.pids, parse_id); });
  add('t', "tid", "TID,...", "only these threads",
      [&s](std::string_view text) { return parse_list(text, s.tids, parse_id); });
  add('u', "user", "USER,...", "only these users, by name or number",
      [&s](std::string_view text) { return parse_list(text, s.users, parse_user); });
  add(0, "comm", "GLOB,...", "only threads of such a name (* ? [a-z])",
      [&s](std::string_view text) { return parse_value(text, s.comm); });
  add(0, "cgroup", "PATH", "only what is in this cgroup or beneath it",
      [&s](std::string_view text) { return parse_value(text, s.cgroup); });
  add(0, "tree", "PID", "only this process and all that descend from it", [&s](std::string_view text) {
    std::uint32_t pid = 0;
    std::string wrong = parse_id(text, pid);
    if (wrong.empty()) s.tree = pid;
    return wrong;
  });
}

// Losses, captures, the kernel.
void Options::declare_files(Settings& s) {
  add(0, "buffer", "SIZE", "size of the buffer between kernel and tool (4M, up to 1G)", [&s](std::string_view text) {
    s.buffer = Size{.most = std::uint64_t{1} << 30};
    return parse_value(text, *s.buffer);
  });
  flag(0, "strict", s.strict, "exit with 3 if anything was lost");
  flag(0, "explain", s.explain, "show what would be attached, what was refused and why, and exit");
  add(0, "record", "FILE", "keep what is seen in a file, too",
      [&s](std::string_view t) { return parse_value(t, s.record); });
  add(0, "replay", "FILE", "show a recorded file; asks no privilege",
      [&s](std::string_view t) { return parse_value(t, s.replay); });
  add(0, "btf", "FILE", "the kernel's types, where it does not offer them", [&s](std::string_view text) -> std::string {
    s.btf = text;
    return access(s.btf.c_str(), R_OK) == 0 ? "" : cat("cannot be read: ", error_text(errno));
  });
  add(0, "attach", "NAME", "diagnosis: take only the way of this name",
      [&s](std::string_view t) { return parse_value(t, s.attach); });
  add(0, "ready-fd", "N", "write a newline there once everything is attached",
      [&s](std::string_view text) -> std::string {
        auto number = parse_number(text);
        struct stat status {};
        if (!number || *number > 65535 || fstat(static_cast<int>(*number), &status) != 0)
          return "expects an open descriptor";
        s.ready_fd = static_cast<int>(*number);
        return "";
      });
  flag('v', "verbose", s.verbose, "show libbpf's own messages on stderr");
}

// What the build asks for.
void Options::declare_prints() {
  add(0, "print-manual", "PROGRAM", "", [this](std::string_view program) -> std::string {
    std::string text = manual(*this, std::string(program));
    std::fwrite(text.data(), 1, text.size(), stdout);
    throw Finished{};
  });
  add(0, "print-completion", "SHELL:PROGRAM", "", [this](std::string_view text) -> std::string {
    auto parts = split(text, ':');
    if (parts.size() != 2) return "expects SHELL:PROGRAM";
    std::string script = completion(*this, std::string(parts[1]), parts[0]);
    std::fwrite(script.data(), 1, script.size(), stdout);
    throw Finished{};
  });
}

// argp's callback and what it works on.
struct OptionsParser {
  const Options& options;
  std::vector<std::string> words;
  std::exception_ptr thrown;  // nothing may be thrown through argp, which is C
  const argp* parser = nullptr;
  int next = 0;  // where argp was when it gave up

  // argp's own --help prints nothing where it is to print no errors, and so these are ours.
  enum Key { help = '?', usage_line = 500, show_version = 'V' };

  void print(int key) const {
    std::string name = options.name();
    if (key == show_version)
      std::printf("%s (corekit) %s\n", name.c_str(), version());
    else
      argp_help(parser, stdout, key == help ? ARGP_HELP_STD_HELP : ARGP_HELP_USAGE, name.data());
  }

  static error_t parse(int key, char* argument, argp_state* state) {
    auto& self = *static_cast<OptionsParser*>(state->input);
    if (key == ARGP_KEY_ERROR) self.next = state->next;
    if (key == help || key == usage_line || key == show_version) {
      self.print(key);
      self.thrown = std::make_exception_ptr(Finished{});
      return EINVAL;
    }
    if (key == ARGP_KEY_ARG) {
      self.words.emplace_back(argument);
      return 0;
    }
    for (const Options::Option& option : self.options.options_) {
      if (option.key != key) continue;
      try {
        std::string wrong = option.parse(argument ? argument : "");
        if (!wrong.empty()) usage(cat("--", option.name, " ", argument ? argument : "", ": ", wrong));
      } catch (...) {
        self.thrown = std::current_exception();
        return EINVAL;
      }
      return 0;
    }
    return ARGP_ERR_UNKNOWN;
  }
};

namespace {

// What is wrong with a word of options; nothing if it may be right.
std::string explain_long(const Options& options, std::string_view word, bool last) {
  std::vector<std::string> names = {"--help", "--usage", "--version"};
  for (const auto& option : options.all())
    if (!option.hidden) names.push_back(cat("--", option.name));
  std::size_t equals = word.find('=');
  std::string_view name = word.substr(2, equals == word.npos ? word.npos : equals - 2);
  for (const auto& option : options.all()) {
    if (option.name != name) continue;
    if (option.argument.empty() && equals != word.npos) return cat("--", name, " takes no value");
    return last && !option.argument.empty() ? cat("--", name, " needs a value: ", option.argument) : "";
  }
  return cat("there is no option --", name, suggestion(cat("--", name), names), "; --help lists them");
}

std::string explain_letters(const Options& options, std::string_view word, bool last) {
  for (std::size_t i = 1; i < word.size(); i++) {
    auto found = std::find_if(options.all().begin(), options.all().end(), [&](auto& o) { return o.key == word[i]; });
    if (found == options.all().end()) return cat("there is no option -", word[i], "; --help lists them");
    if (found->argument.empty()) continue;
    return last && i + 1 == word.size() ? cat("-", word[i], " needs a value: ", found->argument) : "";
  }
  return "";
}

// Why argp gave up: at the word before `next`, or in the middle of that one, of several letters.
std::string explain(const Options& options, const std::vector<char*>& words, std::size_t next) {
  for (std::size_t at : {next - 1, next}) {
    if (at < 1 || at + 1 >= words.size() || words[at][0] != '-') continue;
    bool last = at + 2 == words.size(), is_long = words[at][1] == '-';
    std::string why = is_long ? explain_long(options, words[at], last) : explain_letters(options, words[at], last);
    if (!why.empty()) return why;
  }
  return "cannot make sense of the options; --help lists them";
}

std::string key_line(std::string_view key, std::string_view about) {
  return cat("  ", key, std::string(key.size() < 14 ? 14 - key.size() : 1, ' '), about, "\n");
}

std::string help_text(const Options& options) {
  std::string text = options.about();
  for (const auto& paragraph : options.paragraphs()) text += cat("\n\n", paragraph);
  text += '\v';
  if (!options.examples().empty()) text += "Examples:\n";
  for (const auto& example : options.examples()) text += cat("  ", example.command, "\n      ", example.meaning, "\n");
  if (options.columns()) {
    text += "\nKeys of a JSON row and columns of CSV:\n";
    for (const Column& column : options.columns()->columns()) text += key_line(column.key, column.about);
  }
  for (const auto& [name, unit, about, keys] : options.histograms()) {
    text += cat("\nKeys of a JSON histogram:\n", key_line("name", cat(name, ": ", about)), key_line("unit", unit));
    for (const auto& [key, meaning] : keys) text += key_line(cat("key.", key), meaning);
    text += key_line("count, sum, p50, p90, p99, p999, max", "of all");
    text += key_line("buckets", "those that have any: the least and the largest value (min, max), and the count");
    text += "In CSV a row for each bucket, with its min, max and count.\n";
  }
  text +=
      "\nA duration is a number with ns, us, ms, s, m or h; a size takes K, M, G. Filters are decided in the kernel; "
      "different ones must all match. Exit status: 0 done, 1 failure, 3 data lost under --strict, 64 usage, 69 this "
      "kernel cannot, 77 not permitted.";
  return text;
}

std::string quote_all(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& word : words) {
    if (!out.empty()) out += ' ';
    append_shell_word(out, word);
  }
  return out;
}

// A stray word: which option was probably meant.
[[noreturn]] void stray(const std::string& word) {
  if (parse_duration(word, true))
    usage(cat("unexpected ", word, "; for a run of that length say -d ", word, ", for a process -p ", word));
  usage(cat("unexpected ", word, "; to run a command and trace it say -- ", word));
}

}  // namespace

void Options::check(const Settings& given, const std::vector<std::string>& words, Settings& out) const {
  if (words_) {
    *words_ = words;
  } else if (shape_ == Shape::stacks && !words.empty()) {
    if (words.size() > 1) stray(words[1]);
    auto duration = parse_duration(words[0], true);
    if (!duration || *duration == 0) stray(words[0]);
    out.duration = Duration{*duration};
  } else if (!words.empty()) {
    if (shape_ == Shape::stream) stray(words[0]);
    if (words.size() > 2) stray(words[2]);
    auto interval = parse_duration(words[0], true);
    if (!interval || *interval == 0) stray(words[0]);
    out.interval = Duration{*interval};
  }
  if (!words_ && words.size() > 1)
    if (std::string wrong = parse_count(words[1], out.count); !wrong.empty())
      usage(cat("COUNT ", words[1], ": ", wrong));
  if (shape_ != Shape::stream && out.count && !out.interval) out.interval = Duration{1'000'000'000};
  bool filtered = !given.pids.empty() || !given.tids.empty() || !given.users.empty() || !given.comm.empty() ||
                  !given.cgroup.empty() || given.tree || !given.command.empty();
  if (!given.replay.empty() && (filtered || given.duration || given.interval || !given.record.empty() || given.explain))
    usage("--replay shows what was recorded: filters, -d, -i, --record, --explain and a command go with a live run");
}

Settings Options::parse(int argc, char** argv) {
  Settings settings;
  declare_common(settings);
  auto dashes = std::find_if(argv + 1, argv + argc, [](const char* word) { return std::string_view(word) == "--"; });
  if (dashes != argv + argc) {
    settings.command.assign(dashes + 1, argv + argc);
    if (settings.command.empty()) usage("-- is followed by the command to run and trace");
  }
  given_ = quote_all({argv + 1, argv + argc});
  std::vector<argp_option> table;
  for (const Option& option : options_)
    table.push_back({option.name.c_str(), option.key, option.argument.empty() ? nullptr : option.argument.c_str(),
                     option.hidden ? OPTION_HIDDEN : 0, option.help.c_str(), option.common ? 2 : 1});
  table.push_back({"help", OptionsParser::help, nullptr, 0, "show this text", -1});
  table.push_back({"usage", OptionsParser::usage_line, nullptr, 0, "show all options in short", -1});
  table.push_back({"version", OptionsParser::show_version, nullptr, 0, "show the version", -1});
  table.push_back({nullptr, 0, nullptr, 0, nullptr, 0});
  std::string help = help_text(*this);
  std::string own_words = words_                      ? words_called_ + " "
                          : shape_ == Shape::interval ? "[INTERVAL [COUNT]] "
                          : shape_ == Shape::stacks   ? "[DURATION] "
                                                      : "";
  std::string usage_line = own_words + "[-- COMMAND ARG...]";
  argp parser{table.data(), OptionsParser::parse, usage_line.c_str(), help.c_str(), nullptr, nullptr, nullptr};
  OptionsParser state{*this, {}, nullptr, &parser};
  int count = static_cast<int>(dashes - argv);
  std::string name = name_;
  std::vector<char*> arguments(argv, dashes);
  arguments[0] = name.data();
  arguments.push_back(nullptr);
  error_t error = argp_parse(&parser, count, arguments.data(), ARGP_NO_ERRS | ARGP_NO_HELP, nullptr, &state);
  if (state.thrown) std::rethrow_exception(state.thrown);
  if (error) usage(explain(*this, arguments, static_cast<std::size_t>(state.next)));
  check(settings, state.words, settings);
  return settings;
}

const char* version() { return COREKIT_VERSION; }

}  // namespace kit
