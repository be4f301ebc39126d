// SPDX-License-Identifier: BSD-2-Clause
// Turns expressions into fetch plans (kit/fetch.h), and what the plans fetched into cells.
#include <bpf/bpf.h>

#include <algorithm>
#include <bit>

#include "filter.hpp"
#include "kit/maps.hpp"
#include "kit/probe.hpp"
#include "kit/text.hpp"
#include "kit/uprobe.hpp"

namespace kit {
namespace {

struct TaskName {
  const char* name;
  fetch_task what;
  int bits;
};
constexpr TaskName task_table[] = {{"pid", FETCH_PID, 32},      {"tid", FETCH_TID, 32}, {"uid", FETCH_UID, 32},
                                   {"gid", FETCH_GID, 32},      {"cpu", FETCH_CPU, 32}, {"nsecs", FETCH_NSECS, 64},
                                   {"cgroup", FETCH_CGROUP, 64}};

fetch_step make_step(fetch_verb verb, unsigned index = 0, unsigned size = 0, bool flag = false,
                     std::uint64_t number = 0) {
  return {.op = static_cast<__u8>(verb),
          .index = static_cast<__u8>(index),
          .size = static_cast<__u8>(size),
          .flag = flag,
          .offset = 0,
          .number = number};
}

constexpr std::pair<std::string_view, fetch_compare> signs[] = {{"==", FETCH_EQUAL}, {"!=", FETCH_UNEQUAL},
                                                                {"<", FETCH_LESS},   {"<=", FETCH_LESS_EQUAL},
                                                                {">", FETCH_MORE},   {">=", FETCH_MORE_EQUAL}};
fetch_compare sign_of(std::string_view text) {
  for (auto [sign, compare] : signs)
    if (sign == text) return compare;
  return FETCH_EQUAL;
}
// The same comparison with its sides exchanged.
fetch_compare mirrored(fetch_compare compare) {
  switch (compare) {
    case FETCH_LESS: return FETCH_MORE;
    case FETCH_LESS_EQUAL: return FETCH_MORE_EQUAL;
    case FETCH_MORE: return FETCH_LESS;
    case FETCH_MORE_EQUAL: return FETCH_LESS_EQUAL;
    default: return compare;
  }
}

}  // namespace

// Makes one plan.
class PlanBuilder {
 public:
  PlanBuilder(FetchPlans& plans, const Probe& probe, const Resolve& resolve, const std::vector<std::string>& names)
      : plans_(plans), probe_(probe), resolve_(resolve), names_(names) {}

  fetch_plan build() {
    fetch_plan plan{};
    if (probe_.filter) {
      truth(*probe_.filter);
      // The answer: yes where the truth is, else no.
      steps_.push_back(make_step(FETCH_JUMP, static_cast<unsigned>(steps_.size()) + 2, 0, true));
      steps_.push_back(make_step(FETCH_WANTED, 0, 0, false));
      steps_.push_back(make_step(FETCH_WANTED, 0, 0, true));
      if (steps_.size() > FETCH_FILTER_STEPS)
        refuse_probe(probe_, probe_.filter->at,
                     cat("the filter takes ", steps_.size(), " steps, and ", FETCH_FILTER_STEPS, " are the limit"));
      std::copy(steps_.begin(), steps_.end(), plan.filter);
    }
    steps_.clear();
    for (std::size_t i = 0; i < probe_.shown.size(); i++) show(probe_.shown[i], static_cast<unsigned>(i));
    if (steps_.size() > FETCH_VALUE_STEPS)
      refuse_probe(probe_, probe_.shown.back().expression.at,
                   cat("the values take ", steps_.size(), " steps, and ", FETCH_VALUE_STEPS, " are the limit"));
    std::copy(steps_.begin(), steps_.end(), plan.show);
    plans_.strings_ = std::max(plans_.strings_, strings_);
    return plan;
  }

 private:
  Fetched resolved(const Expression& expression) {
    if (expression.kind != Expression::Kind::name)
      refuse_probe(probe_, expression.at, "one side of a comparison is a name, the other a number or a string");
    auto found = resolve_(expression);
    if (!found) found = task_value(expression);
    if (found) return *found;
    std::vector<std::string> all = names_;
    all.insert(all.end(), task_names().begin(), task_names().end());
    refuse_probe(probe_, expression.at,
                 cat("nothing is called ", expression.text, " here", suggestion(expression.text, all),
                     names_.empty() ? ""
                                    : cat("; there is ", names_.front(), names_.size() > 1 ? " to " : "",
                                          names_.size() > 1 ? names_.back() : "")));
  }

