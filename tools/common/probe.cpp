// SPDX-License-Identifier: BSD-2-Clause
// Reads the probe language.
#include "kit/probe.hpp"

#include <algorithm>
#include <array>

#include "kit/text.hpp"

namespace kit {
namespace {

const std::vector<std::string> kinds = {"kprobe",    "kretprobe",  "fentry",        "fexit",     "uprobe",
                                        "uretprobe", "tracepoint", "rawtracepoint", "usdt",      "interval",
                                        "profile",   "software",   "hardware",      "watchpoint"};
const std::vector<std::string> alone = {"begin", "end"};
constexpr std::string_view blanks = " \t\n";
constexpr int deepest = 32;  // parentheses and negations within each other
constexpr std::pair<std::string_view, std::uint64_t> time_units[] = {
    {"ns", 1}, {"us", 1000}, {"ms", 1000000}, {"s", 1000000000}};

bool blank(char c) { return blanks.find(c) != blanks.npos; }
bool name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '@'; }
bool name_part(char c) { return name_start(c) || (c >= '0' && c <= '9'); }

struct FormatName {
  std::string_view name;
  Format::Kind kind;
};
constexpr FormatName format_names[] = {
    {"d", Format::Kind::signed_number}, {"u", Format::Kind::number},    {"x", Format::Kind::hex},
    {"s", Format::Kind::string},        {"str", Format::Kind::string},  {"ip", Format::Kind::internet},
    {"sym", Format::Kind::symbol},      {"flags", Format::Kind::flags},
};

// Names with which an expression begins, whatever the probe: they start none.
bool begins_expression(std::string_view word) {
  std::string_view head = word.substr(0, word.find(':'));
  if (head.starts_with("arg") && head.size() > 3 && head.find_first_not_of("0123456789", 3) == head.npos) return true;
  const auto& names = task_names();
  return head == "retval" || std::find(names.begin(), names.end(), head) != names.end();
}

class Parser {
 public:
  Parser(Probe& probe, std::string_view text, std::size_t at) : probe_(probe), text_(text), at_(at) {}

  // The filter, if there is one, and the expressions, up to the end of the text.
  void rest() {
    skip();
    if (peek() == '/') {
      std::size_t opened = at_++;
      probe_.filter = either(0);
      skip();
      if (peek() != '/')
        refuse(at_,
               at_ < text_.size() ? "the filter goes on with && or ||, or ends with /"
                                  : cat("the filter that begins here has no end: write / behind it").c_str(),
               opened);
      at_++;
    }
    for (skip(); at_ < text_.size(); skip()) shown();
  }

 private:
  char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  void skip() {
    while (at_ < text_.size() && blank(text_[at_])) at_++;
  }
  bool take(std::string_view sign) {
    skip();
    if (!text_.substr(at_).starts_with(sign)) return false;
    at_ += sign.size();
    return true;
  }
  [[noreturn]] void refuse(std::size_t at, const std::string& why, std::optional<std::size_t> opened = {}) {
    refuse_probe(probe_, opened && at >= text_.size() ? *opened : at, why);
  }

  Expression join(Expression::Kind kind, Expression left, Expression right) {
    Expression both{.kind = kind, .text = {}, .number = 0, .at = left.at, .of = {}};
    both.of.push_back(std::move(left));
    both.of.push_back(std::move(right));
    return both;
  }

  Expression either(int depth) {
    Expression left = both(depth);
    while (take("||")) left = join(Expression::Kind::either, std::move(left), both(depth));
    return left;
  }

  Expression both(int depth) {
    Expression left = one(depth);
    while (take("&&")) left = join(Expression::Kind::both, std::move(left), one(depth));
    return left;
  }

  Expression one(int depth) {
    skip();
    check_depth(depth);
    if (peek() == '!' && peek(1) != '=') {
      Expression negated{.kind = Expression::Kind::negate, .text = {}, .number = 0, .at = at_++, .of = {}};
      negated.of.push_back(one(depth + 1));
      return negated;
    }
    if (peek() == '(' && !begins_operand() && take("(")) {
      Expression inner = either(depth + 1);
      if (!take(")")) refuse(at_, "a parenthesis is not closed");
      return inner;
    }
    return comparison(depth);
  }

