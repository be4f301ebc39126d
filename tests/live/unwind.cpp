// SPDX-License-Identifier: BSD-2-Clause
// Whole user stacks of programs without frame pointers: every way of calling to its end, with known shares.
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

Words names_of(const Json& row) {
  Words names;
  for (const Json& frame : row["stack"]) names.push_back(frame["name"].is_string() ? frame["name"] : Json("?"));
  return names;
}

bool has(const Words& names, const std::string& name) {
  // qsort and raise have other names beside these.
  return std::any_of(names.begin(), names.end(), [&](const std::string& one) {
    return one == name || (name == "qsort_r" && one.find("qsort_r") != one.npos) ||
           (name == "raise" && (one == "raise" || one == "gsignal"));
  });
}

// The functions of the way are all there, in order.
bool goes(const Words& names, const Words& way) {
  std::size_t at = 0;
  for (const std::string& name : names)
    if (at < way.size() && has({name}, way[at])) at++;
  return at == way.size();
}

struct Seen {
  double all = 0, complete = 0, wrong = 0;
  std::map<std::string, double> by_end;
  std::string example;
};

// What of the samples of a program's own functions came out how.
Seen look(const std::vector<Json>& rows) {
  Seen seen;
  for (const Json& row : rows) {
    Words names = names_of(row);
    auto end = std::find_if(ways.begin(), ways.end(), [&](const auto& way) { return has(names, way.first); });
    double count = row["count"].get<double>();
    bool whole = has(names, "main") || has(names, "start_thread");
    if (end == ways.end()) continue;
    seen.all += count;
    seen.complete += whole ? count : 0;
    if (whole && !goes(names, end->second)) {
      seen.wrong += count;
      seen.example = row["stack"].dump();
    }
    if (end->first == "deep_end" && whole && std::count(names.begin(), names.end(), "deep_step") != 91) {
      seen.wrong += count;
      seen.example = row["stack"].dump();
    }
    seen.by_end[end->first] += count;
    if (!whole) seen.example = row["stack"].dump();
  }
  return seen;
}

void check_variant(const std::string& name) {
  INFO(name);
  // Until the tables are there, which takes long where a machine is emulated, the kernel walks.
  Words frequency = {"-F", live::brief() ? "99" : "999"}, times = {"5000", live::brief() ? "4000" : "500"};
  live::Result result = live::trace("profile", frequency + Words{"-U", "--unwind-report"}, live::trigger(name, times));
  INFO(result.err);
  Json truth;
  std::istringstream lines(result.err);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("{\"deep_end\"")) truth = Json::parse(line);
  REQUIRE(truth.is_object());
  double sum = 0;
  for (const auto& [end, ns] : truth.items()) sum += ns.get<double>();
  Seen seen = look(result.rows());
  INFO(seen.all << " samples, " << seen.complete << " complete, " << seen.wrong << " wrong, as " << seen.example);
  REQUIRE(seen.all > 200);
  CHECK(seen.complete >= 0.99 * seen.all);
  CHECK(seen.wrong == 0);
  for (const auto& [end, ns] : truth.items()) {
    double shown = 100 * seen.by_end[end] / seen.all, made = 100 * ns.get<double>() / sum;
    INFO(end << ": " << shown << " % shown, " << made << " % made");
    CHECK(std::abs(shown - made) <= (live::brief() ? 10 : 5));
  }
  CHECK(result.lost() == 0);
}

}  // namespace

TEST_CASE("every way of calling in a static program without frame pointers is walked to its beginning",
          "[each-kernel]") {
  NEEDS("root");
  check_variant("unwound");
}

TEST_CASE("the same of programs with a library, that lie anywhere or not") {
  NEEDS("root");
  if (access("/lib64/ld-linux-x86-64.so.2", X_OK) != 0) SKIP_CASE("there is no dynamic loader here");
  check_variant("unwound_pie");
  check_variant("unwound_fixed");
}

TEST_CASE("frame pointers alone do not lead through such a program, and the module to blame is told", "[any-kernel]") {
  NEEDS("root");
  live::Result result =
      live::trace("profile", {"-F", "499", "-U", "--unwind", "fp"}, live::trigger("unwound", {"1000"}));
  Seen seen = look(result.rows());
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
