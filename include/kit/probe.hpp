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
  enum class Kind { number, string, name, member, element, cast, compare, both, either, negate } kind = Kind::name;
  std::string text;          // the name, the member's, the type's, the string, the comparison's sign
  std::uint64_t number = 0;  // two's complement; of an element: which
  std::size_t at = 0;
  std::vector<Expression> of;
};

// How a value is shown; `automatic` goes by its type.
struct Format {
  enum class Kind {
    automatic,
    signed_number,
    number,
    hex,
    string,
    bytes,
    internet,  // an address of IPv4 or IPv6, by its size
    symbol,    // of an address of code
    flags      // by name
  } kind = Kind::automatic;
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

// The numbers of C that a value may be cast to: "u32", "unsigned int"; 0 bits if it is none.
struct NumberType {
  int bits = 0;
  bool is_signed = false;
};
NumberType number_type(std::string_view name);

// Throws Failure (usage) with the place marked by an arrow.
[[noreturn]] void refuse_probe(const Probe& probe, std::size_t at, const std::string& why);

// Reads probes out of the words of a command line. `implied` is the kind of a word that names none but holds a colon
// and begins like no expression ("provider:probe"); empty: there is none.
std::vector<Probe> parse_probes(const std::vector<std::string>& words, std::string_view implied = {});

// What a name stands for: the steps that fetch it and what that leaves: a number, or the address of one (`place`).
struct Fetched {
  std::vector<fetch_step> steps;
  int bits = 64;
  bool is_signed = false;
  bool kernel = false;  // an address in it may be one of the kernel's
  bool comm = false;    // it is the name of the task, which is no address
  // Of typed data: the type, and through how many more pointers it is reached than the type itself says.
  const btf* types = nullptr;
  std::uint32_t type = 0;
  int stars = 0;
  bool place = false;          // the steps leave an address; what is there is `offset` bytes behind it
  std::int64_t offset = 0;     //
  std::uint32_t bit_at = 0;    // of a bit-field, from that offset
  std::uint32_t bit_size = 0;  // 0: none
  std::uint32_t elements = 0;  // an array of that many numbers of `bits`
  bool counted = false;        // it has fewer: the first step fetches its bytes << 16
  bool address = false;        // it may be an address, small as it is: a 32-bit program's
  bool text = false;           // it is the address of a string
  std::string names;           // of its values or bits: "1=A,2=B"
  std::string constant = {};   // it is this word, which no step fetches
  bool is_constant = false;
  bool duration = false;     // in ns
  char stack = 0;            // K, U: it is the kernel's, the user stack; which no step fetches
  std::string refused = {};  // why it cannot be fetched; empty: it can
};
// The expression's meaning at one probed place; nothing if the name means nothing there.
using Resolve = std::function<std::optional<Fetched>(const Expression&)>;

// How one value of a place is shown: kept in captures as text, since only the traced machine knows.
struct ShownValue {
  std::string name;
  char how =
      'u';  // d u x: numbers; s b: text, bytes; e f: names of values, of bits; i: an address of IP; y: a symbol;
            // p: the word `more`; l: ns; t: a structure, whose layout is `more`; K U: the kernel's, the user stack
  int bits = 64;
  std::string more = {};
  bool operator==(const ShownValue&) const = default;
};

// The plans of a run, one for each probed place, and the globs that they compare strings with.
class FetchPlans {
 public:
  // Adds the plan of one place; its number. `names` are those that `resolve` knows, for messages; `shown` is told how
  // the values are shown.
  std::uint32_t add(const Probe& probe, const Resolve& resolve, const std::vector<std::string>& names,
                    std::vector<ShownValue>* shown = nullptr, std::uint32_t flags = 0);
  // The same, but where there is a plan like it already, that one is taken.
  std::uint32_t share(const Probe& probe, const Resolve& resolve, const std::vector<std::string>& names,
                      std::vector<ShownValue>* shown, std::uint32_t flags);
  // One without filter or values.
  std::uint32_t share(std::uint32_t flags);
  // Sets the maps' sizes and the knobs, before load.
  void size(bpf_object* object, std::uint32_t string_size) const;
  // Fills the maps, after load.
  void fill(bpf_object* object) const;
  void drop_last() { plans_.pop_back(); }
  std::size_t count() const { return plans_.size(); }
  // Bytes of the longest value that is shown as bytes.
  std::uint32_t longest() const { return longest_; }
  // Strings that one hit shows, at most.
  std::uint32_t strings() const { return strings_; }
  // Which stacks the plans ask for: FETCH_KERNEL_STACK, FETCH_USER_STACK.
  std::uint32_t stacks() const;
  const fetch_plan& plan(std::size_t number) const { return plans_[number]; }

 private:
  friend class PlanBuilder;
  std::uint32_t take(const fetch_plan& plan);
  std::vector<fetch_plan> plans_;
  std::vector<fetch_glob> globs_;
  std::uint32_t strings_ = 0;
  std::uint32_t longest_ = 0;  // bytes of what is shown as bytes
};

// What code lies at an address ("vfs_read+0x12"); empty: nobody knows.
using CodeName = std::function<std::string(std::uint64_t address)>;
// The kernel's stack ('K') or the user stack ('U') of the hit.
using StackCell = std::function<Cell(char which)>;
// The value as a cell; a symbol that `code` does not know as its address.
Cell value_cell(const ShownValue& shown, const fetch_result& result, std::size_t index, std::string_view tail,
                const CodeName& code = {}, const StackCell& stack = {});
// All of a place's values from `first` on, by their names.
Cell value_cells(const std::vector<ShownValue>& shown, const fetch_result& result, std::string_view tail,
                 std::size_t first = 0, const CodeName& code = {}, const StackCell& stack = {});
// A value as one word of a line, without blanks at the ends, and back.
std::string shown_value_text(const ShownValue& shown);
std::optional<ShownValue> parse_shown_value(std::string_view text);

// What every kind of probe knows: pid, tid, uid, gid, comm, cpu, nsecs, cgroup.
std::optional<Fetched> task_value(const Expression& expression);
const std::vector<std::string>& task_names();

}  // namespace kit
