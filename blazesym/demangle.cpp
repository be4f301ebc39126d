// SPDX-License-Identifier: BSD-2-Clause
#include "demangle.hpp"

#include <cxxabi.h>

#include <cstdint>
#include <cstdlib>
#include <memory>

namespace blazesym {
namespace {

constexpr std::size_t longest = 4096;  // of a mangled name and of what comes of it; longer ones stay as they are
constexpr int deepest = 64;

bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Rust's old mangling is C++'s, with a hash as the last part and words for signs: "core::fmt::h0123456789abcdef".
bool is_old_rust(std::string_view name) {
  if (name.size() < 20 || name[name.size() - 19] != ':' || name[name.size() - 18] != ':' ||
      name[name.size() - 17] != 'h')
    return false;
  for (char c : name.substr(name.size() - 16))
    if (!is_hex(c)) return false;
  return true;
}

struct Sign {
  std::string_view word, sign;
};
constexpr Sign old_rust_signs[] = {{"$LT$", "<"},  {"$GT$", ">"},  {"$u20$", " "}, {"$u7b$", "{"}, {"$u7d$", "}"},
                                   {"$RF$", "&"},  {"$LP$", "("},  {"$RP$", ")"},  {"$C$", ","},   {"$BP$", "*"},
                                   {"$SP$", "@"},  {"$u5b$", "["}, {"$u5d$", "]"}, {"$u27$", "'"}, {"$u3b$", ";"},
                                   {"$u2b$", "+"}, {"..", "::"}};

std::string old_rust(std::string_view name) {
  name.remove_suffix(19);
  std::string out;
  while (!name.empty()) {
    std::size_t taken = 0;
    // A part that would begin with a sign has an underscore before it.
    if (name.starts_with("_$") && (out.empty() || out.ends_with("::"))) name.remove_prefix(1);
    for (const Sign& sign : old_rust_signs) {
      if (!name.starts_with(sign.word)) continue;
      out += sign.sign;
      taken = sign.word.size();
      break;
    }
    if (taken == 0) out += name[0], taken = 1;
    name.remove_prefix(taken);
  }
  return out;
}

// Rust's new mangling ("v0", RFC 2603), without hashes and, in types, without lifetimes' names.
class NewRust {
 public:
  explicit NewRust(std::string_view text) : text_(text) {}
  // Empty where it is not well formed.
  std::string name() {
    path();
    return bad_ ? std::string() : std::move(out_);
  }

 private:
  struct Depth {
    explicit Depth(NewRust& of) : of_(of) {
      if (++of_.depth_ > deepest) of_.bad_ = true;
    }
    ~Depth() { of_.depth_--; }
    NewRust& of_;
  };

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  char next() {
    if (at_ >= text_.size()) bad_ = true;
    return bad_ ? '\0' : text_[at_++];
  }
  bool eat(char c) {
    if (peek() != c) return false;
    at_++;
    return true;
  }
  void put(std::string_view text) {
    if (out_.size() + text.size() > longest) bad_ = true;
    if (!bad_ && !quiet_) out_ += text;
  }

  // "_" is 0, "0_" 1, "Z_" 62.
  std::uint64_t base62() {
    if (eat('_')) return 0;
    std::uint64_t value = 0;
    for (char c = next(); c != '_' && !bad_; c = next()) {
      unsigned digit = is_digit(c)            ? c - '0'
                       : c >= 'a' && c <= 'z' ? c - 'a' + 10
                       : c >= 'A' && c <= 'Z' ? c - 'A' + 36
                                              : 62;
      if (digit > 61 || value > UINT64_MAX / 62 - 62) bad_ = true;
      value = value * 62 + digit;
    }
    return value + 1;
  }
  std::uint64_t disambiguator() { return eat('s') ? base62() + 1 : 0; }

  std::string_view identifier() {
    bool punycode = eat('u');
    std::size_t size = 0;
    if (!is_digit(peek())) bad_ = true;
    while (is_digit(peek()) && size < longest) size = size * 10 + static_cast<std::size_t>(next() - '0');
    eat('_');
    if (bad_ || size > text_.size() - at_) {
      bad_ = true;
      return {};
    }
    std::string_view word = text_.substr(at_, size);
    at_ += size;
    (void)punycode;  // shown as it is encoded
    return word;
  }

  // What stands at an earlier place.
  template <typename Read>
  void back(Read read) {
    std::size_t begin = at_ - 1, target = base62(), after = at_;
    if (bad_ || target >= begin) {
      bad_ = true;
      return;
    }
    at_ = target;
    read();
    at_ = after;
  }

  void impl_path() {
    disambiguator();
    bool was = quiet_;
    quiet_ = true;
    path();
    quiet_ = was;
  }

