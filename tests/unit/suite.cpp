// SPDX-License-Identifier: BSD-2-Clause
#include "kit/suite.hpp"

#include <algorithm>

#include "case.hpp"
#include "kit/sink.hpp"

using kit::Settled;
using kit::ToolVerdict;

namespace {

Settled event(const std::string& name, const std::string& way, const std::string& misses,
              std::vector<kit::Refusal> refused) {
  return {.event = name, .way = way, .misses = misses, .parts = {}, .refused = std::move(refused), .denied = false};
}

}  // namespace

TEST_CASE("what --explain prints is read back") {
  ToolVerdict full =
      kit::parse_explanation(kit::plan_text({event("exec", "btf", "", {}), event("tree", "raw", "", {})}));
  CHECK(full.form == "full");
  CHECK(full.sees == "exec by btf, tree by raw");
  CHECK(full.lack.empty());
  CHECK(full.why.empty());

  ToolVerdict lesser = kit::parse_explanation(
      kit::plan_text({event("open", "tracepoints", "opens: of 32-bit programs", {{"fexit", "refused: EPERM"}})}));
  CHECK(lesser.form == "lesser");
  CHECK(lesser.sees == "open by tracepoints");
  CHECK(lesser.lack == std::vector<std::string>{"opens: of 32-bit programs"});
  CHECK(lesser.why == std::vector<std::string>{"fexit: refused: EPERM"});

  ToolVerdict none = kit::parse_explanation(kit::plan_text({event("open", "", "", {{"raw", "no"}, {"btf", "nor"}})}));
  CHECK(none.form == "none");
  CHECK(none.sees.empty());
  CHECK(none.lack == std::vector<std::string>{"open cannot be seen on this kernel"});
  CHECK(none.why == std::vector<std::string>{"raw: no", "btf: nor"});

  CHECK(kit::parse_explanation(kit::plan_text({})).form == "full");
  CHECK(kit::parse_explanation("opensnoop: cannot do that\n").form.empty());
  CHECK(kit::parse_explanation("").form.empty());
}

TEST_CASE("every tool is in the suite, and one that is not installed says so") {
  std::vector<std::string> known = kit::suite_tools();
  std::sort(known.begin(), known.end());
  CHECK(known == test::tools());
  ToolVerdict verdict = kit::ask_tool("no-such-tool", "unit_suite_test");
  CHECK(verdict.form.empty());
  REQUIRE(verdict.lack.size() == 1);
  CHECK(verdict.lack[0].starts_with("is not installed: /"));
  CHECK(verdict.lack[0].ends_with("/no-such-tool"));
}