  // Leaves the truth of the expression.
  void truth(const Expression& expression) {
    switch (expression.kind) {
      case Expression::Kind::both:
      case Expression::Kind::either: {
        truth(expression.of[0]);
        std::size_t jump = steps_.size();
        steps_.push_back(make_step(FETCH_JUMP, 0, 0, expression.kind == Expression::Kind::either));
        truth(expression.of[1]);
        steps_[jump].index = static_cast<__u8>(std::min<std::size_t>(steps_.size(), 255));
        return;
      }
      case Expression::Kind::negate: return negated(expression.of[0]);
      case Expression::Kind::compare: return compare(expression);
      default: refuse_probe(probe_, expression.at, "a filter compares: write arg0 == 1");
    }
  }

  // By de Morgan's laws, so that no step is needed for it.
  void negated(const Expression& expression) {
    Expression other = expression;
    switch (expression.kind) {
      case Expression::Kind::negate: return truth(expression.of[0]);
      case Expression::Kind::compare: {
        constexpr std::string_view opposite[] = {"!=", "==", ">=", ">", "<=", "<"};
        other.text = opposite[sign_of(expression.text)];
        return compare(other);
      }
      default: {
        other.kind = expression.kind == Expression::Kind::both ? Expression::Kind::either : Expression::Kind::both;
        for (Expression& part : other.of)
          part = {.kind = Expression::Kind::negate, .text = {}, .number = 0, .at = part.at, .of = {part}};
        truth(other);
      }
    }
  }

  void compare(const Expression& expression) {
    bool swapped = expression.of[0].kind != Expression::Kind::name;
    const Expression& name = expression.of[swapped ? 1 : 0];
    const Expression& with = expression.of[swapped ? 0 : 1];
    fetch_compare sign = sign_of(expression.text);
    Fetched fetched = resolved(name);
    steps_.insert(steps_.end(), fetched.steps.begin(), fetched.steps.end());
    if (with.kind == Expression::Kind::string) return match(fetched, sign, with, expression.at);
    if (with.kind != Expression::Kind::number) refuse_probe(probe_, with.at, "compare with a number or a \"string\"");
    if (fetched.comm) refuse_probe(probe_, with.at, "comm is compared with a \"string\"");
    // As the value is: a number that it can never have would always, or never, match.
    std::uint64_t number = with.number;
    if (fetched.bits < 64 && !fetched.is_signed && with.text.starts_with('-'))
      number &= (std::uint64_t{1} << fetched.bits) - 1;
    steps_.push_back(make_step(FETCH_COMPARE, swapped ? mirrored(sign) : sign, 0, fetched.is_signed, number));
  }

  void match(const Fetched& fetched, fetch_compare sign, const Expression& with, std::size_t at) {
    if (sign != FETCH_EQUAL && sign != FETCH_UNEQUAL) refuse_probe(probe_, at, "strings are compared with == or !=");
    GlobMachine machine;
    try {
      machine = compile_glob(with.text);
    } catch (const Failure& failure) {
      refuse_probe(probe_, with.at, failure.what());
    }
    fetch_glob glob{};
    std::copy(machine.accepts.begin(), machine.accepts.end(), glob.accepts);
    glob.stars = machine.stars;
    glob.starts = machine.starts;
    glob.ends = machine.ends;
    if (plans_.globs_.size() > 255) refuse_probe(probe_, with.at, "a run compares with 256 strings at most");
    auto verb = fetched.comm ? FETCH_MATCH_COMM : fetched.kernel ? FETCH_MATCH_KERNEL : FETCH_MATCH_USER;
    steps_.push_back(make_step(verb, static_cast<unsigned>(plans_.globs_.size()), 0, sign == FETCH_UNEQUAL));
    plans_.globs_.push_back(glob);
  }

  void show(const ShownExpression& shown, unsigned index) {
    Fetched fetched = resolved(shown.expression);
    if (fetched.comm) refuse_probe(probe_, shown.expression.at, "comm is shown with every row; ask for it in filters");
    steps_.insert(steps_.end(), fetched.steps.begin(), fetched.steps.end());
    using Kind = Format::Kind;
    if (shown.format.kind == Kind::string) {
      steps_.push_back(make_step(fetched.kernel ? FETCH_SHOW_STRING_KERNEL : FETCH_SHOW_STRING_USER, index));
      strings_++;
    } else if (shown.format.kind == Kind::bytes) {
      steps_.push_back(make_step(fetched.kernel ? FETCH_SHOW_BYTES_KERNEL : FETCH_SHOW_BYTES_USER, index, 0, false,
                                 shown.format.size));
      strings_++;
    } else {
      steps_.push_back(make_step(FETCH_SHOW, index));
    }
  }