  void check_depth(int depth) {
    if (depth > deepest) refuse(at_, "too many parentheses within each other");
  }

  Expression comparison(int depth) {
    Expression left = operand(depth);
    skip();
    std::size_t at = at_;
    for (std::string_view sign : {"==", "!=", "<=", ">=", "<", ">"}) {
      if (!take(sign)) continue;
      Expression right = operand(depth);
      Expression whole = join(Expression::Kind::compare, std::move(left), std::move(right));
      whole.text = sign;
      whole.at = at;
      return whole;
    }
    if (peek() == '=') refuse(at_, "a comparison is written ==");
    // Alone: whether it is not 0.
    Expression zero{.kind = Expression::Kind::number, .text = "0", .number = 0, .at = at, .of = {}};
    Expression whole = join(Expression::Kind::compare, std::move(left), std::move(zero));
    whole.text = "!=";
    return whole;
  }

  // What is cast to at a parenthesis: "(struct file *)", "(u32)"; where it ends, or nothing if it is no cast.
  std::optional<std::size_t> cast_end() const {
    std::size_t end = text_.find(')', at_);
    if (end == text_.npos) return {};
    std::string_view inner = text_.substr(at_ + 1, end - at_ - 1);
    bool stars = false;
    while (!inner.empty() && (blank(inner.back()) || inner.back() == '*')) {
      stars |= inner.back() == '*';
      inner.remove_suffix(1);
    }
    if (inner.empty() || !std::all_of(inner.begin(), inner.end(), [](char c) { return name_part(c) || blank(c); }))
      return {};
    std::string_view head = inner.substr(0, inner.find_first_of(blanks));
    bool type = head == "struct" || head == "union" || head == "enum" || number_type(inner).bits != 0;
    return stars || type ? std::optional(end) : std::nullopt;
  }

  // Whether the parenthesis here belongs to an operand, "(u32)arg0" or "((struct file *)arg0)->f_pos", not to a group.
  bool begins_operand() const {
    if (cast_end()) return true;
    int open = 0;
    for (std::size_t i = at_; i < text_.size(); i++) {
      open += text_[i] == '(' ? 1 : text_[i] == ')' ? -1 : 0;
      if (open == 0) return text_.substr(i + 1, 1).find_first_of(".[") == 0 || text_.substr(i + 1, 2) == "->";
    }
    return false;
  }

  Expression operand(int depth) {
    skip();
    check_depth(depth);
    if (peek() == '"') return string();
    if (peek() == '-' || (peek() >= '0' && peek() <= '9')) return number();
    if (peek() == '*') {
      Expression element{.kind = Expression::Kind::element, .text = {}, .number = 0, .at = at_++, .of = {}};
      element.of.push_back(operand(depth + 1));
      return element;
    }
    if (peek() == '(') return parenthesis(depth);
    if (!name_start(peek())) refuse(at_, "expected a name, a number or a \"string\" here");
    return parts(name());
  }

  Expression parenthesis(int depth) {
    std::size_t begin = at_;
    if (auto end = cast_end()) {
      Expression cast{.kind = Expression::Kind::cast,
                      .text = std::string(text_.substr(at_ + 1, *end - at_ - 1)),
                      .number = 0,
                      .at = begin,
                      .of = {}};
      at_ = *end + 1;
      cast.of.push_back(operand(depth + 1));
      return cast;
    }
    at_++;
    Expression inner = operand(depth + 1);
    if (!take(")")) refuse(at_, "a parenthesis is not closed", begin);
    return parts(std::move(inner));
  }

  // Members and elements behind a name: "->d_name.name[0]".
  Expression parts(Expression whole) {
    for (int count = 0;; count++) {
      if (count > deepest) refuse(at_, "too many members within each other");
      Expression next{.kind = Expression::Kind::member, .text = {}, .number = 0, .at = at_, .of = {}};
      if (peek() == '[') {
        at_++;
        next.kind = Expression::Kind::element;
        next.number = number().number;
        if (!take("]")) refuse(at_, "an element is written [N]", next.at);
      } else if (peek() == '.' || (peek() == '-' && peek(1) == '>')) {
        at_ += peek() == '.' ? 1 : 2;
        if (!name_start(peek())) refuse(at_, "expected the name of a member here");
        next.at = at_;
        next.text = name().text;
      } else {
        return whole;
      }
      next.of.push_back(std::move(whole));
      whole = std::move(next);
    }
  }

