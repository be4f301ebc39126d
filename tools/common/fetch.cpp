// SPDX-License-Identifier: BSD-2-Clause
// Turns expressions into fetch plans (kit/fetch.h), and what the plans fetched into cells.
#include <bpf/bpf.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "data_types.hpp"
#include "filter.hpp"
#include "kit/clock.hpp"
#include "kit/elf.hpp"
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

bool asks_context(const fetch_step& step) {
  return step.op == FETCH_REGISTER || step.op == FETCH_ADD_REGISTER || step.op == FETCH_CONTEXT ||
         step.op == FETCH_ADD_CONTEXT;
}

constexpr std::pair<std::string_view, fetch_compare> signs[] = {{"==", FETCH_EQUAL}, {"!=", FETCH_UNEQUAL},
                                                                {"<", FETCH_LESS},   {"<=", FETCH_LESS_EQUAL},
                                                                {">", FETCH_MORE},   {">=", FETCH_MORE_EQUAL}};
fetch_compare sign_of(std::string_view text) {
  for (auto [sign, compare] : signs)
    if (sign == text) return compare;
  return FETCH_EQUAL;
}
// Whether a filter begins with a comparison of one number, which alone decides where it is not true (hit_refused() in
// bpf/lib/hit.bpf.h).
bool is_quick(const std::vector<fetch_step>& steps) {
  const fetch_step& first = steps[0];
  bool of_task = first.op == FETCH_TASK && first.index <= FETCH_TID;
  if (!(of_task || first.op == FETCH_CONTEXT || first.op == FETCH_REGISTER) || steps[1].op != FETCH_COMPARE)
    return false;
  std::size_t at = 2;
  while (steps[at].op == FETCH_JUMP) at = steps[at].flag ? at + 1 : steps[at].index;
  return steps[at].op == FETCH_WANTED && !steps[at].flag;
}
// The same comparison with its sides exchanged.
fetch_compare mirrored(fetch_compare compare) {
  int less = compare & FETCH_LESS ? FETCH_MORE : 0, more = compare & FETCH_MORE ? FETCH_LESS : 0;
  return static_cast<fetch_compare>(less | (compare & FETCH_EQUAL) | more);
}

}  // namespace

// Makes one plan.
class PlanBuilder {
 public:
  PlanBuilder(FetchPlans& plans, const Probe& probe, const Resolve& resolve, const std::vector<std::string>& names,
              std::vector<ShownValue>* shown)
      : plans_(plans), probe_(probe), resolve_(resolve), names_(names), shown_(shown) {}

