// SPDX-License-Identifier: BSD-2-Clause
// The probe language: KIND:TARGET [/FILTER/] [EXPR[:FORMAT]...], read into trees and turned into fetch plans.
//
// A word that starts with a known kind and a colon starts a probe; what follows belongs to it. A filter stands between
// slashes: comparisons of expressions with numbers and strings, joined by && || ! and parentheses. Expressions are what
// the kind of probe knows (arg0, retval...), what is known of the task that runs (pid tid uid gid comm cpu nsecs
// cgroup), and members behind pointers. Whoever resolves names for a kind of probe says what they are made of: steps.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kit/fetch.h"
#include "kit/handle.hpp"
#include "kit/table.hpp"

namespace kit {

// A part of a filter or an expression. `at` is where it stands in the probe's text.
struct Expression {
  enum class Kind { number, string, name, compare, both, either, negate } kind = Kind::name;
  std::string text;          // the name, the string, the comparison's sign
  std::uint64_t number = 0;  // two's complement
  std::size_t at = 0;
  std::vector<Expression> of;
};

// How a value is shown; `automatic` goes by its type.
struct Format {
  enum class Kind { automatic, signed_number, number, hex, string, bytes } kind = Kind::automatic;
  std::uint32_t size = 0;  // of buf(N)
};

struct ShownExpression {
  Expression expression;
  Format format;
  std::string text;  // as it was written, without the format
};

struct Probe {
  std::string text;  // all of it, for messages
  std::string kind;
  std::size_t target_at = 0;
  std::string target;  // behind KIND: and up to the next blank
  std::optional<Expression> filter;
  std::vector<ShownExpression> shown;
};

// Throws Failure (usage) with the place marked by an arrow.
[[noreturn]] void refuse_probe(const Probe& probe, std::size_t at, const std::string& why);

// Reads probes out of the words of a command line. `implied` is the kind of a word that names none but holds a colon
// and begins like no expression ("provider:probe"); empty: there is none.
std::vector<Probe> parse_probes(const std::vector<std::string>& words, std::string_view implied = {});

// What a name stands for: the steps that fetch it and what kind of number that leaves.
struct Fetched {
  std::vector<fetch_step> steps;
  int bits = 64;
  bool is_signed = false;
  bool kernel = false;  // an address in it is one of the kernel's
  bool comm = false;    // it is the name of the task, which is no address
};
// The expression's meaning at one probed place; nothing if the name means nothing there.
using Resolve = std::function<std::optional<Fetched>(const Expression&)>;

// The plans of a run, one for each probed place, and the globs that they compare strings with.
class FetchPlans {
 public:
  // Adds the plan of one place; its number. `names` are those that `resolve` knows, for messages.
  std::uint32_t add(const Probe& probe, const Resolve& resolve, const std::vector<std::string>& names);
  // Sets the maps' sizes and the knobs, before load.
  void size(bpf_object* object, std::uint32_t string_size) const;
  // Fills the maps, after load.
  void fill(bpf_object* object) const;
  std::size_t count() const { return plans_.size(); }
  // Strings that one hit shows, at most.
  std::uint32_t strings() const { return strings_; }
  const fetch_plan& plan(std::size_t number) const { return plans_[number]; }

 private:
  friend class PlanBuilder;
  std::vector<fetch_plan> plans_;
  std::vector<fetch_glob> globs_;
  std::uint32_t strings_ = 0;
};

// How one value of a place is shown: kept in captures as text, since only the traced machine knows.
struct ShownValue {
  std::string name;
  char how = 'u';  // d, u, x, s, b as in the format
  int bits = 64;
};
ShownValue shown_value(const ShownExpression& shown, const Fetched& fetched);
// The value as a cell.
Cell value_cell(const ShownValue& shown, const fetch_result& result, std::size_t index, std::string_view tail);

// What every kind of probe knows: pid, tid, uid, gid, comm, cpu, nsecs, cgroup.
std::optional<Fetched> task_value(const Expression& expression);
const std::vector<std::string>& task_names();

}  // namespace kit
