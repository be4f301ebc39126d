// SPDX-License-Identifier: BSD-2-Clause
// The command line: what each option takes, what is wrong with it in one line, and what --help says.
#include "kit/options.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include "case.hpp"
#include "kit/failure.hpp"

namespace {

using kit::Shape;

struct Own {
  bool failed = false;
  kit::Number top;
  kit::Number few{.value = 0, .most = 16};
  std::string text;
  kit::Duration least;
  kit::Size most;
  kit::ErrorNumber error;
};

struct Row {
  std::uint32_t pid;
};

// A tool's declarations, with an option of every type.
struct Tool {
  Own own;
  kit::Table<Row> table;
  kit::Options options;
  explicit Tool(Shape shape) : options(shape, "trial", "Show trials.") {
    table.column("PID", "pid", -7, "the process", &Row::pid);
    options.flag('x', "failed", own.failed, "only failed ones")
        .option(0, "top", "N", own.top, "only the N first")
        .option(0, "few", "N", own.few, "some")
        .option('T', "text", "TEXT", own.text, "a text")
        .option(0, "least", "DURATION", own.least, "at least this long")
        .option(0, "most", "SIZE", own.most, "at most this large")
        .option(0, "errno", "NAME", own.error, "this error")
        .details("A paragraph of details.")
        .example("trial -x", "what fails")
        .shows(table);
  }
  kit::Settings parse(std::vector<std::string> words) {
    words.insert(words.begin(), "trial");
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    return options.parse(static_cast<int>(words.size()), arguments.data());
  }
};

kit::Settings parse(std::vector<std::string> words, Shape shape = Shape::stream) {
  return Tool(shape).parse(std::move(words));
}

// The one line that a wrong command line gets.
std::string wrong(const std::vector<std::string>& words, Shape shape = Shape::stream) {
  std::string line;
  for (const std::string& word : words) line += word + ' ';
  INFO(line);
  try {
    parse(words, shape);
    FAIL_CHECK("was taken");
    return "";
  } catch (const kit::Failure& failure) {
    CHECK(failure.code() == kit::Exit::usage);
    std::string message = failure.what();
    CHECK(message.find('\n') == message.npos);
    CHECK_FALSE(message.empty());
    return message;
  }
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }

// What parsing prints before it ends the process or throws Finished, in a child.
test::Ran printed(const std::vector<std::string>& words, Shape shape = Shape::stream) {
  test::TemporaryDirectory directory;
  std::string out = directory.path() + "/out", err = directory.path() + "/err";
  fflush(nullptr);
  pid_t child = fork();
  if (child == 0) {
    if (!freopen(out.c_str(), "w", stdout) || !freopen(err.c_str(), "w", stderr)) _exit(9);
    try {
      parse(words, shape);
      _exit(8);
    } catch (const kit::Finished& finished) {
      fflush(nullptr);
      _exit(static_cast<int>(finished.code));
    } catch (const kit::Failure& failure) {
      _exit(static_cast<int>(failure.code()));
    }
  }
  int status = 0;
  waitpid(child, &status, 0);
  return {WEXITSTATUS(status), test::read_file(out), test::read_file(err)};
}

}  // namespace

TEST_CASE("nothing given: the defaults") {
  kit::Settings settings = parse({});
  CHECK(settings.output == kit::Output::text);
  CHECK(settings.time == kit::TimeStyle::clock);
  CHECK_FALSE(settings.duration);
  CHECK_FALSE(settings.interval);
  CHECK_FALSE(settings.count);
  CHECK_FALSE(settings.buffer);
  CHECK(settings.pids.empty());
  CHECK(settings.command.empty());
  CHECK(settings.ready_fd == -1);
  CHECK_FALSE(settings.strict);
}

TEST_CASE("what every tool can be told") {
  std::string self = std::to_string(getpid());
  kit::Settings settings =
      parse({"-o",        "json",      "--time=iso", "-d",       "1.5",        "-n",       "3",        "-p",
             self + ",1", "--tid",     self,         "-u",       "root,12345", "--comm",   "a*,b?",    "--cgroup",
             "/x",        "--tree",    self,         "--buffer", "64K",        "--strict", "--record", "f",
             "--btf",     "/dev/null", "--attach",   "btf",      "--ready-fd", "1",        "-v"});
  CHECK(settings.output == kit::Output::json);
  CHECK(settings.time == kit::TimeStyle::iso);
  CHECK(settings.duration->ns == 1500000000);
  CHECK(settings.count == 3);
  CHECK(settings.pids == std::vector<std::uint32_t>{static_cast<std::uint32_t>(getpid()), 1});
  CHECK(settings.tids == std::vector<std::uint32_t>{static_cast<std::uint32_t>(getpid())});
  CHECK(settings.users == std::vector<std::uint32_t>{0, 12345});
  CHECK(settings.comm == "a*,b?");
  CHECK(settings.cgroup == "/x");
  CHECK(settings.tree == static_cast<std::uint32_t>(getpid()));
  CHECK(settings.buffer->bytes == 65536);
  CHECK(settings.strict);
  CHECK(settings.record == "f");
  CHECK(settings.btf == "/dev/null");
  CHECK(settings.attach == "btf");
  CHECK(settings.ready_fd == 1);
  CHECK(settings.verbose);
}

