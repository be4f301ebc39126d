// SPDX-License-Identifier: BSD-2-Clause
// The probe language, and arguments of USDT probes as assemblers write them.
#include "kit/probe.hpp"

#include <elf.h>

#include "case.hpp"
#include "kit/usdt.hpp"

namespace {

using Kind = kit::Expression::Kind;

std::string refusal(const std::string& text) {
  try {
    kit::parse_probes({text}, "usdt");
  } catch (const kit::Failure& failure) {
    CHECK(failure.code() == kit::Exit::usage);
    return failure.what();
  }
  return "";
}

// An argument's steps in short.
std::string steps(const char* text, unsigned machine = EM_X86_64) {
  auto symbol = [](std::string_view name) {
    return name == "counter" ? std::optional<std::uint64_t>(0x5000) : std::nullopt;
  };
  kit::UsdtArgument argument = kit::parse_usdt_argument(text, machine, 0x1000, symbol);
  if (!argument.refused.empty()) return "refused";
  std::string out;
  for (const fetch_step& step : argument.steps) {
    std::string number = std::to_string(static_cast<std::int64_t>(step.number)), size = std::to_string(step.size);
    switch (step.op) {
      case FETCH_CONSTANT: out += "=" + number; break;
      case FETCH_REGISTER: out += "r" + std::to_string(step.offset / 8); break;
      case FETCH_ADD_REGISTER: out += "+r" + std::to_string(step.offset / 8) + "<<" + size; break;
      case FETCH_ADD: out += "+" + number; break;
      case FETCH_READ_USER: out += "*" + size; break;
      case FETCH_SHIFT: out += ">>" + size; break;
      case FETCH_CAST: out += (step.flag ? "i" : "u") + size; break;
      default: out += "!"; break;
    }
    out += ' ';
  }
  return out;
}

// Walks a filter as the program does, on given arguments.
bool wanted(const std::string& filter, const std::vector<std::int64_t>& arguments) {
  auto probes = kit::parse_probes({"a:b", filter}, "usdt");
  kit::FetchPlans plans;
  std::vector<std::string> names;
  plans.add(
      probes.at(0),
      [&](const kit::Expression& e) -> std::optional<kit::Fetched> {
        if (!e.text.starts_with("arg")) return {};
        auto value = static_cast<__u64>(arguments.at(e.text[3] - '0'));
        fetch_step step{.op = FETCH_CONSTANT, .index = 0, .size = 0, .flag = 0, .offset = 0, .number = value};
        return kit::Fetched{.steps = {step}, .bits = 64, .is_signed = true, .kernel = false, .comm = false};
      },
      names);
  std::int64_t value = 0;
  bool truth = false;
  const fetch_plan& plan = plans.plan(0);
  for (std::size_t i = 0; i < FETCH_FILTER_STEPS; i++) {
    const fetch_step& step = plan.filter[i];
    auto number = static_cast<std::int64_t>(step.number);
    if (step.op == FETCH_END) return true;
    if (step.op == FETCH_WANTED) return step.flag;
    if (step.op == FETCH_CONSTANT) value = number;
    if (step.op == FETCH_COMPARE)
      truth = step.index & (value < number ? FETCH_LESS : value == number ? FETCH_EQUAL : FETCH_MORE);
    if (step.op == FETCH_JUMP && truth == !!step.flag) i = step.index - 1u;
  }
  throw std::runtime_error("the filter has no answer");
}

}  // namespace

TEST_CASE("words become probes with filters and expressions") {
  auto probes = kit::parse_probes(
      {"usdt:/bin/x:a:b", "/arg0 > 1 && arg1 == \"x y/ z\"/", "arg2:str", "arg3:buf(16)", "a:other pid arg1:x"},
      "usdt");
  REQUIRE(probes.size() == 2);
  CHECK(probes[0].kind == "usdt");
  CHECK(probes[0].target == "/bin/x:a:b");
  REQUIRE(probes[0].filter);
  CHECK(probes[0].filter->kind == Kind::both);
  CHECK(probes[0].filter->of[1].of[1].text == "x y/ z");
  REQUIRE(probes[0].shown.size() == 2);
  CHECK(probes[0].shown[1].format.size == 16);
  CHECK(probes[1].target == "a:other");
  CHECK(probes[1].shown.size() == 2);
}