  // With these flags, of which the probe itself knows nothing.
  fetch_plan build(std::uint32_t flags) {
    fetch_plan plan{};
    plan.flags = flags;
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
      // A return first takes the call that was remembered for it, wanted or not.
      if (is_quick(steps_) && !(flags & FETCH_RETURN)) plan.flags |= FETCH_QUICK;
    }
    steps_.clear();
    for (std::size_t i = 0; i < probe_.shown.size(); i++) show(probe_.shown[i], static_cast<unsigned>(i));
    if (steps_.size() > FETCH_VALUE_STEPS)
      refuse_probe(probe_, probe_.shown.back().expression.at,
                   cat("the values take ", steps_.size(), " steps, and ", FETCH_VALUE_STEPS, " are the limit"));
    std::copy(steps_.begin(), steps_.end(), plan.show);
    std::fill(std::begin(plan.shows), std::end(plan.shows), __u8{FETCH_NONE});
    for (std::size_t i = 0, value = 0; i < steps_.size() && value < FETCH_VALUES; i++)
      if (steps_[i].op >= FETCH_SHOW) plan.shows[value++] = static_cast<__u8>(i);
    plans_.strings_ = std::max(plans_.strings_, strings_);
    plan.stride = 1;
    plan.flags |= stacks_;
    if (has_sign_) plan.flags |= FETCH_SIGNED;
    if (std::any_of(std::begin(plan.filter), std::end(plan.filter), asks_context) ||
        std::any_of(std::begin(plan.show), std::end(plan.show), asks_context))
      plan.flags |= FETCH_OF_CONTEXT;
    return plan;
  }

 private:
  Fetched named(const Expression& expression) {
    auto found = resolve_(expression);
    if (!found) found = task_value(expression);
    if (found && !found->refused.empty()) refuse_probe(probe_, expression.at, found->refused);
    if (found) return *found;
    std::vector<std::string> all = names_;
    all.insert(all.end(), task_names().begin(), task_names().end());
    std::string there;
    for (std::size_t i = 0; i < std::min<std::size_t>(names_.size(), 12); i++) there += cat(i ? " " : "", names_[i]);
    refuse_probe(probe_, expression.at,
                 cat("nothing is called ", expression.text, " here", suggestion(expression.text, all),
                     names_.empty() ? "" : cat("; there is ", there, names_.size() > 12 ? "..." : "")));
  }

  // What an expression stands for, loaded or still a place.
  Fetched found(const Expression& expression) {
    switch (expression.kind) {
      case Expression::Kind::name: return named(expression);
      case Expression::Kind::member: return member(expression);
      case Expression::Kind::element: return element(expression);
      case Expression::Kind::cast: return cast(expression);
      default:
        refuse_probe(probe_, expression.at, "one side of a comparison is a name, the other a number or a string");
    }
  }

  // As a number, an address, or the address of what is larger than a number.
  Fetched resolved(const Expression& expression) {
    Fetched value = found(expression);
    if (value.stack) refuse_probe(probe_, expression.at, "a stack is shown, as it is, and no more can be done with it");
    return loaded(std::move(value));
  }

  static bool is_pointer(const Fetched& value) {
    return value.stars > 0 || (value.types && data_kind(value.types, value.type) == DataKind::pointer);
  }
  static bool is_large(const Fetched& value) {
    if (value.elements) return true;
    if (!value.types || value.stars > 0) return false;
    DataKind kind = data_kind(value.types, value.type);
    return kind == DataKind::structure || kind == DataKind::array;
  }
  static void settle_number(Fetched& value) {
    if (!value.types) return;
    NumberType number = value.stars > 0 ? NumberType{64, false} : number_of_type(value.types, value.type);
    value.bits = value.bit_size ? static_cast<int>(value.bit_size) : number.bits;
    value.is_signed = number.is_signed;
  }

  // Reads what a place holds; of what is larger than a number, the address is left.
  static Fetched loaded(Fetched value) {
    if (!value.place) return value;
    value.place = false;
    if (is_large(value)) {
      if (value.offset)
        value.steps.push_back(make_step(FETCH_ADD, 0, 0, false, static_cast<std::uint64_t>(value.offset)));
      value.offset = 0;
      return value;
    }
    settle_number(value);
    std::uint32_t shift = value.bit_size ? value.bit_at % 8 : 0;
    std::int64_t at = value.offset + (value.bit_size ? value.bit_at / 8 : 0);
    unsigned bytes = (shift + static_cast<unsigned>(value.bits) + 7) / 8;
    fetch_step read = make_step(value.kernel ? FETCH_READ_KERNEL : FETCH_READ_USER, 0, std::min(bytes, 8u));
    read.offset = static_cast<__s32>(at);
    value.steps.push_back(read);
    if (shift) value.steps.push_back(make_step(FETCH_SHIFT, 0, shift));
    if (value.bits < 64 && (value.is_signed || value.bit_size))
      value.steps.push_back(make_step(FETCH_CAST, 0, static_cast<unsigned>(value.bits), value.is_signed));
    value.offset = 0;
    return value;
  }

  // What a pointer leads to.
  static Fetched target(Fetched value) {
    value = loaded(std::move(value));
    value.place = true;
    if (value.stars > 0)
      value.stars--;
    else
      value.type = btf__type_by_id(value.types, plain_type(value.types, value.type))->type;
    value.bit_size = value.bit_at = 0;
    return value;
  }

  Fetched member(const Expression& expression) {
    // As bpftrace has them: args.filename is the field filename.
    const Expression& of = expression.of[0];
    if (of.kind == Expression::Kind::name && of.text == "args") {
      Expression field = expression;
      field.kind = Expression::Kind::name;
      field.of.clear();
      return named(field);
    }
    Fetched value = found(of);
    if (is_pointer(value)) value = target(std::move(value));
    if (!value.types || value.stars > 0 || data_kind(value.types, value.type) != DataKind::structure)
      refuse_probe(probe_, expression.at,
                   value.types ? cat(type_name(value.types, value.type), " has no members")
                               : cat("the type of what is in front is not known; cast it: ((struct NAME *)", of.text,
                                     ")->", expression.text));
    auto found = data_member(value.types, value.type, expression.text);
    if (!found)
      refuse_probe(probe_, expression.at,
                   cat(type_name(value.types, value.type), " has no member ", expression.text,
                       suggestion(expression.text, member_names(value.types, value.type))));
    value.type = found->type;
    value.place = true;
    value.bit_size = found->bit_size;
    value.bit_at = found->bit_size ? found->bit_at % 8 : 0;
    value.offset += found->bit_at / 8;
    return value;
  }

  Fetched element(const Expression& expression) {
    Fetched value = found(expression.of[0]);
    std::uint64_t size = 0, most = UINT64_MAX;
    if (value.elements) {
      most = std::exchange(value.elements, 0);
      size = static_cast<std::uint64_t>(value.bits) / 8;
    } else if (is_pointer(value)) {
      value = target(std::move(value));
      size = value.stars > 0 ? 8 : data_size(value.types, value.type);
    } else if (value.types && data_kind(value.types, value.type) == DataKind::array) {
      const struct btf_array* array = btf_array(btf__type_by_id(value.types, plain_type(value.types, value.type)));
      value.type = array->type;
      if (array->nelems) most = array->nelems;
      size = data_size(value.types, value.type);
    }
    if (size == 0) refuse_probe(probe_, expression.at, "what is in front is no array and no pointer of a known type");
    if (expression.number >= most) refuse_probe(probe_, expression.at, cat("there are ", most, " elements, from 0 on"));
    std::uint64_t at = expression.number * size;
    if (expression.number > INT32_MAX || at > INT32_MAX) refuse_probe(probe_, expression.at, "that is too far");
    if (std::exchange(value.counted, false)) require_size(value, at + size);
    value.offset += static_cast<std::int64_t>(at);
    value.place = true;
    return value;
  }

  // Of an array whose size is in its first step's value: unread, where it has fewer bytes.
  static void require_size(Fetched& value, std::uint64_t bytes) {
    value.steps.insert(value.steps.begin() + 1, make_step(FETCH_AT_LEAST, 0, 0, false, bytes << 16));
  }

  Fetched cast(const Expression& expression) {
    Fetched value = resolved(expression.of[0]);
    value.text = value.duration = value.address = value.counted = false;
    value.names.clear();
    if (NumberType number = number_type(expression.text); number.bits) {
      value.types = nullptr;
      value.bits = number.bits;
      value.is_signed = number.is_signed;
      value.steps.push_back(make_step(FETCH_CAST, 0, static_cast<unsigned>(number.bits), number.is_signed));
      return value;
    }
    const btf* types = nullptr;
    std::optional<NamedType> type;
    for (const btf* one : all_data_types())
      if (!type && (type = named_type(one, expression.text))) types = one;
    if (!type) refuse_probe(probe_, expression.at, cat("the kernel has no type ", expression.text));
    if (type->stars == 0 && data_kind(types, type->type) != DataKind::enumeration)
      refuse_probe(probe_, expression.at, cat("cast to a number or to a pointer: (", expression.text, " *)"));
    value.types = types;
    value.type = type->type;
    value.stars = type->stars;
    settle_number(value);
    return value;
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
        for (auto [sign, compare] : signs)
          if ((compare ^ sign_of(expression.text)) == (FETCH_UNEQUAL | FETCH_EQUAL)) other.text = sign;
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

  static bool is_literal(const Expression& expression) {
    return expression.kind == Expression::Kind::number || expression.kind == Expression::Kind::string;
  }

  // The number that a word stands for beside a value that has names: an enumeration's.
  static std::optional<std::uint64_t> number_of_name(const Fetched& value, std::string_view word) {
    std::string names = value.names;
    if (names.empty() && value.types && value.stars == 0 && data_kind(value.types, value.type) == DataKind::enumeration)
      names = enum_names(value.types, value.type);
    for (std::string_view one : split(names, ',')) {
      std::size_t sign = one.find('=');
      if (sign == one.npos || one.substr(sign + 1) != word) continue;
      return static_cast<std::uint64_t>(std::strtoll(std::string(one.substr(0, sign)).c_str(), nullptr, 0));
    }
    return {};
  }

  void compare(const Expression& expression) {
    bool swapped = is_literal(expression.of[0]);
    const Expression& name = expression.of[swapped ? 1 : 0];
    Expression with = expression.of[swapped ? 0 : 1];
    fetch_compare sign = sign_of(expression.text);
    Fetched fetched = resolved(name);
    if (with.kind == Expression::Kind::name) {
      auto number = number_of_name(fetched, with.text);
      if (number) {
        with.kind = Expression::Kind::number;
        with.number = *number;
      }
    }
    if (fetched.is_constant) return compare_constant(fetched, sign, with, expression.at);
    steps_.insert(steps_.end(), fetched.steps.begin(), fetched.steps.end());
    if (with.kind == Expression::Kind::string) return match(fetched, sign, with, expression.at);
    if (with.kind != Expression::Kind::number) refuse_probe(probe_, with.at, "compare with a number or a \"string\"");
    if (fetched.comm) refuse_probe(probe_, with.at, "comm is compared with a \"string\"");
    if (is_large(fetched)) refuse_probe(probe_, name.at, "a whole structure is not compared; name a member of it");
    if (swapped) sign = mirrored(sign);
    steps_.push_back(make_step(FETCH_COMPARE, sign, 0, fetched.is_signed, compared(fetched, sign, with, name)));
  }

  // The number, as the value is: one that it can never have would always, or never, match.
  std::uint64_t compared(const Fetched& fetched, fetch_compare sign, const Expression& with,
                         const Expression& name) const {
    bool negative = with.text.starts_with('-'), narrow = fetched.bits < 64;
    if (fetched.is_signed) return with.number;
    bool decided = with.number == 0 && (sign == FETCH_LESS || sign == FETCH_MORE_EQUAL);
    if (decided || (negative && (!narrow || (sign != FETCH_EQUAL && sign != FETCH_UNEQUAL))))
      refuse_probe(probe_, name.at,
                   cat("it has no sign here, and so is never below 0; cast it: (", narrow ? "int)" : "long)",
                       name.kind == Expression::Kind::name ? name.text : "...",
                       narrow ? "" : ", or (int) if that is what it is"));
    return negative ? with.number & ((std::uint64_t{1} << fetched.bits) - 1) : with.number;
  }

  // A word that is the same at each hit of this place.
  void compare_constant(const Fetched& fetched, fetch_compare sign, const Expression& with, std::size_t at) {
    if (with.kind != Expression::Kind::string || (sign != FETCH_EQUAL && sign != FETCH_UNEQUAL))
      refuse_probe(probe_, at, "a word is compared with == or != and a \"string\"");
    bool truth = glob_matches(with.text, fetched.constant) == (sign == FETCH_EQUAL);
    steps_.push_back(make_step(FETCH_CONSTANT, 0, 0, false, truth));
    steps_.push_back(make_step(FETCH_COMPARE, FETCH_EQUAL, 0, false, 1));
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
    if (!fetched.comm && is_only_number(fetched)) refuse_probe(probe_, at, "a number is compared with a number");
    auto& globs = plans_.globs_;
    auto number = std::find_if(globs.begin(), globs.end(),
                               [&](const fetch_glob& one) { return std::memcmp(&one, &glob, sizeof glob) == 0; }) -
                  globs.begin();
    if (number > 255) refuse_probe(probe_, with.at, "a run compares with 256 strings at most");
    if (static_cast<std::size_t>(number) == globs.size()) globs.push_back(glob);
    auto verb = fetched.comm ? FETCH_MATCH_COMM : fetched.kernel ? FETCH_MATCH_KERNEL : FETCH_MATCH_USER;
    steps_.push_back(make_step(verb, static_cast<unsigned>(number), 0, sign == FETCH_UNEQUAL));
  }

  // Too small for an address, where a string could be.
  static bool is_only_number(const Fetched& fetched) {
    if (fetched.text || fetched.address || is_pointer(fetched) || is_large(fetched)) return false;
    return fetched.bits < 64;
  }

  // It is taken for itself, and no step fetches it.
  void show_stack(const ShownExpression& shown, unsigned index, char which) {
    if (shown.format.kind != Format::Kind::automatic)
      refuse_probe(probe_, shown.expression.at, "a stack has no other format");
    stacks_ |= which == 'K' ? FETCH_KERNEL_STACK : FETCH_USER_STACK;
    steps_.push_back(make_step(FETCH_SHOW, index));
    if (shown_) shown_->push_back({.name = shown.text, .how = which});
  }

  void show(const ShownExpression& shown, unsigned index) {
    if (shown.expression.kind == Expression::Kind::name)
      if (Fetched stack = named(shown.expression); stack.stack) return show_stack(shown, index, stack.stack);
    Fetched fetched = resolved(shown.expression);
    if (fetched.comm) fetched.steps = {make_step(FETCH_TASK, FETCH_COMM)};
    ShownValue value = how_shown(shown, fetched);
    std::uint32_t bytes = bytes_of(shown, fetched, value);
    if (fetched.counted && bytes) require_size(fetched, bytes);
    steps_.insert(steps_.end(), fetched.steps.begin(), fetched.steps.end());
    // As it is shown it is counted: the same number whichever way it is read.
    bool as_number = value.how == 'd' || value.how == 'u' || value.how == 'x';
    if (as_number && fetched.bits < 64 && fetched.is_signed != (value.how == 'd'))
      steps_.push_back(make_step(FETCH_CAST, 0, static_cast<unsigned>(fetched.bits), value.how == 'd'));
    has_sign_ |= index == 0 && value.how == 'd';
    bool kernel = fetched.kernel;
    if (value.how == 's') {
      steps_.push_back(make_step(kernel ? FETCH_SHOW_STRING_KERNEL : FETCH_SHOW_STRING_USER, index));
      strings_++;
    } else if (bytes) {
      steps_.push_back(make_step(kernel ? FETCH_SHOW_BYTES_KERNEL : FETCH_SHOW_BYTES_USER, index, 0, false, bytes));
      plans_.longest_ = std::max(plans_.longest_, bytes + 1);
      strings_++;
    } else {
      steps_.push_back(make_step(FETCH_SHOW, index));
    }
    if (shown_) shown_->push_back(std::move(value));
  }

  // How many bytes are shown of what is no number and no string.
  std::uint32_t bytes_of(const ShownExpression& shown, const Fetched& fetched, const ShownValue& value) const {
    if (value.how == 'b') return shown.format.size;
    if (fetched.counted && value.how == 't')
      refuse_probe(probe_, shown.expression.at,
                   cat("each hit has another number of elements; name one, ", shown.text, "[0], or show :buf(N)"));
    std::uint32_t size = is_large(fetched) && fetched.types
                             ? data_size(fetched.types, fetched.type)
                             : fetched.elements * static_cast<std::uint32_t>(fetched.bits) / 8;
    if (value.how != 't' && !(value.how == 'i' && is_large(fetched))) return 0;
    if (size == 0 || size >= FETCH_STRING_MAX)
      refuse_probe(probe_, shown.expression.at,
                   cat("it has ", size, " bytes, and ", FETCH_STRING_MAX - 1, " can be shown; name a member of it"));
    return size;
  }

  static char own_format(const Fetched& fetched) {
    if (fetched.is_constant) return 'p';
    if (fetched.duration) return 'l';
    if (fetched.text) return 's';
    if (fetched.elements) return 't';
    if (!fetched.names.empty()) return 'e';
    if (!fetched.types) return fetched.is_signed ? 'd' : 'u';
    if (fetched.stars > 0) return fetched.stars == 1 && is_char(fetched.types, fetched.type) ? 's' : 'x';
    const btf_type* plain = btf__type_by_id(fetched.types, plain_type(fetched.types, fetched.type));
    switch (data_kind(fetched.types, fetched.type)) {
      case DataKind::pointer: return is_char(fetched.types, plain->type) ? 's' : 'x';
      case DataKind::array: return is_char(fetched.types, btf_array(plain)->type) ? 's' : 't';
      case DataKind::structure: return 't';
      case DataKind::enumeration: return 'e';
      default: return fetched.is_signed ? 'd' : 'u';
    }
  }

  static std::string element_layout(const Fetched& fetched) {
    std::string layout;
    for (std::uint32_t i = 0; i < std::min(fetched.elements, 64u); i++)
      layout += cat(fetched.is_signed ? 'd' : 'u', ' ', i * static_cast<std::uint32_t>(fetched.bits), ' ', fetched.bits,
                    " [", i, "];");
    return layout;
  }

  ShownValue how_shown(const ShownExpression& shown, const Fetched& fetched) const {
    using Kind = Format::Kind;
    ShownValue value{.name = shown.text, .how = own_format(fetched), .bits = fetched.bits, .more = fetched.names};
    if ((fetched.is_constant || fetched.comm) && shown.format.kind != Kind::automatic &&
        shown.format.kind != Kind::string)
      refuse_probe(probe_, shown.expression.at, "a word has no other format");
    switch (shown.format.kind) {
      case Kind::automatic: break;
      case Kind::signed_number: value.how = 'd'; break;
      case Kind::number: value.how = 'u'; break;
      case Kind::hex: value.how = 'x'; break;
      case Kind::string: value.how = fetched.is_constant ? 'p' : 's'; break;
      case Kind::bytes: value.how = 'b'; break;
      case Kind::internet: value.how = 'i'; break;
      case Kind::symbol: value.how = 'y'; break;
      case Kind::flags: value.how = 'f'; break;
    }
    bool enumeration =
        fetched.types && fetched.stars == 0 && data_kind(fetched.types, fetched.type) == DataKind::enumeration;
    if (enumeration && (value.how == 'e' || value.how == 'f')) value.more = enum_names(fetched.types, fetched.type);
    if (value.how == 'i' && is_large(fetched)) value.bits = 128;
    if (value.how == 'l') value.name += "_ns";
    if (value.how == 'p') value.more = fetched.constant;
    if (value.how == 't')
      value.more = fetched.types ? structure_layout(fetched.types, fetched.type) : element_layout(fetched);
    if ((value.how == 's' || value.how == 'b') && is_only_number(fetched))
      refuse_probe(probe_, shown.expression.at, "a number is no address of a string or of bytes");
    bool number = value.how == 'd' || value.how == 'u' || value.how == 'x' || value.how == 'f';
    if (number && is_large(fetched))
      refuse_probe(probe_, shown.expression.at, "it is larger than a number; name a member of it, or show :buf(N)");
    return value;
  }

  FetchPlans& plans_;
  const Probe& probe_;
  const Resolve& resolve_;
  const std::vector<std::string>& names_;
  std::vector<ShownValue>* shown_;
  std::vector<fetch_step> steps_;
  std::uint32_t strings_ = 0;
  std::uint32_t stacks_ = 0;
  bool has_sign_ = false;  // the first value
};