TEST_CASE("a tool's own options, of each type") {
  Tool tool(Shape::stream);
  tool.parse({"-xT", "word", "--top=5", "--least", "10ms", "--most", "2K", "--errno", "EAGAIN"});
  CHECK(tool.own.failed);
  CHECK(tool.own.text == "word");
  CHECK(tool.own.top.value == 5);
  CHECK(tool.own.least.ns == 10000000);
  CHECK(tool.own.most.bytes == 2048);
  CHECK(tool.own.error.number == EAGAIN);
}

TEST_CASE("the line as it was given is kept, quoted for a shell") {
  Tool tool(Shape::stream);
  tool.parse({"-T", "two words", "--", "echo", "$x"});
  CHECK(tool.options.given() == "-T 'two words' -- echo '$x'");
}

TEST_CASE("a command takes all that follows it") {
  kit::Settings settings = parse({"-x", "--", "ls", "-l", "--", "-o"});
  CHECK(settings.command == std::vector<std::string>{"ls", "-l", "--", "-o"});
  CHECK(has(wrong({"--"}), "followed by the command"));
}

TEST_CASE("an interval tool's words are its interval and count") {
  kit::Settings settings = parse({"2", "5"}, Shape::interval);
  CHECK(settings.interval->ns == 2000000000);
  CHECK(settings.count == 5);
  settings = parse({"500ms"}, Shape::interval);
  CHECK(settings.interval->ns == 500000000);
  CHECK_FALSE(settings.count);
  settings = parse({"-n", "4"}, Shape::interval);
  CHECK(settings.interval->ns == 1000000000);
  settings = parse({"-n", "4", "-i", "10ms"}, Shape::interval);
  CHECK(settings.interval->ns == 10000000);
  settings = parse({"-d", "3"}, Shape::interval);
  CHECK_FALSE(settings.interval);
}

TEST_CASE("stray words name the option that was probably meant") {
  CHECK(has(wrong({"10"}), "-d 10"));
  CHECK(has(wrong({"10"}), "-p 10"));
  CHECK(has(wrong({"ls"}), "-- ls"));
  CHECK(has(wrong({"1", "2", "3"}, Shape::interval), "-d 3"));
  CHECK(has(wrong({"ls"}, Shape::interval), "-- ls"));
  CHECK(has(wrong({"0"}, Shape::interval), "0"));
  CHECK(has(wrong({"1", "0"}, Shape::interval), "COUNT 0"));
  CHECK(has(wrong({"1", "many"}, Shape::interval), "COUNT many"));
  CHECK(has(wrong({"-i", "1"}), "-i"));
}

TEST_CASE("values that an option does not take") {
  CHECK(has(wrong({"-o", "xml"}), "--output xml: expects one of text, json, csv"));
  CHECK(has(wrong({"--time", "now"}), "expects one of clock, iso"));
  for (const char* value : {"0", "-1", "x", "1d", ""}) CHECK(has(wrong({"-d", value}), "expects a duration"));
  for (const char* value : {"0", "-1", "x", "1.5", ""}) CHECK(has(wrong({"-n", value}), "expects a number above 0"));
  for (const char* value : {"0", "x", "1,", ",1", "", "99999999999"})
    CHECK(has(wrong({"-p", value}), "expects a number"));
  CHECK(has(wrong({"-p", "2147483647"}), "there is no process or thread 2147483647"));
  CHECK(has(wrong({"-t", "2147483647"}), "there is no process or thread"));
  CHECK(has(wrong({"--tree", "2147483647"}), "there is no process or thread"));
  CHECK(has(wrong({"-u", "roott"}), "did you mean root?"));
  CHECK(has(wrong({"--comm", ""}), "expects a value"));
  CHECK(has(wrong({"--cgroup", ""}), "expects a value"));
  CHECK(has(wrong({"--btf", "/nonexistent"}), "cannot be read"));
  for (const char* value : {"0", "4X", "-1", ""}) CHECK(has(wrong({"--buffer", value}), "expects a size"));
  for (const char* value : {"x", "-1", "999", "70000", ""})
    CHECK(has(wrong({"--ready-fd", value}), "expects an open descriptor"));
  for (const char* value : {"", "--record"}) CHECK_FALSE(wrong({"--record", value, "--replay", "x"}).empty());
  CHECK(has(wrong({"--least", "10"}), "with its unit"));
  CHECK(has(wrong({"--top", "-5"}), "expects a number above 0"));
  CHECK(has(wrong({"--top", "4294967296"}), "expects a number above 0"));
  for (const char* value : {"0", "17", "x"}) CHECK(has(wrong({"--few", value}), "expects a number from 1 to 16"));
  CHECK(has(wrong({"--errno", "ENOENTT"}), "did you mean ENOENT?"));
}