TEST_CASE("what is wrong is marked where it is") {
  CHECK(refusal("a:b /arg0 = 1/") == "a:b /arg0 ▶= 1/: a comparison is written ==");
  CHECK(refusal("a:b /arg0 == 1").find("▶/arg0 == 1") != std::string::npos);
  CHECK(refusal("a:b /arg0 == \"x/").find("▶\"x/") != std::string::npos);
  CHECK(refusal("a:b /(arg0 == 1/").find("not closed") != std::string::npos);
  CHECK(refusal("a:b arg0:xx").find("arg0:▶xx") != std::string::npos);
  CHECK(refusal("a:b arg0:buf(0)").find("buf(N)") != std::string::npos);
  CHECK(refusal("a:b /arg0 == 99999999999999999999/").find("64 bits") != std::string::npos);
  CHECK(refusal("a:b 12").find("▶12") != std::string::npos);
  CHECK(refusal("a:b /" + std::string(100, '(')).find("too many") != std::string::npos);
}

TEST_CASE("filters answer as C does") {
  CHECK(wanted("/arg0 == 1/", {1}));
  CHECK_FALSE(wanted("/arg0 == 1/", {2}));
  CHECK(wanted("/-5 < arg0/", {-4}));
  CHECK(wanted("/arg0 == 0x10/", {16}));
  CHECK(wanted("/arg0/", {3}));
  CHECK_FALSE(wanted("/!arg0/", {3}));
  for (int bits = 0; bits < 8; bits++) {
    std::vector<std::int64_t> v = {bits & 1, bits >> 1 & 1, bits >> 2 & 1};
    bool a = v[0], b = v[1], c = v[2];
    INFO(bits);
    CHECK(wanted("/arg0 && arg1 || arg2/", v) == ((a && b) || c));
    CHECK(wanted("/arg0 || arg1 && arg2/", v) == (a || (b && c)));
    CHECK(wanted("/(arg0 || arg1) && arg2/", v) == ((a || b) && c));
    CHECK(wanted("/!(arg0 || arg1) && !arg2/", v) == (!(a || b) && !c));
    CHECK(wanted("/!(arg0 && !(arg1 || arg2))/", v) == !(a && !(b || c)));
    CHECK(wanted("/arg0 == 1 && arg1 != 1 || !(arg2 >= 1)/", v) == ((a && !b) || !c));
  }
}

TEST_CASE("members, elements and casts are read as C reads them") {
  auto one = [](const std::string& text) { return kit::parse_probes({"kprobe:f", text}).at(0).shown.at(0); };
  kit::Expression whole = one("path->dentry.d_name[2].name:str").expression;
  CHECK(whole.kind == Kind::member);
  CHECK(whole.text == "name");
  CHECK(whole.of[0].kind == Kind::element);
  CHECK(whole.of[0].number == 2);
  CHECK(whole.of[0].of[0].text == "d_name");
  CHECK(whole.of[0].of[0].of[0].of[0].text == "path");
  // A cast takes in all that follows, unless it stands in parentheses.
  whole = one("(struct file *)arg0->f_op").expression;
  CHECK(whole.kind == Kind::cast);
  CHECK(whole.text == "struct file *");
  CHECK(whole.of[0].kind == Kind::member);
  whole = one("((struct file *)arg0)->f_op").expression;
  CHECK(whole.kind == Kind::member);
  CHECK(whole.of[0].kind == Kind::cast);
  CHECK(one("*(u32 *)arg1").expression.kind == Kind::element);
  CHECK(one("(u32)arg1:x").format.kind == kit::Format::Kind::hex);
  CHECK(one("(unsigned int)arg1").text == "(unsigned int)arg1");
  auto filter =
      kit::parse_probes({"kprobe:f", "/((struct file *)arg0)->f_flags == 1 && (arg1 || (u8)arg2 < 5ms)/"})[0].filter;
  REQUIRE(filter);
  CHECK(filter->kind == Kind::both);
  CHECK(filter->of[0].of[0].kind == Kind::member);
  CHECK(filter->of[1].kind == Kind::either);
  CHECK(filter->of[1].of[1].of[1].number == 5'000'000);
}

