// SPDX-License-Identifier: BSD-2-Clause
// The entry of every test: ends the output with "N passed, N failed, N skipped", counting cases.
#if !__has_include(<catch2/catch_all.hpp>)
#define CATCH_CONFIG_RUNNER
#endif
#include "case.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

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
std::string current, reason, feature;
std::chrono::steady_clock::time_point began;

// COREKIT_CASES is the number of a descriptor to which each case's beginning and end are told at once, in fields
// between tabs: whoever waits for a guest knows from it how far that came.
int report_fd() {
  static const int fd = [] {
    const char* given = std::getenv("COREKIT_CASES");
    int number = given ? std::atoi(given) : -1;
    if (number >= 0) fcntl(number, F_SETFD, FD_CLOEXEC);
    return number;
  }();
  return fd;
}

void report(const char* what, const std::string& more = {}) {
  if (report_fd() < 0) return;
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  dprintf(report_fd(), "%s\t%s\t%.2f\t%s\n", what, current.c_str(), seconds, more.c_str());
}

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
    feature.clear();
    began = std::chrono::steady_clock::now();
    report("begin");
  }

  void testCaseEnded(const Catch::TestCaseStats& stats) override {
    if (!stats.totals.assertions.allOk()) {
      counts.failed++;
      std::printf("failed: %s\n", current.c_str());
      report("failed");
    } else if (!reason.empty()) {
      counts.skipped++;
      std::printf("skipped: %s: %s\n", current.c_str(), reason.c_str());
      report("skipped", feature + "\t" + reason);
    } else if (stats.totals.assertions.total() == 0) {
      counts.failed++;
      std::printf("failed: %s: nothing was asked\n", current.c_str());
      report("failed");
    } else {
      counts.passed++;
      report("passed");
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

void test::skip(const std::string& why, const std::string& lacking) {
  reason = why.empty() ? "no reason given" : why;
  feature = lacking;
}

int main(int argc, char** argv) {
  int status = Catch::Session().run(argc, argv);
  if (status != 0 && counts.failed == 0) counts.failed = 1;
  if (counts.ran || status != 0) print_counts();
  return status || counts.failed ? 1 : 0;
}
