// SPDX-License-Identifier: BSD-2-Clause
// Whole user stacks of programs without frame pointers: every way of calling to its end, and exceptions in flight,
// with known shares.
#include <elf.h>

#include <regex>
#include <span>

#include "harness.hpp"

using live::Json;
using live::Words;
using live::operator+;

namespace {

// How a trigger's ways of calling look: the functions that must come in this order, innermost first, if not only they.
const std::map<std::string, Words> ways = {
    {"deep_end", {"deep_end", "deep_step", "main"}},
    {"sorted_end", {"sorted_end", "compare", "qsort_r", "sorted_start", "main"}},
    {"signalled_end", {"signalled_end", "on_signal", "__restore_rt", "raise", "signalled_start", "main"}},
    {"library_end", {"library_end", "library_inner", "library_calls", "library_start", "main"}},
    {"stretched_end", {"stretched_end", "stretched_start", "main"}},
    {"aligned_end", {"aligned_end", "aligned_start", "main"}},
    {"threaded_end", {"threaded_end", "threaded_start", "start_thread"}},
};

// Two functions of libc have no names where there are no symbols of it, as in guests: they are known by their places.
std::string unnamed(const Words& names, std::size_t left) {
  bool on_thread = !names.empty() && names.back().starts_with("threaded_start");
  if (on_thread && left == 2) return "start_thread";
  return !names.empty() && names.back() == "on_signal" ? "__restore_rt" : "?";
}

Words names_of(const Json& row) {
  Words names;
  for (const Json& frame : row["stack"]) {
    bool named = frame["name"].is_string();
    names.push_back(named ? frame["name"].get<std::string>() : unnamed(names, row["stack"].size() - names.size()));
  }
  return names;
}

bool has(const Words& names, const std::string& name) {
  // qsort and raise have other names beside these.
  return std::any_of(names.begin(), names.end(), [&](const std::string& one) {
    return one == name || (name == "qsort_r" && one.find("qsort_r") != one.npos) ||
           (name == "raise" && (one == "raise" || one == "gsignal")) ||
           (name == "__restore_rt" && one == "__kernel_rt_sigreturn");  // arm64's, of the vDSO
  });
}

// The functions of the way are all there, in order.
bool goes(const Words& names, const Words& way) {
  std::size_t at = 0;
  for (const std::string& name : names)
    if (at < way.size() && has({name}, way[at])) at++;
  return at == way.size();
}

bool is_possible(const std::string& end, const Words& names) {
  if (end == "deep_end" && std::count(names.begin(), names.end(), "deep_step") != 91) return false;
  return goes(names, ways.at(end));
}

std::string end_of(const Words& names) {
  auto end = std::find_if(ways.begin(), ways.end(), [&](const auto& way) { return has(names, way.first); });
  return end == ways.end() ? "" : end->first;
}

// --- The program that throws exceptions ------------------------------------------------------------------------------

std::string thrown_end_of(const Words& names) {
  for (const char* end : {"cleaned_end", "caught_end", "rethrown_end", "threaded_end"})
    if (has(names, end)) return end;
  bool flies = std::any_of(names.begin(), names.end(), [](const std::string& name) {
    return name.starts_with("_Unwind_") || name.starts_with("__cxa_throw") || name.starts_with("plain_st") ||
           name.starts_with("cleaned_st") || name == "thrower";
  });
  return flies ? "flight" : "";
}

// The program's own functions as "name*times", innermost first; nothing if others lie between them.
std::string own_chain(const Words& names, std::size_t& inner) {
  static const std::regex own(
      "(thrower|(cleaned|caught|rethrown|threaded)_end|(plain|cleaned|rethrown)_step|"
      "(plain|cleaned|caught|rethrown|threaded)_start|main|start_thread)(\\.cold)?");
  std::string chain, last;
  std::size_t times = 0;
  auto put = [&] { chain += last.empty() ? "" : last + "*" + std::to_string(times) + " "; };
  inner = names.size();
  for (std::size_t i = 0; i < names.size(); i++) {
    std::smatch match;
    bool is_own = std::regex_match(names[i], match, own);
    if (!is_own && inner < i && names[i] != "Cleaned::~Cleaned()") return {};
    if (!is_own) continue;
    inner = std::min(inner, i);
    if (match[1] != last) {
      put();
      last = match[1];
      times = 0;
    }
    times++;
    if (last == "main" || last == "start_thread") break;
  }
  put();
  return chain;
}

bool thrown_is_possible(const std::string&, const Words& names) {
  static const std::regex chains(
      "(thrower\\*1 plain_step\\*41 |plain_step\\*\\d+ )?plain_start\\*1 main\\*1 |"
      "(thrower\\*1 cleaned_step\\*41 |(cleaned_end\\*1 )?(cleaned_step\\*\\d+ )?)cleaned_start\\*1 main\\*1 |"
      "(thrower\\*1 |caught_end\\*1 )?caught_start\\*1 main\\*1 |"
      "((thrower\\*1 )?rethrown_step\\*1 |rethrown_end\\*1 )?rethrown_start\\*1 main\\*1 |"
      "(thrower\\*1 |threaded_end\\*1 )?threaded_start\\*1 start_thread\\*1 ");
  std::size_t inner = 0;
  std::string chain = own_chain(names, inner);
  if (!std::regex_match(chain, chains)) return false;
  // What throws is called by who throws, and what goes on flying by who was on the way.
  return !inner || names[inner - 1] != "__cxa_throw" || names[inner].starts_with("thrower");
}

// Before the unwinder leaves its last frame for a handler it writes that frame's registers, the return address among
// them, over its own: until it has jumped its tables lead elsewhere, whoever walks by them, gdb too. The jump sets the
// stack pointer by a register as nothing else does; the call of what writes comes just before it or, in some functions
// of arm64's, among what lies just behind it.
#ifdef __aarch64__
constexpr std::string_view leap("\xff\x63\x24\x8b\xc0\x03\x5f\xd6", 8);  // add sp, sp, x4; ret
constexpr std::uint64_t since_written = 0x49, until_left = 0x63;
#else
constexpr std::string_view leap("\x48\x89\xcc\x59\xff\xe1", 6);  // mov %rcx,%rsp; pop %rcx; jmp *%rcx
constexpr std::uint64_t since_written = 0x80, until_left = leap.size() - 1;
#endif

// The addresses of a file's leaps, in its own terms.
std::set<std::uint64_t> leaps_of(const std::string& path) {
  std::set<std::uint64_t> places;
  std::string text = test::read_file(path);
  Elf64_Ehdr head{};
  if (text.size() < sizeof head) return places;
  std::memcpy(&head, text.data(), sizeof head);
  for (std::size_t at = text.find(leap); at != text.npos; at = text.find(leap, at + 1)) {
    for (int i = 0; i < head.e_phnum; i++) {
      Elf64_Phdr part{};
      std::memcpy(&part, text.data() + head.e_phoff + i * sizeof part, sizeof part);
      if (part.p_type == PT_LOAD && (part.p_flags & PF_X) && at - part.p_offset < part.p_filesz)
        places.insert(at - part.p_offset + part.p_vaddr);
    }
  }
  return places;
}

bool leaves_for_handler(const Json& stack) {
  static std::map<std::string, std::set<std::uint64_t>> known;
  for (std::size_t i = 0; i < 2 && i < stack.size(); i++) {
    std::string module = stack[i]["module"].is_string() ? stack[i]["module"].get<std::string>() : "";
    if (!module.starts_with('/')) continue;
    auto [found, fresh] = known.try_emplace(module);
    if (fresh) found->second = leaps_of(module);
    std::uint64_t place = std::stoull(stack[i]["module_offset"].get<std::string>(), nullptr, 16);
    auto next = found->second.lower_bound(place - std::min(place, until_left));
    if (next != found->second.end() && place + since_written >= *next) return true;
  }
  return false;
}

// --- Any -------------------------------------------------------------------------------------------------------------

struct Subject {
  std::string name;
  std::string (*end_of)(const Words& names);  // which of its shares a stack is of; empty: of none
  bool (*is_possible)(const std::string& end, const Words& names);
};

struct Seen {
  double all = 0, complete = 0, wrong = 0, leaving = 0;
  std::map<std::string, double> by_end;
  std::string example;
};

// What of the samples of a program's own functions came out how.
Seen look(const std::vector<Json>& rows, const Subject& subject) {
  Seen seen;
  for (const Json& row : rows) {
    Words names = names_of(row);
    if (row["comm"] != subject.name) continue;
    std::string end = subject.end_of(names);
    double count = row["count"].get<double>();
    bool whole = has(names, "main") || has(names, "start_thread");
    if (end.empty()) continue;
    seen.all += count;
    seen.complete += whole ? count : 0;
    seen.by_end[end] += count;
    bool wrong = whole && !subject.is_possible(end, names);
    if (wrong) (leaves_for_handler(row["stack"]) ? seen.leaving : seen.wrong) += count;
    if (whole && !wrong) continue;
    seen.example.clear();
    for (const std::string& name : names) seen.example += name + " ";
  }
  return seen;
}

void check_subject(const Subject& subject, const live::Result& result, const Json& truth) {
  Seen seen = look(result.rows(), subject);
  INFO(subject.name << ": " << seen.all << " samples, " << seen.complete << " complete, " << seen.wrong << " wrong, "
                    << seen.leaving << " when leaving, as " << seen.example);
  REQUIRE(truth.is_object());
  REQUIRE(seen.all > 200);
  CHECK(seen.complete >= 0.99 * seen.all);
  CHECK(seen.wrong == 0);
  CHECK(seen.leaving <= 0.01 * seen.all);
  double sum = 0;
  for (const auto& [end, ns] : truth.items()) sum += ns.is_number() ? ns.get<double>() : 0;
  for (const auto& [end, ns] : truth.items()) {
    if (!ns.is_number()) continue;
    double shown = 100 * seen.by_end[end] / seen.all, made = 100 * ns.get<double>() / sum;
    INFO(end << ": " << shown << " % shown, " << made << " % made");
    CHECK(std::abs(shown - made) <= (live::brief() ? 10 : 5));
  }
}

const Subject static_ones[] = {{"unwound", end_of, is_possible}, {"thrown", thrown_end_of, thrown_is_possible}};
const Subject dynamic_ones[] = {{"unwound_pie", end_of, is_possible},
                                {"unwound_fixed", end_of, is_possible},
                                {"thrown_pie", thrown_end_of, thrown_is_possible}};

void walk(std::span<const Subject> subjects) {
  // Until the tables are there, which takes long where a machine is emulated, the kernel walks.
  std::string all, times = live::brief() ? " 2000 3000 & " : " 800 300 & ";
  for (const Subject& subject : subjects) all += test::trigger_path(subject.name) + times;
  // Not before they are these programs: a guest's shell lies where they do, and its names are not to be taken for
  // theirs.
  Words arguments = {"-F", live::brief() ? "199" : "999", "-U", "--unwind-report", "--comm", "*[uw]n*"};
  live::Result result = live::trace("profile", arguments, {"sh", "-c", all + "wait"});
  INFO(result.err);
  std::map<std::string, Json> truths;
  std::istringstream lines(result.err);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("{\"program\"")) truths[Json::parse(line)["program"]] = Json::parse(line);
  for (const Subject& subject : subjects) check_subject(subject, result, truths[subject.name]);
  CHECK(result.lost() == 0);
}

}  // namespace