TEST_CASE("what is wrong in an expression is marked, too") {
  CHECK(refusal("a:b arg0->").find("arg0->▶") != std::string::npos);
  CHECK(refusal("a:b arg0[x]").find("arg0[▶x]") != std::string::npos);
  CHECK(refusal("a:b arg0[1").find("▶[1") != std::string::npos);
  CHECK(refusal("a:b ((u32)arg0").find("▶((u32)arg0: a parenthesis is not closed") != std::string::npos);
  CHECK(refusal("a:b arg0:st").find("did you mean s") != std::string::npos);
  CHECK(refusal("a:b /arg0 < 5min/").find("▶5min") != std::string::npos);
  CHECK(refusal("a:b /arg0 == 20000000000s/").find("64 bits") != std::string::npos);
  CHECK(refusal("a:b " + std::string(100, '*') + "arg0").find("too many") != std::string::npos);
  std::string deep = "arg0";
  for (int i = 0; i < 40; i++) deep += ".x";
  CHECK(refusal("a:b " + deep).find("too many members") != std::string::npos);
}

TEST_CASE("limits are stated and kept") {
  auto plan = [](const std::string& text) -> std::string {
    try {
      kit::FetchPlans plans;
      auto value = [](const kit::Expression&) -> std::optional<kit::Fetched> { return kit::Fetched{}; };
      plans.add(kit::parse_probes({"kprobe:f", text}).at(0), value, {});
    } catch (const kit::Failure& failure) {
      return failure.what();
    }
    return "";
  };
  std::string values, filter = "/a == 1";
  for (int i = 0; i < 13; i++) values += " a" + std::to_string(i);
  CHECK(plan(values).find("12 values at most") != std::string::npos);
  for (int i = 0; i < 30; i++) filter += " || a == 1";
  CHECK(plan(filter + "/").find("32 are the limit") != std::string::npos);
  CHECK(plan("/a == \"" + std::string(200, 'x') + "\"/").find("▶") != std::string::npos);
}

TEST_CASE("values travel as text and come back") {
  for (const kit::ShownValue& value :
       {kit::ShownValue{"arg0", 'd', 32, ""}, kit::ShownValue{"state", 'e', 32, "0=NONE,1=ONE"},
        kit::ShownValue{"((struct file *)arg0)->f_pos", 'x', 64, ""},
        kit::ShownValue{"s", 't', 64, "d 0 32 a.b;x 64 64 c;"}}) {
    auto again = kit::parse_shown_value(kit::shown_value_text(value));
    REQUIRE(again);
    CHECK((again->name == value.name && again->how == value.how && again->bits == value.bits &&
           again->more == value.more));
  }
  for (const char* damaged : {"", "d", "d 5", "dx a", " "}) CHECK_FALSE(kit::parse_shown_value(damaged));
}

