// SPDX-License-Identifier: BSD-2-Clause
// Text: what hostile names become on a terminal, in JSON, in CSV and for a shell; widths, durations, sizes.
#include "kit/text.hpp"

#include <nlohmann/json.hpp>
#include <random>

#include "case.hpp"

using namespace std::literals;

namespace {

template <typename Append>
std::string made(Append append, std::string_view text) {
  std::string out;
  append(out, text);
  return out;
}
std::string visible(std::string_view text) { return made(kit::append_visible, text); }
std::string json(std::string_view text) { return made(kit::append_json, text); }
std::string csv(std::string_view text) { return made(kit::append_csv, text); }
std::string shell(std::string_view text) { return made(kit::append_shell_word, text); }
std::string base64(std::string_view text) { return made(kit::append_base64, text); }

// Names that have broken other tools: controls, escape sequences, broken and overlong UTF-8, C1, overrides, quotes.
const std::vector<std::string> hostile = {
    "",
    " ",
    "plain",
    "two words",
    "tab\tnewline\nreturn\r",
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "nul\0inside"s,
    "\x7f",
    "\x80\xff",
    "\xc2\x9b"
    "31m",  // CSI as one C1 character
    "\xe2\x80\xae"
    "gpj.exe",  // right-to-left override
    "\xe2\x81\xa6isolate\xe2\x81\xa9",
    "\xd8\x9c",      // arabic letter mark
    "\xef\xbb\xbf",  // byte order mark
    "\xe2\x80\x8b",  // zero width space
    "\xe2\x80\xa8line\xe2\x80\xa9",
    "\xc0\xaf",  // overlong /
    "\xe0\x80\xaf",
    "\xf0\x80\x80\xaf",
    "\xed\xa0\x80",      // surrogate
    "\xf4\x90\x80\x80",  // above U+10FFFF
    "\xf8\x88\x80\x80\x80",
    "\xc3",  // cut short
    "\xe2\x82",
    "\xf0\x9f\x98",
    "a\xc3(",
    "gr\xc3\xbc\xc3\x9f",
    "\xe6\x97\xa5\xe6\x9c\xac",  // wide
    "\xf0\x9f\x98\x80",
    "back\\slash",
    "\"quoted\"",
    "it's",
    "$(reboot)`reboot`;|&<>*?[]~#!{}",
    "=1+2,3",
    "-n",
    "\\x1b",
};

std::vector<std::string> random_bytes(std::size_t count) {
  std::mt19937 random(1);
  std::vector<std::string> all(count);
  for (std::string& one : all) {
    one.resize(random() % 12);
    for (char& byte : one) byte = static_cast<char>(random() % 3 ? random() : 0x80 + random() % 0x60);
  }
  return all;
}

bool controls(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); i++) {
    auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x20 || byte == 0x7f) return true;
    if (byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0) return true;
  }
  return false;
}

bool acts(std::string_view text) {
  for (std::string_view mark :
       {"\xe2\x80\xae"sv, "\xe2\x80\x8f"sv, "\xe2\x81\xa6"sv, "\xd8\x9c"sv, "\xef\xbb\xbf"sv, "\xe2\x80\xa8"sv})
    if (text.find(mark) != text.npos) return true;
  return controls(text);
}

void check_everywhere(const std::string& text) {
  INFO(base64(text));
  std::string seen = visible(text), word = shell(text), value = json(text);
  CHECK(kit::valid_utf8(seen));
  CHECK_FALSE(acts(seen));
  CHECK(kit::valid_utf8(word));
  CHECK_FALSE(acts(word));
  CHECK(kit::valid_utf8(value));
  CHECK_FALSE(controls(value));
  auto parsed = nlohmann::json::parse(value, nullptr, false);
  REQUIRE(parsed.is_string());
  if (kit::valid_utf8(text)) {
    CHECK(parsed.get<std::string>() == text);
  } else {
    CHECK(parsed.get<std::string>().find("\xef\xbf\xbd") != std::string::npos);
  }
}

// What a shell reads the words as.
std::vector<std::string> read_back(const std::vector<std::string>& words) {
  std::string script = "printf '%s\\0'";
  for (const std::string& word : words) script += ' ' + shell(word);
  test::Ran ran = test::run({"bash", "-c", script}, {"LC_ALL=C.UTF-8"});
  std::vector<std::string> back;
  for (std::string_view word : kit::split_words(ran.out)) back.emplace_back(word);
  return back;
}

}  // namespace

TEST_CASE("no name acts on a terminal, breaks JSON or loses its text") {
  for (const std::string& text : hostile) check_everywhere(text);
  for (const std::string& text : random_bytes(3000)) check_everywhere(text);
}