  Expression name() {
    std::size_t begin = at_;
    while (name_part(peek())) at_++;
    return {.kind = Expression::Kind::name,
            .text = std::string(text_.substr(begin, at_ - begin)),
            .number = 0,
            .at = begin,
            .of = {}};
  }

  Expression number() {
    std::size_t begin = at_;
    bool minus = peek() == '-';
    if (minus) at_++;
    int base = peek() == '0' && (peek(1) | 32) == 'x' ? 16 : 10;
    if (base == 16) at_ += 2;
    std::uint64_t value = 0;
    auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value, base);
    if (error != std::errc()) refuse(begin, "expected a number of at most 64 bits");
    at_ = static_cast<std::size_t>(end - text_.data());
    for (auto [unit, ns] : time_units) {
      if (base == 16 || !text_.substr(at_).starts_with(unit) || name_part(peek(unit.size()))) continue;
      if (value > UINT64_MAX / ns) refuse(begin, "expected a number of at most 64 bits");
      value *= ns;
      at_ += unit.size();
      break;
    }
    if (name_part(peek())) refuse(begin, "expected a number: digits, or 0x and hexadecimal ones, or a time like 5ms");
    return {.kind = Expression::Kind::number,
            .text = std::string(text_.substr(begin, at_ - begin)),
            .number = minus ? 0 - value : value,
            .at = begin,
            .of = {}};
  }

  Expression string() {
    Expression whole{.kind = Expression::Kind::string, .text = {}, .number = 0, .at = at_++, .of = {}};
    while (at_ < text_.size() && peek() != '"') {
      if (peek() == '\\' && at_ + 1 < text_.size()) at_++;
      whole.text += text_[at_++];
    }
    if (!take("\"")) refuse(whole.at, "the string that begins here has no end");
    return whole;
  }

  void shown() {
    std::size_t begin = at_;
    if (!name_start(peek()) && peek() != '(' && peek() != '*')
      refuse(at_, "expected an expression here, like arg0 or arg1:str");
    ShownExpression one{.expression = operand(0), .format = {}, .text = {}};
    one.text = text_.substr(begin, at_ - begin);
    if (peek() == ':') one.format = format(++at_);
    if (at_ < text_.size() && !blank(peek()))
      refuse(at_, "an expression ends here; the next one follows after a blank");
    // A second value of one name is told apart by its format.
    for (const ShownExpression& other : probe_.shown)
      if (other.text == one.text) one.text = text_.substr(begin, at_ - begin);
    if (probe_.shown.size() == FETCH_VALUES) refuse(begin, cat("a probe shows ", FETCH_VALUES, " values at most"));
    probe_.shown.push_back(std::move(one));
  }

  Format format(std::size_t begin) {
    while (at_ < text_.size() && !blank(text_[at_])) at_++;
    std::string_view word = text_.substr(begin, at_ - begin);
    for (const FormatName& one : format_names)
      if (word == one.name) return {one.kind, 0};
    if (word.starts_with("buf(") && word.ends_with(')')) {
      auto size = parse_number(word.substr(4, word.size() - 5));
      if (size && *size >= 1 && *size < FETCH_STRING_MAX)
        return {Format::Kind::bytes, static_cast<std::uint32_t>(*size)};
      refuse(begin, cat("buf(N) takes 1 to ", FETCH_STRING_MAX - 1, " bytes"));
    }
    std::vector<std::string> formats = {"buf"};
    std::string all;
    for (const FormatName& one : format_names) {
      formats.emplace_back(one.name);
      all += cat(':', one.name, ' ');
    }
    refuse(begin, cat("there is no format ", word, suggestion(word, formats), "; there are ", all, ":buf(N)"));
  }

  Probe& probe_;
  std::string_view text_;
  std::size_t at_;
};