TEST_CASE("every way of calling, and exceptions in flight, without frame pointers are walked to their beginning",
          "[each-kernel]") {
  NEEDS("root");
  walk(static_ones);
}

// Where a machine is emulated it takes minutes to make the libraries' tables.
TEST_CASE("the same with libraries, in programs that lie anywhere or not", "[any-kernel]") {
  NEEDS("root");
  if (!std::filesystem::exists(live::loader)) SKIP_CASE("no dynamic loader here", "the C library");
  walk(dynamic_ones);
}

TEST_CASE("a process that is met once in its life is known before", "[any-kernel]") {
  NEEDS("root");
  // Each sleeps for 20 ms and then makes the call.
  constexpr int processes = 40;
  std::string one = test::trigger_path("calls") + " nanosleep 1 getppid 1; ";
  std::string loop = "i=0; while [ $i -lt " + std::to_string(processes) + " ]; do " + one + "i=$((i+1)); done";
  for (const Words& of : {Words{}, Words{"--comm", "ca*"}}) {
    Words arguments = of + Words{"-U", "tracepoint:syscalls:sys_enter_getppid"};
    live::Result result = live::trace("stackcount", arguments, {"sh", "-c", loop});
    int all = 0, whole = 0;
    for (const Json& row : result.rows({{"comm", "calls"}})) {
      Words names = names_of(row);
      all += row["count"].get<int>();
      if (goes(names, {"main", "_start"})) whole += row["count"].get<int>();
    }
    CHECK(all == processes);
    CHECK(whole >= processes - 1);
    CHECK(result.lost() == 0);
  }
}