TEST_CASE("values are shown by what they are") {
  fetch_result result{};
  std::string tail("\x01\0\0\0\xfe\xff\xff\xffname\0\0\0\0\x7f\0\0\x01", 20);
  result.values[0] = 5;
  result.values[1] = 20;  // all of the tail
  result.values[2] = std::uint64_t{8} << 32 | 4;
  result.values[3] = 0x0100007f;  // as the network orders it
  auto cell = [&](const kit::ShownValue& shown, std::size_t index) {
    return kit::value_cell(shown, result, index, tail);
  };
  CHECK(cell({"v", 'e', 32, "4=FOUR,5=FIVE"}, 0).text() == "FIVE");
  CHECK(cell({"v", 'e', 32, "4=FOUR"}, 0).text() == "5");
  CHECK(cell({"v", 'f', 32, "1=A,4=B"}, 0).text() == "A|B");
  CHECK(cell({"v", 'f', 32, "1=A"}, 0).text() == "A|0x4");
  CHECK(cell({"v", 's', 64, ""}, 2).text() == "name");
  CHECK(cell({"v", 'i', 32, ""}, 3).text() == "127.0.0.1");
  kit::Cell whole = cell({"v", 't', 64, "u 0 32 a;d 32 32 b;s 64 64 c;u 0 1 bit;u 160 8 beyond;"}, 1);
  REQUIRE(whole.parts.size() == 5);
  CHECK(whole.parts[0].second.number == 1);
  CHECK(whole.parts[1].second.number == -2);
  CHECK(whole.parts[2].second.text() == "name");
  CHECK(whole.parts[3].second.number == 1);
  CHECK(whole.parts[4].second.number == 0);
  result.unread = 1;
  CHECK(cell({"v", 'd', 64, ""}, 0).kind == kit::Cell::Kind::unknown);
  CHECK(cell({"v", 'd', 64, ""}, 99).kind == kit::Cell::Kind::unknown);
  result.values[2] = std::uint64_t{19} << 32 | 4;  // beyond the tail, as a damaged capture may say
  CHECK(cell({"v", 's', 64, ""}, 2).kind == kit::Cell::Kind::unknown);
}

TEST_CASE("arguments of x86") {
  CHECK(steps("-4@%edi") == "r14 i32 ");
  CHECK(steps("8@%rdi") == "r14 ");
  CHECK(steps("1@%ah") == "r10 >>8 u8 ");
  CHECK(steps("-1@%dil") == "r14 i8 ");
  CHECK(steps("2@%r10w") == "r7 u16 ");
  CHECK(steps("4@%r8d") == "r9 u32 ");
  CHECK(steps("-4@$5") == "=5 i32 ");
  CHECK(steps("8@$-1") == "=-1 ");
  CHECK(steps("4@-8(%rbp)") == "r4 +-8 *4 u32 ");
  CHECK(steps("8@(%rsp)") == "r19 *8 ");
  CHECK(steps("8@16(%rax,%rbx,8)") == "r10 +r5<<3 +16 *8 ");
  CHECK(steps("8@(,%rbx,4)") == "=0 +r5<<2 *8 ");
  CHECK(steps("-4@counter(%rip)") == "r16 +16384 *4 i32 ");
  CHECK(steps("-4@counter+8(%rip)") == "r16 +16392 *4 i32 ");
  CHECK(steps("-4@other(%rip)") == "refused");
  CHECK(steps("8f@%xmm0") == "refused");
  CHECK(steps("3@%rdi") == "refused");
  CHECK(steps("8@%bogus") == "refused");
  CHECK(steps("8@(%rax,%rbx,3)") == "refused");
  CHECK(steps("8@") == "refused");
  CHECK(steps("") == "refused");
  CHECK(steps("4@8(%esp)", EM_386) == "r19 +8 u32 *4 u32 ");
}

TEST_CASE("arguments of arm64") {
  CHECK(steps("-4@x0", EM_AARCH64) == "r0 i32 ");
  CHECK(steps("8@x30", EM_AARCH64) == "r30 ");
  CHECK(steps("-4@[sp, 12]", EM_AARCH64) == "r31 +12 *4 i32 ");
  CHECK(steps("8@[x1]", EM_AARCH64) == "r1 *8 ");
  CHECK(steps("8@[x1, x2]", EM_AARCH64) == "r1 +r2<<0 *8 ");
  CHECK(steps("4@5", EM_AARCH64) == "=5 u32 ");
  CHECK(steps("8@xzr", EM_AARCH64) == "=0 ");
  CHECK(steps("8@x31", EM_AARCH64) == "refused");
  auto apart = kit::split_usdt_arguments("-4@[sp, 12] 8@x1  4@5");
  REQUIRE(apart.size() == 3);
  CHECK(apart[0] == "-4@[sp, 12]");
  CHECK(apart[2] == "4@5");
}