TEST_CASE("names are shown so that they can be read back") {
  CHECK(visible("plain name") == "plain name");
  CHECK(visible("a\nb\tc\rd") == "a\\nb\\tc\\rd");
  CHECK(visible("\x1b[31m") == "\\x1b[31m");
  CHECK(visible("\\x1b") == "\\\\x1b");
  CHECK(visible("\x7f") == "\\x7f");
  CHECK(visible("\xff") == "\\xff");
  CHECK(visible("\xc2\x9b") == "\\u009b");
  CHECK(visible("\xe2\x80\xaegpj") == "\\u202egpj");
  CHECK(visible("gr\xc3\xbcn") == "gr\xc3\xbcn");
  CHECK(visible("nul\0x"sv) == "nul\\x00x");
}

TEST_CASE("UTF-8 is what RFC 3629 says it is") {
  for (std::string_view good :
       {""sv, "a"sv, "\0"sv, "\x7f"sv, "\xc2\x80"sv, "\xdf\xbf"sv, "\xe0\xa0\x80"sv, "\xed\x9f\xbf"sv, "\xee\x80\x80"sv,
        "\xef\xbf\xbf"sv, "\xf0\x90\x80\x80"sv, "\xf4\x8f\xbf\xbf"sv})
    CHECK(kit::valid_utf8(good));
  for (std::string_view bad :
       {"\x80"sv, "\xbf"sv, "\xc0\x80"sv, "\xc1\xbf"sv, "\xc2"sv, "\xc2\x41"sv, "\xe0\x9f\xbf"sv, "\xed\xa0\x80"sv,
        "\xed\xbf\xbf"sv, "\xf0\x8f\xbf\xbf"sv, "\xf4\x90\x80\x80"sv, "\xf5\x80\x80\x80"sv, "\xff"sv, "a\xe2\x82"sv})
    CHECK_FALSE(kit::valid_utf8(bad));
}

TEST_CASE("JSON strings") {
  CHECK(json("") == "\"\"");
  CHECK(json("a\"b\\c") == "\"a\\\"b\\\\c\"");
  CHECK(json("\n\t\r\b") == "\"\\n\\t\\r\\u0008\"");
  CHECK(json("\xff") == "\"\xef\xbf\xbd\"");
  CHECK(json("nul\0"sv) == "\"nul\\u0000\"");
}

TEST_CASE("base64 of RFC 4648") {
  CHECK(base64("") == "");
  CHECK(base64("f") == "Zg==");
  CHECK(base64("fo") == "Zm8=");
  CHECK(base64("foo") == "Zm9v");
  CHECK(base64("foobar") == "Zm9vYmFy");
  CHECK(base64("\xff\x00\xfe"sv) == "/wD+");
}

TEST_CASE("CSV fields of RFC 4180") {
  CHECK(csv("plain text") == "plain text");
  CHECK(csv("") == "");
  CHECK(csv("a,b") == "\"a,b\"");
  CHECK(csv("a\"b") == "\"a\"\"b\"");
  CHECK(csv("a\r\nb") == "\"a\r\nb\"");
}

TEST_CASE("words for a shell: bare where they can be") {
  CHECK(shell("ls") == "ls");
  CHECK(shell("/usr/bin/env") == "/usr/bin/env");
  CHECK(shell("") == "''");
  CHECK(shell("two words") == "'two words'");
  CHECK(shell("it's") == "'it'\\''s'");
  CHECK(shell("$(x)") == "'$(x)'");
  CHECK(shell("~root") == "'~root'");
  CHECK(shell("a\nb") == "$'a\\nb'");
}

TEST_CASE("a shell reads every word back as it was") {
  std::vector<std::string> words;
  for (const std::string& word : hostile)
    if (word.find('\0') == word.npos) words.push_back(word);
  for (const std::string& word : random_bytes(400))
    if (word.find('\0') == word.npos) words.push_back(word);
  auto back = read_back(words);
  REQUIRE(back.size() == words.size());
  for (std::size_t i = 0; i < words.size(); i++) {
    INFO(base64(words[i]) << " as " << shell(words[i]));
    CHECK(back[i] == words[i]);
  }
}

TEST_CASE("widths on a terminal") {
  CHECK(kit::width("") == 0);
  CHECK(kit::width("abc") == 3);
  CHECK(kit::width("gr\xc3\xbc\xc3\x9f") == 4);
  CHECK(kit::width("e\xcc\x81") == 1);
  CHECK(kit::width("\xe6\x97\xa5\xe6\x9c\xac") == 4);
  CHECK(kit::width("\xf0\x9f\x98\x80") == 2);
}