TEST_CASE("a program without symbols shows the first function too that it runs", "[any-kernel]") {
  NEEDS("root");
  if (!std::filesystem::exists(live::loader)) SKIP_CASE("no dynamic loader here", "the C library");
  if (test::run({"objcopy", "--version"}).status != 0) SKIP_CASE("there is no objcopy", "binutils");
  live::File program("bare");
  std::string whole = test::trigger_path("unwound_pie");
  REQUIRE(test::run({"objcopy", "--strip-all", whole, program.path()}).status == 0);
  std::string libraries = "LD_LIBRARY_PATH=" + std::filesystem::path(whole).parent_path().string();
  live::Result result = live::trace("profile", {"-F", "499", "-U"}, {"env", libraries, program.path(), "600", "300"});
  INFO(result.err);
  double all = 0, to_first = 0;
  for (const Json& row : result.rows()) {
    Words names = names_of(row);
    auto starts = std::find(names.begin(), names.end(), "__libc_start_main");
    if (row["comm"] != "bare" || starts == names.end()) continue;
    all += row["count"].get<double>();
    if (names.end() - starts == 2 && row["stack"].back()["module"] == program.path())
      to_first += row["count"].get<double>();
  }
  CHECK(all > 100);
  CHECK(to_first >= 0.99 * all);
}