TEST_CASE("the probes of a program are read from its notes") {
  kit::Elf elf(test::trigger_path("marks"));
  auto probes = kit::usdt_probes(elf);
  REQUIRE(probes.size() == 3);
  CHECK(probes[0].name == "guarded");
  CHECK(probes[0].semaphore != 0);
  CHECK(probes[1].name == "plain");
  CHECK(probes[1].arguments.empty());
  CHECK(probes[2].semaphore == 0);
  REQUIRE(probes[2].arguments.size() == 4);
  CHECK(probes[2].arguments[0].is_signed);
  CHECK(probes[2].arguments[1].bits == 8);
  CHECK(elf.bytes_at(probes[1].address, 1) == "\x90");
}

TEST_CASE("one filter of many places is one plan, and a string one glob") {
  kit::FetchPlans plans;
  auto resolve = [](const kit::Expression&) -> std::optional<kit::Fetched> { return kit::Fetched{.text = true}; };
  auto probe = kit::parse_probes({"kprobe:f", "/arg0 == \"text*\" || arg0 == \"text*\"/", "arg0"}).at(0);
  for (int i = 0; i < 300; i++) CHECK(plans.share(probe, resolve, {}, nullptr, 0) == 0);
  CHECK(plans.count() == 1);
  auto other = kit::parse_probes({"kprobe:f", "/arg0 == \"other*\"/", "arg0"}).at(0);
  CHECK(plans.share(other, resolve, {}, nullptr, 0) == 1);
}

TEST_CASE("numbers without a sign are not compared with what they cannot be") {
  auto refusal_of = [](const std::string& filter, int bits, bool has_sign) -> std::string {
    kit::FetchPlans plans;
    kit::Fetched value{.bits = bits, .is_signed = has_sign};
    try {
      plans.add(kit::parse_probes({"kprobe:f", filter}).at(0),
                [&](const kit::Expression&) { return std::optional(value); }, {});
    } catch (const kit::Failure& failure) {
      return failure.what();
    }
    return "";
  };
  for (const char* never : {"/a < 0/", "/a >= 0/", "/!(a < 0)/", "/0 > a/", "/a == -1/", "/a > -5/"}) {
    INFO(never);
    CHECK(refusal_of(never, 64, false).find("cast it: (long)a") != std::string::npos);
    CHECK(refusal_of(never, 64, true).empty());
    CHECK(refusal_of(never, 32, true).empty());
  }
  // As C has it: the same bits.
  CHECK(refusal_of("/a == -1/", 32, false).empty());
  CHECK(refusal_of("/a < 0/", 32, false).find("cast it: (int)a") != std::string::npos);
  for (const char* text : {"/a == \"x\"/", "a:str", "a:buf(4)"}) {
    CHECK(refusal_of(text, 32, false).find("a number") != std::string::npos);
    CHECK(refusal_of(text, 64, false).empty());
  }
}

TEST_CASE("what makes a first value negative is a flag of its plan") {
  auto flags = [](const std::string& words, bool has_sign) {
    kit::FetchPlans plans;
    kit::Fetched value{.bits = 32, .is_signed = has_sign};
    plans.add(kit::parse_probes({"kprobe:f " + words}).at(0),
              [&](const kit::Expression&) { return std::optional(value); }, {});
    return plans.plan(0).flags;
  };
  CHECK(flags("a", true) == FETCH_SIGNED);
  CHECK(flags("a", false) == 0);
  CHECK(flags("a:d", false) == FETCH_SIGNED);
  CHECK(flags("a:u b", true) == 0);
}
