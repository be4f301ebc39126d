// SPDX-License-Identifier: BSD-2-Clause
// randomread: every read of randomness is a row, with as many bytes as it got.
#include <sys/sysmacros.h>

#include "harness.hpp"

using live::Json;
using live::Words;

namespace {

// The ways to see reads of the devices that this kernel takes.
Words ways() {
  Words all;
  for (const char* way : {"fexit", "fexit-old", "kretprobe", "kretprobe-old", "tracepoints", "btf", "raw"})
    if (live::run("randomread", {"--explain", "--attach", way, "--source", "/dev/random"}).status == 0)
      all.push_back(way);
  return all;
}

live::Result reads(const Words& options, const Words& arguments) {
  return live::trace("randomread", options, live::trigger("randoms", arguments));
}

}  // namespace

TEST_CASE("5 reads of 8 KiB are 5 rows of 8,192 bytes, in every way there is", "[each-kernel]") {
  NEEDS("root");
  CHECK_FALSE(ways().empty());
  for (const std::string& way : ways()) {
    for (const char* device : {"/dev/urandom", "/dev/random"}) {
      live::Result result = reads({"--attach", way, "--source", device}, {"5", "8192", device});
      INFO(way << ' ' << device << '\n' << result.out << result.err);
      CHECK(result.rows({{"source", device}, {"bytes", 8192}, {"error", nullptr}, {"comm", "randoms"}}).size() == 5);
      CHECK(result.rows().size() == 5);
      CHECK(result.lost() == (live::brief() ? result.skipped() : 0));
    }
  }
}

TEST_CASE("the device counts, not its name, and other devices do not") {
  NEEDS("root");
  // Where devices may be opened: not so in a /tmp that is mounted without them.
  std::string node = "/dev/corekit-test-" + std::to_string(getpid());
  REQUIRE(mknod(node.c_str(), S_IFCHR | 0600, makedev(1, 9)) == 0);
  CHECK(reads({}, {"3", "16", node}).rows({{"source", "/dev/urandom"}, {"bytes", 16}}).size() == 3);
  unlink(node.c_str());
  CHECK(reads({"--source", "/dev/urandom"}, {"3", "16", "/dev/zero"}).rows().empty());
  CHECK(reads({"--source", "/dev/random"}, {"3", "16", "/dev/urandom"}).rows().empty());
}

TEST_CASE("getrandom is shown with what it got, or why it failed") {
  NEEDS("root");
  CHECK(reads({}, {"4", "100", "getrandom"}).rows({{"source", "getrandom"}, {"bytes", 100}}).size() == 4);
  Json row = reads({}, {"1", "100", "bad"}).row({{"error", "EINVAL"}});
  CHECK(row["bytes"] == nullptr);
}