TEST_CASE("options that are not there, are misspelt, or lack or have a value") {
  CHECK(has(wrong({"--outptu", "json"}), "did you mean --output?"));
  CHECK(has(wrong({"--nosuch"}), "there is no option --nosuch"));
  CHECK(has(wrong({"-Z"}), "there is no option -Z"));
  CHECK(has(wrong({"-xZ"}), "there is no option -Z"));
  CHECK(has(wrong({"-o"}), "-o needs a value"));
  CHECK(has(wrong({"--output"}), "--output needs a value"));
  CHECK(has(wrong({"--strict=yes"}), "--strict takes no value"));
  CHECK(has(wrong({"-x", "--nosuch", "-o", "json"}), "there is no option --nosuch"));
}

TEST_CASE("a replay shows what was recorded: nothing of a live run goes with it") {
  CHECK(parse({"--replay", "f", "-o", "csv", "-n", "2"}).replay == "f");
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{{"-p", "1"},
                                                                                     {"-t", "1"},
                                                                                     {"-u", "root"},
                                                                                     {"--comm", "x"},
                                                                                     {"--cgroup", "/"},
                                                                                     {"--tree", "1"},
                                                                                     {"-d", "1"},
                                                                                     {"--record", "g"},
                                                                                     {"--explain"},
                                                                                     {"--", "ls"}}) {
    std::vector<std::string> all = {"--replay", "f"};
    all.insert(all.end(), words.begin(), words.end());
    CHECK(has(wrong(all), "--replay shows what was recorded"));
  }
  CHECK(has(wrong({"--replay", "f", "-i", "1"}, Shape::interval), "--replay shows what was recorded"));
}

TEST_CASE("--help says what there is") {
  for (const char* word : {"--help", "-?"}) {
    test::Ran ran = printed({word});
    CHECK(ran.status == 0);
    CHECK(ran.err.empty());
    for (std::string_view part :
         {"Show trials.", "A paragraph of details.", "Usage: trial", "-- COMMAND", "-x, --failed", "only failed ones",
          "--top=N", "-o, --output=FORMAT", "--explain", "--replay=FILE", "Examples:", "trial -x", "what fails",
          "Keys of a JSON row", "the process", "Exit status"})
      CHECK(has(ran.out, part));
    CHECK_FALSE(has(ran.out, "print-manual"));
    CHECK_FALSE(has(ran.out, "--interval"));
  }
  CHECK(has(printed({"--help"}, Shape::interval).out, "--interval"));
  CHECK(has(printed({"--help"}, Shape::interval).out, "[INTERVAL [COUNT]]"));
}

TEST_CASE("--version, --usage") {
  for (const char* word : {"--version", "-V"}) {
    test::Ran ran = printed({word});
    CHECK(ran.status == 0);
    CHECK(ran.out == std::string("trial (corekit) ") + kit::version() + "\n");
  }
  test::Ran ran = printed({"--usage"});
  CHECK(ran.status == 0);
  CHECK(has(ran.out, "Usage: trial"));
}

TEST_CASE("the manual and the completions hold every option") {
  test::Ran page = printed({"--print-manual", "corekit-trial"});
  CHECK(page.status == 0);
  CHECK(page.out.starts_with(".TH COREKIT\\-TRIAL 8 "));
  for (std::string_view part : {".SH NAME", ".SH SYNOPSIS", ".SH OPTIONS", ".SH OUTPUT", ".SH EXAMPLES",
                                ".SH EXIT STATUS", "\\-\\-top", "\\-\\-replay", "(pid)"})
    CHECK(has(page.out, part));
  for (std::string shell : {"bash", "zsh", "fish"}) {
    test::Ran script = printed({"--print-completion", shell + ":corekit-trial"});
    CHECK(script.status == 0);
    for (std::string_view part : {"corekit-trial", "failed", "output", "json", "cgroup"}) CHECK(has(script.out, part));
    CHECK_FALSE(has(script.out, "print-manual"));
  }
  CHECK_FALSE(wrong({"--print-completion", "tcsh:x"}).empty());
  CHECK_FALSE(wrong({"--print-completion", "bash"}).empty());
}

TEST_CASE("a page that can be rebuilt bears the date it is told") {
  setenv("SOURCE_DATE_EPOCH", "86400", 1);
  CHECK(has(printed({"--print-manual", "x"}).out, "1970-01-02"));
  unsetenv("SOURCE_DATE_EPOCH");
}
