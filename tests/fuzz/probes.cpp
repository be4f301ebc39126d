// SPDX-License-Identifier: BSD-2-Clause
// The probe language on any text, by a parser that is made to end at any wrong address or number.
#include "case.hpp"
#include "kit/failure.hpp"
#include "kit/probe.hpp"

TEST_CASE("no text makes the parser fall over") {
  const std::string pieces[] = {"a:b", " ",      "/",   "arg0", "==",    "\"",           "\\",   "(",
                                ")",   "!",      "&&",  "||",   "-1",    "0x",           ":str", ":",
                                "\n",  "buf(3)", "end", "<",    ">",     "uprobe:",      "->",   ".x",
                                "[",   "]",      "7ms", "*",    "(u32)", "(struct f *)", "5s"};
  std::uint64_t random = 1;
  int refused = 0, taken = 0;
  for (int round = 0; round < 40000; round++) {
    std::string text;
    for (int i = 0; i < 12; i++) {
      random = random * 6364136223846793005u + 1442695040888963407u;
      text += pieces[(random >> 33) % std::size(pieces)];
    }
    try {
      kit::parse_probes({text}, round % 2 ? "usdt" : "");
      taken++;
    } catch (const kit::Failure& failure) {
      CHECK(std::string_view(failure.what()).find("▶") != std::string_view::npos);
      refused++;
    }
  }
  CHECK(refused > 1000);
  CHECK(taken > 10);
}