  FetchPlans& plans_;
  const Probe& probe_;
  const Resolve& resolve_;
  const std::vector<std::string>& names_;
  std::vector<fetch_step> steps_;
  std::uint32_t strings_ = 0;
};

std::uint32_t FetchPlans::add(const Probe& probe, const Resolve& resolve, const std::vector<std::string>& names) {
  plans_.push_back(PlanBuilder(*this, probe, resolve, names).build());
  return static_cast<std::uint32_t>(plans_.size() - 1);
}

namespace {

void set_entries(bpf_object* object, const char* name, std::size_t entries) {
  bpf_map* map = bpf_object__find_map_by_name(object, name);
  if (map) bpf_map__set_max_entries(map, static_cast<__u32>(std::max<std::size_t>(entries, 1)));
}

template <typename Value>
void fill_map(bpf_object* object, const char* name, const std::vector<Value>& values) {
  int fd = bpf_map__fd(bpf_object__find_map_by_name(object, name));
  for (__u32 i = 0; i < values.size(); i++)
    if (bpf_map_update_elem(fd, &i, &values[i], BPF_ANY) != 0)
      throw Failure(Exit::failed, cat("cannot fill ", name, ": ", error_text(errno)));
}

}  // namespace

void FetchPlans::size(bpf_object* object, std::uint32_t string_size) const {
  set_entries(object, "fetch_plans", plans_.size());
  set_entries(object, "fetch_globs", globs_.size());
  std::uint32_t size = std::bit_ceil(std::max(string_size, 2u)), room = strings_ ? std::bit_ceil(strings_ * size) : 0;
  set_knob(object, "fetch_string_size", size);
  set_knob(object, "fetch_room", room);
  set_knob(object, "fetch_tail", strings_ ? room + size : 0);
}

void FetchPlans::fill(bpf_object* object) const {
  if (plans_.size() > 1 && !has_cookies())
    throw Failure(Exit::unsupported, cat("this kernel (before 5.15) does not tell a program which of the ",
                                         plans_.size(), " places was hit; name a probe that is in one place only"));
  fill_map(object, "fetch_plans", plans_);
  fill_map(object, "fetch_globs", globs_);
}

ShownValue shown_value(const ShownExpression& shown, const Fetched& fetched) {
  using Kind = Format::Kind;
  ShownValue value{.name = shown.text, .how = fetched.is_signed ? 'd' : 'u', .bits = fetched.bits};
  switch (shown.format.kind) {
    case Kind::automatic: break;
    case Kind::signed_number: value.how = 'd'; break;
    case Kind::number: value.how = 'u'; break;
    case Kind::hex: value.how = 'x'; break;
    case Kind::string: value.how = 's'; break;
    case Kind::bytes: value.how = 'b'; break;
  }
  return value;
}

Cell value_cell(const ShownValue& shown, const fetch_result& result, std::size_t index, std::string_view tail) {
  if (index >= FETCH_VALUES || (result.unread >> index & 1)) return Cell::unknown();
  std::uint64_t value = result.values[index];
  unsigned spare = 64 - static_cast<unsigned>(std::clamp(shown.bits, 1, 64));
  if (shown.how == 'd') return Cell::integer(static_cast<std::int64_t>(value << spare) >> spare);
  if (shown.how == 'u') return Cell::count(value << spare >> spare);
  if (shown.how == 'x') return Cell::address(value << spare >> spare);
  std::size_t at = value >> 32, size = value & 0xffffffff;
  bool cut = result.cut >> index & 1;
  if (at > tail.size() || size > tail.size() - at) return Cell::unknown();
  if (!cut) return Cell::borrowed(tail.substr(at, size));
  return Cell::owned(cat(tail.substr(at, size), "…"));
}

std::optional<Fetched> task_value(const Expression& expression) {
  if (expression.text == "comm")
    return Fetched{.steps = {}, .bits = 0, .is_signed = false, .kernel = false, .comm = true};
  for (const TaskName& one : task_table)
    if (expression.text == one.name)
      return Fetched{.steps = {make_step(FETCH_TASK, one.what)},
                     .bits = one.bits,
                     .is_signed = false,
                     .kernel = false,
                     .comm = false};
  return {};
}

const std::vector<std::string>& task_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all = {"comm"};
    for (const TaskName& one : task_table) all.emplace_back(one.name);
    return all;
  }();
  return names;
}

}  // namespace kit