  void nested() {
    char space = next();
    path();
    std::uint64_t number = disambiguator();
    std::string_view word = identifier();
    if (space >= 'A' && space <= 'Z') {
      put(space == 'C' ? "::{closure" : space == 'S' ? "::{shim" : "::{");
      if (!word.empty()) put(":"), put(word);
      put("#" + std::to_string(number) + "}");
    } else if (!word.empty()) {
      put("::");
      put(word);
    }
  }

  void list(std::string_view between, bool types) {
    for (bool first = true; !bad_ && !eat('E'); first = false) {
      if (!first) put(between);
      types ? type() : argument();
    }
  }

  void path() {
    Depth depth(*this);
    if (bad_) return;
    switch (next()) {
      case 'C':
        disambiguator();
        put(identifier());
        break;
      case 'M':
        impl_path();
        put("<"), type(), put(">");
        break;
      case 'X': impl_path(); [[fallthrough]];
      case 'Y': put("<"), type(), put(" as "), path(), put(">"); break;
      case 'N': nested(); break;
      case 'I':
        path();
        put("::<"), list(", ", false), put(">");
        break;
      case 'B': back([this] { path(); }); break;
      default: bad_ = true;
    }
  }

  void argument() {
    if (eat('L')) {
      base62();
      put("'_");
    } else if (eat('K')) {
      constant();
    } else {
      type();
    }
  }

  void constant() {
    Depth depth(*this);
    if (bad_) return;
    if (eat('p')) return put("_");
    if (eat('B')) return back([this] { constant(); });
    char kind = next();
    if (eat('n')) put("-");
    std::size_t begin = at_;
    while (is_hex(peek())) at_++;
    std::string digits(text_.substr(begin, at_ - begin));
    if (!eat('_') || digits.size() > 16) bad_ = true;
    std::uint64_t value = std::strtoull(digits.c_str(), nullptr, 16);
    put(kind == 'b' ? (value ? "true" : "false") : std::to_string(value));
  }

  static std::string_view basic(char c) {
    constexpr std::string_view names[] = {"i8",    "bool", "char", "f64", "str",  "f32",  "",    "u8", "isize",
                                          "usize", "",     "i32",  "u32", "i128", "u128", "_",   "",   "",
                                          "i16",   "u16",  "()",   "...", "",     "i64",  "u64", "!"};
    return c >= 'a' && c <= 'z' ? names[c - 'a'] : std::string_view();
  }

  void pointer(std::string_view sign) {
    put(sign);
    if (eat('L')) base62();
    type();
  }

  void function() {
    if (eat('G')) base62();
    if (eat('U')) put("unsafe ");
    if (eat('K')) {
      put("extern \"");
      if (eat('C'))
        put("C");
      else
        put(identifier());
      put("\" ");
    }
    put("fn("), list(", ", true), put(")");
    if (eat('u')) return;
    put(" -> ");
    type();
  }

  void traits() {
    put("dyn ");
    if (eat('G')) base62();
    for (bool first = true; !bad_ && !eat('E'); first = false) {
      if (!first) put(" + ");
      path();
      while (eat('p')) {
        put("<"), put(identifier()), put(" = "), type(), put(">");
      }
    }
    if (eat('L')) base62();
  }

  void type() {
    Depth depth(*this);
    if (bad_) return;
    char c = peek();
    if (std::string_view name = basic(c); !name.empty()) {
      at_++;
      return put(name);
    }
    switch (c) {
      case 'A': at_++, put("["), type(), put("; "), constant(), put("]"); break;
      case 'S': at_++, put("["), type(), put("]"); break;
      case 'T': at_++, put("("), list(", ", true), put(")"); break;
      case 'R': at_++, pointer("&"); break;
      case 'Q': at_++, pointer("&mut "); break;
      case 'P': at_++, pointer("*const "); break;
      case 'O': at_++, pointer("*mut "); break;
      case 'F': at_++, function(); break;
      case 'D': at_++, traits(); break;
      case 'B': at_++, back([this] { type(); }); break;
      default: path();
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string out_;
  int depth_ = 0;
  bool bad_ = false, quiet_ = false;
};

}  // namespace

std::string demangle(std::string_view name) {
  if (name.size() > longest) return std::string(name);
  if (name.starts_with("_R")) {
    std::string plain = NewRust(name.substr(2)).name();
    return plain.empty() ? std::string(name) : plain;
  }
  if (!name.starts_with("_Z")) return std::string(name);
  int status = 0;
  std::unique_ptr<char, void (*)(void*)> plain(
      abi::__cxa_demangle(std::string(name).c_str(), nullptr, nullptr, &status), std::free);
  if (status != 0 || !plain) return std::string(name);
  std::string_view text = plain.get();
  return is_old_rust(text) ? old_rust(text) : std::string(text);
}

}  // namespace blazesym