TEST_CASE("frame pointers alone do not lead through such a program, and the module to blame is told", "[any-kernel]") {
  NEEDS("root");
  live::Result result =
      live::trace("profile", {"-F", "499", "-U", "--unwind", "fp"}, live::trigger("unwound", {"1000"}));
  Seen seen = look(result.rows(), static_ones[0]);
  CHECK(seen.all > 100);
  CHECK(seen.complete < 0.5 * seen.all);
  bool blamed = false;
  std::istringstream lines(result.out);
  for (std::string line; std::getline(lines, line);) {
    Json one = Json::parse(line);
    if (one["type"] != "broken_stacks") continue;
    CHECK(one["stacks"] > 0);
    CHECK(one["reason"] == "frame pointers do not lead on");
    blamed |= one["module"].is_string() && one["module"].get<std::string>().ends_with("/unwound");
  }
  CHECK(blamed);
  CHECK(result.err.find("unwind: ") == std::string::npos);
  CHECK(live::run("profile", {"--unwind", "x"}).status == 64);
}

TEST_CASE("each module's table is told of", "[any-kernel]") {
  NEEDS("root");
  live::Result result = live::trace("offcputime", {"--unwind", "table", "--unwind-report", "--min", "1us"},
                                    live::trigger("unwound", {"1000"}));
  INFO(result.err);
  CHECK(result.err.find("/unwound: by its table: ") != std::string::npos);
  CHECK(result.err.find("unwind: [vdso]: by its table: ") != std::string::npos);
  CHECK(result.err.find(" KiB of tables; ") != std::string::npos);
  CHECK(result.err.find("no room for more unwind tables") == std::string::npos);
}

