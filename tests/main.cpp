// SPDX-License-Identifier: BSD-2-Clause
// The entry of every test: ends the output with "N passed, N failed, N skipped", counting cases.
#if !__has_include(<catch2/catch_all.hpp>)
#define CATCH_CONFIG_RUNNER
#endif
#include "case.hpp"

#include <cstdio>

#if __has_include(<catch2/catch_all.hpp>)
using ListenerBase = Catch::EventListenerBase;
#else
using ListenerBase = Catch::TestEventListenerBase;
#endif

namespace {

struct Counts {
  int passed = 0, failed = 0, skipped = 0;
  bool ran = false;
};
Counts counts;
std::string current, reason;

void print_counts() {
  std::printf("%d passed, %d failed, %d skipped\n", counts.passed, counts.failed, counts.skipped);
  std::fflush(stdout);
}

// Counts when a case ends and prints when the run does: Catch2 ends both also when a case crashes.
class Counter : public ListenerBase {
 public:
  using ListenerBase::ListenerBase;

  void testCaseStarting(const Catch::TestCaseInfo& info) override {
    current = info.name;
    reason.clear();
  }

  void testCaseEnded(const Catch::TestCaseStats& stats) override {
    if (!stats.totals.assertions.allOk()) {
      counts.failed++;
      std::printf("failed: %s\n", current.c_str());
    } else if (!reason.empty()) {
      counts.skipped++;
      std::printf("skipped: %s: %s\n", current.c_str(), reason.c_str());
    } else {
      counts.passed++;
    }
    std::fflush(stdout);
  }

  void testRunEnded(const Catch::TestRunStats& stats) override {
    ListenerBase::testRunEnded(stats);
    counts.ran = true;
    if (stats.aborting && counts.failed == 0) counts.failed = 1;
  }
};

CATCH_REGISTER_LISTENER(Counter)

}  // namespace

void test::skip(const std::string& why) { reason = why.empty() ? "no reason given" : why; }

int main(int argc, char** argv) {
  int status = Catch::Session().run(argc, argv);
  if (status != 0 && counts.failed == 0) counts.failed = 1;
  if (counts.ran || status != 0) print_counts();
  return status ? 1 : 0;
}