// Where the text's words begin that start a probe, blanks within filters and strings left alone.
std::vector<std::size_t> probe_starts(std::string_view text, std::string_view implied) {
  std::vector<std::size_t> starts;
  bool in_filter = false, in_string = false;
  for (std::size_t i = 0; i < text.size(); i++) {
    bool first = i == 0 || blank(text[i - 1]), last = i + 1 == text.size() || blank(text[i + 1]);
    if (in_string) {
      if (text[i] == '\\') i++;
      in_string = i < text.size() && text[i] != '"';
    } else if (in_filter) {
      if (text[i] == '"') in_string = true;
      in_filter = !(text[i] == '/' && last);
    } else if (first && text[i] == '/' && !starts.empty()) {
      in_filter = true;
    } else if (first && !blank(text[i])) {
      std::string_view word = text.substr(i, text.find_first_of(blanks, i) - i);
      std::string kind(word.substr(0, word.find(':')));
      bool colon = word.find(':') != word.npos;
      bool known = std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
      if ((colon && known) || std::find(alone.begin(), alone.end(), word) != alone.end() ||
          (colon && !implied.empty() && !begins_expression(word)) || i == 0)
        starts.push_back(i);
    }
  }
  return starts;
}

Probe parse_one(std::string text, std::string_view implied) {
  Probe probe;
  while (!text.empty() && blank(text.back())) text.pop_back();
  probe.text = std::move(text);
  std::string_view all = probe.text, head = all.substr(0, all.find_first_of(blanks));
  std::size_t colon = head.find(':');
  std::string kind(head.substr(0, colon));
  bool known = colon != head.npos && std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
  if (std::find(alone.begin(), alone.end(), head) != alone.end()) {
    probe.kind = head;
  } else if (known) {
    probe.kind = kind;
    probe.target_at = colon + 1;
  } else if (!implied.empty()) {
    probe.kind = implied;
  } else {
    refuse_probe(probe, 0, cat("a probe begins with its kind and a colon", suggestion(kind, kinds)));
  }
  if (probe.kind != head) probe.target = head.substr(probe.target_at);
  Parser(probe, probe.text, head.size()).rest();
  return probe;
}

}  // namespace

NumberType number_type(std::string_view name) {
  static const std::pair<std::string_view, NumberType> all[] = {
      {"char", {8, true}},
      {"signed char", {8, true}},
      {"unsigned char", {8, false}},
      {"short", {16, true}},
      {"unsigned short", {16, false}},
      {"int", {32, true}},
      {"unsigned int", {32, false}},
      {"unsigned", {32, false}},
      {"long", {64, true}},
      {"unsigned long", {64, false}},
      {"long long", {64, true}},
      {"unsigned long long", {64, false}},
      {"bool", {8, false}},
      {"size_t", {64, false}},
      {"ssize_t", {64, true}},
      {"int8_t", {8, true}},
      {"uint8_t", {8, false}},
      {"int16_t", {16, true}},
      {"uint16_t", {16, false}},
      {"int32_t", {32, true}},
      {"uint32_t", {32, false}},
      {"int64_t", {64, true}},
      {"uint64_t", {64, false}},
      {"s8", {8, true}},
      {"u8", {8, false}},
      {"s16", {16, true}},
      {"u16", {16, false}},
      {"s32", {32, true}},
      {"u32", {32, false}},
      {"s64", {64, true}},
      {"u64", {64, false}},
      {"pid_t", {32, true}},
  };
  for (const auto& [known, type] : all)
    if (known == name) return type;
  return {};
}

void refuse_probe(const Probe& probe, std::size_t at, const std::string& why) {
  at = std::min(at, probe.text.size());
  std::string shown;
  append_visible(shown, std::string_view(probe.text).substr(0, at));
  shown += "▶";
  append_visible(shown, std::string_view(probe.text).substr(at));
  throw Failure(Exit::usage, cat(shown, ": ", why));
}

std::vector<Probe> parse_probes(const std::vector<std::string>& words, std::string_view implied) {
  std::string text;
  for (const std::string& word : words) text += cat(text.empty() ? "" : " ", word);
  text.erase(0, std::min(text.size(), text.find_first_not_of(blanks)));
  auto starts = probe_starts(text, implied);
  std::vector<Probe> probes;
  for (std::size_t i = 0; i < starts.size(); i++) {
    std::size_t end = i + 1 < starts.size() ? starts[i + 1] : text.size();
    probes.push_back(parse_one(text.substr(starts[i], end - starts[i]), implied));
  }
  return probes;
}

}  // namespace kit