std::uint32_t FetchPlans::add(const Probe& probe, const Resolve& resolve, const std::vector<std::string>& names,
                              std::vector<ShownValue>* shown, std::uint32_t flags) {
  fetch_plan plan = PlanBuilder(*this, probe, resolve, names, shown).build(flags);
  plans_.push_back(plan);
  return static_cast<std::uint32_t>(plans_.size() - 1);
}

std::uint32_t FetchPlans::share(const Probe& probe, const Resolve& resolve, const std::vector<std::string>& names,
                                std::vector<ShownValue>* shown, std::uint32_t flags) {
  fetch_plan plan = PlanBuilder(*this, probe, resolve, names, shown).build(flags);
  return take(plan);
}

std::uint32_t FetchPlans::stacks() const {
  std::uint32_t flags = 0;
  for (const fetch_plan& plan : plans_) flags |= plan.flags & (FETCH_KERNEL_STACK | FETCH_USER_STACK);
  return flags;
}

std::uint32_t FetchPlans::share(std::uint32_t flags) {
  fetch_plan plan{};
  std::fill(std::begin(plan.shows), std::end(plan.shows), __u8{FETCH_NONE});
  plan.flags = flags;
  plan.stride = 1;
  return take(plan);
}

std::uint32_t FetchPlans::take(const fetch_plan& plan) {
  for (std::uint32_t i = 0; i < plans_.size(); i++)
    if (std::memcmp(&plans_[i], &plan, sizeof plan) == 0) return i;
  plans_.push_back(plan);
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
  std::uint32_t size = std::bit_ceil(std::max({string_size, longest_, 2u})),
                room = strings_ ? std::bit_ceil(strings_ * size) : 0;
  set_knob(object, "fetch_string_size", size);
  set_knob(object, "fetch_room", room);
  set_knob(object, "fetch_filters",
           std::any_of(plans_.begin(), plans_.end(), [](const auto& plan) { return plan.filter[0].op != FETCH_END; }));
  set_knob(object, "fetch_matches", !globs_.empty());
  std::uint32_t of_stacks = stacks() ? sizeof(fetch_stacks) : 0;
  set_knob(object, "fetch_tail", of_stacks + (strings_ ? room + size : 0));
}

void FetchPlans::fill(bpf_object* object) const {
  fill_map(object, "fetch_plans", plans_);
  fill_map(object, "fetch_globs", globs_);
}

std::optional<Fetched> task_value(const Expression& expression) {
  Fetched fetched;
  if (expression.text == "comm") {
    fetched.comm = fetched.text = fetched.kernel = true;
    return fetched;
  }
  if (expression.text == "elapsed") {
    static const std::uint64_t start = boot_time();
    fetched.steps = {make_step(FETCH_TASK, FETCH_NSECS), make_step(FETCH_ADD, 0, 0, false, 0 - start)};
    return fetched;
  }
  for (const TaskName& one : task_table) {
    if (expression.text != one.name) continue;
    fetched.steps = {make_step(FETCH_TASK, one.what)};
    fetched.bits = one.bits;
    return fetched;
  }
  return {};
}

const std::vector<std::string>& task_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all = {"comm", "elapsed"};
    for (const TaskName& one : task_table) all.emplace_back(one.name);
    return all;
  }();
  return names;
}

}  // namespace kit