TEST_CASE("where there is no room for a table it is said whose, and what no process runs any more makes room",
          "[any-kernel]") {
  NEEDS("root");
  // Room for the table of either program alone: 72 and 83 KiB.
  Words arguments = {"-F", "999", "-U", "--unwind-report", "--unwind-memory", "128K", "--comm", "*[uw]n*"};
  auto trace = [&](const std::string& between) {
    std::string all;
    for (const char* name : {"unwound", "thrown", "unwound", "thrown"})
      all += test::trigger_path(name) + " 300 300 " + between;
    return live::trace("profile", arguments, {"sh", "-c", all + "wait"});
  };
  live::Result in_turn = trace("; "), together = trace("& ");
  for (const Subject& subject : static_ones) {
    Seen seen = look(in_turn.rows(), subject), cramped = look(together.rows(), subject);
    INFO(subject.name << ": " << seen.complete << " of " << seen.all << " complete in turn, " << cramped.complete
                      << " of " << cramped.all << " together; " << in_turn.err << together.err);
    REQUIRE(seen.all > 200);
    CHECK(seen.complete >= 0.95 * seen.all);
    CHECK(seen.wrong == 0);
    CHECK(cramped.wrong == 0);
    CHECK((cramped.complete < 0.5 * cramped.all) ==
          (together.err.find("no room for the unwind tables of " + test::trigger_path(subject.name)) !=
           std::string::npos));
  }
  CHECK(in_turn.err.find("no room for") == std::string::npos);
  CHECK(in_turn.err.find(" tables of ended processes made room for others") != std::string::npos);
  CHECK(together.err.find("no room for the unwind tables of ") != std::string::npos);
}

TEST_CASE("a table with more rows than one may have is cut, which is said", "[any-kernel]") {
  NEEDS("root");
  if (test::run({"objcopy", "--version"}).status != 0) SKIP_CASE("there is no objcopy", "binutils");
  // Frames for debuggers: a CIE, and a function far off that has another frame at each instruction.
  std::string cie = {'\xff', '\xff', '\xff', '\xff', 1, 0, 1, 0x78, 16, 0x0c, 7, 8, '\x90', 1};
  auto bytes_of = [](std::uint64_t number, std::size_t size) {
    return std::string(reinterpret_cast<const char*>(&number), size);
  };
  constexpr std::uint64_t rows = 4'300'000;
  std::string fde = bytes_of(0, 4) + bytes_of(0x10000000, 8) + bytes_of(rows, 8);
  for (std::uint64_t i = 0; i < rows; i++) fde += {0x41, 0x0e, static_cast<char>(16 + i % 2 * 8)};
  live::File frames("frames"), program("many_rows");
  std::ofstream(frames.path()) << bytes_of(cie.size(), 4) << cie << bytes_of(fde.size(), 4) << fde;
  test::Ran made = test::run({"objcopy", "--remove-section", ".debug_frame", "--add-section",
                              ".debug_frame=" + frames.path(), test::trigger_path("unwound"), program.path()});
  REQUIRE(made.status == 0);
  live::Result result = live::trace("profile", {"-F", "999", "-U", "--unwind-report"}, {program.path(), "300", "2000"});
  INFO(result.err);
  CHECK(result.err.find("not whole, since one has 4194304 rows at most: the unwind tables of " + program.path()) !=
        std::string::npos);
  Seen seen = look(result.rows(), {"many_rows", end_of, is_possible});
  CHECK(seen.all > 100);
  CHECK(seen.complete >= 0.9 * seen.all);
  CHECK(seen.wrong == 0);
}