TEST_CASE("numbers") {
  CHECK(kit::cat(1, ' ', -2, " x ", std::uint64_t{UINT64_MAX}) == "1 -2 x 18446744073709551615");
  std::string out;
  kit::append_decimal(out, 1.5, 3);
  kit::append(out, ' ');
  kit::append_hex(out, UINT64_MAX);
  kit::append(out, ' ');
  kit::append_padded(out, 7, 3);
  kit::append_padded(out, 12345, 3);
  CHECK(out == "1.500 0xffffffffffffffff 00712345");
  out.clear();
  kit::append_decimal(out, 1.8e19, 0);
  CHECK(out == "18000000000000000000");
  out.clear();
  for (std::uint64_t number : {std::uint64_t{0}, std::uint64_t{7}, std::uint64_t{1234567}, UINT64_MAX}) {
    kit::append_thousandths(out, number);
    out += ' ';
  }
  CHECK(out == "0.000 0.007 1234.567 18446744073709551.615 ");
}

TEST_CASE("words and parts") {
  using Words = std::vector<std::string_view>;
  CHECK(kit::split_words("") == Words{});
  CHECK(kit::split_words("a\0b\0"sv) == Words{"a", "b"});
  CHECK(kit::split_words("a\0b"sv) == Words{"a", "b"});
  CHECK(kit::split_words("a\0\0"sv) == Words{"a", ""});
  CHECK(kit::split_words("\0"sv) == Words{""});
  CHECK(kit::split("a,,b", ',') == Words{"a", "", "b"});
  CHECK(kit::split("", ',') == Words{""});
}

TEST_CASE("halves are rounded up, and what is whole already stays, however large") {
  CHECK(kit::rounded(0) == 0);
  CHECK(kit::rounded(0.49999999999999994) == 0);
  CHECK(kit::rounded(0.5) == 1);
  CHECK(kit::rounded(2.5) == 3);
  CHECK(kit::rounded(4503599627370497.0) == 4503599627370497);
  CHECK(kit::rounded(9.2e18) == 9200000000000000000ULL);
}

TEST_CASE("durations") {
  CHECK(kit::parse_duration("10ns", false) == 10);
  CHECK(kit::parse_duration("1us", false) == 1000);
  CHECK(kit::parse_duration("1.5ms", false) == 1500000);
  CHECK(kit::parse_duration("2s", false) == 2000000000);
  CHECK(kit::parse_duration("1m", false) == 60000000000);
  CHECK(kit::parse_duration("0.5h", false) == 1800000000000);
  CHECK(kit::parse_duration("5", true) == 5000000000);
  CHECK(kit::parse_duration("0.25", true) == 250000000);
  CHECK_FALSE(kit::parse_duration("5", false));
  for (std::string_view wrong : {"", "s", "-1s", "1 s", " 1s", "1d", "1e3s", "inf", "nan", "infs", "nans", "0x10s",
                                 "1s1", "1ms ", "99999999999h"}) {
    INFO(wrong);
    CHECK_FALSE(kit::parse_duration(wrong, true));
  }
  CHECK(kit::duration_text(1500000000) == "1.5s");
  CHECK(kit::duration_text(20000000) == "20ms");
  CHECK(kit::duration_text(100000) == "100us");
  CHECK(kit::duration_text(7) == "7ns");
  CHECK(kit::duration_text(60000000000) == "60s");
}

TEST_CASE("sizes and numbers") {
  CHECK(kit::parse_size("100") == 100);
  CHECK(kit::parse_size("64K") == 65536);
  CHECK(kit::parse_size("4M") == 4194304);
  CHECK(kit::parse_size("1G") == 1073741824);
  CHECK(kit::parse_size("1.5K") == 1536);
  for (std::string_view wrong : {"", "K", "-1", "1k", "1KB", "1T", "1 K", "nan", "99999999999G"})
    CHECK_FALSE(kit::parse_size(wrong));
  CHECK(kit::size_text(4194304) == "4M");
  CHECK(kit::size_text(65536) == "64K");
  CHECK(kit::size_text(1000) == "1000");
  CHECK(kit::parse_number("0") == 0);
  CHECK(kit::parse_number("18446744073709551615") == UINT64_MAX);
  for (std::string_view wrong : {"", "-1", "+1", "1.0", "18446744073709551616", "0x1", "1 "})
    CHECK_FALSE(kit::parse_number(wrong));
}

TEST_CASE("the nearest of several names") {
  std::vector<std::string> names = {"--count", "--comm", "--cgroup", "--output"};
  CHECK(kit::nearest("--conut", names) == "--count");
  CHECK(kit::nearest("--outptu", names) == "--output");
  CHECK_FALSE(kit::nearest("xyzzy", names));
  CHECK(kit::suggestion("--com", names) == "; did you mean --comm?");
  CHECK(kit::suggestion("xyzzy", names) == "");
  CHECK_FALSE(kit::nearest("", {}));
}
