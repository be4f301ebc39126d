// SPDX-License-Identifier: BSD-2-Clause
// Kernel time to wall time, in each style.
#include "kit/clock.hpp"

#include "case.hpp"

namespace {

using kit::TimeStyle;
constexpr std::uint64_t second = 1'000'000'000;
// Booted at 2026-01-31T12:00:00.5 UTC, 1000 s ago, two hours and a half east of Greenwich.
const kit::Clock east{.boot_ns = 1000 * second, .realtime_ns = 1769860800 * second + second / 2, .utc_offset = 9000};

std::string shown(TimeStyle style, const kit::Clock& clock, std::uint64_t boot, std::uint64_t previous = 0) {
  std::string out;
  kit::append_time(out, style, clock, boot, previous);
  return out;
}

}  // namespace

TEST_CASE("each style of a time") {
  std::uint64_t boot = 1001 * second + 123456789;
  CHECK(shown(TimeStyle::clock, east, boot) == "14:30:01.623");
  CHECK(shown(TimeStyle::iso, east, boot) == "2026-01-31T14:30:01.623456789+02:30");
  CHECK(shown(TimeStyle::epoch, east, boot) == "1769860801.623456789");
  CHECK(shown(TimeStyle::boot, east, boot) == "1001.123456789");
  CHECK(shown(TimeStyle::delta, east, boot) == "0.000000000");
  CHECK(shown(TimeStyle::delta, east, boot, boot - 5) == "0.000000005");
  CHECK(shown(TimeStyle::delta, east, boot, boot + 5) == "0.000000000");
  CHECK(shown(TimeStyle::none, east, boot) == "");
}

TEST_CASE("an event before the clock was read") {
  CHECK(shown(TimeStyle::epoch, east, 999 * second) == "1769860799.500000000");
  CHECK(shown(TimeStyle::clock, east, 999 * second) == "14:29:59.500");
}

TEST_CASE("zones west of Greenwich, across midnight") {
  kit::Clock west = east;
  west.utc_offset = -12 * 3600 - 1800;
  CHECK(shown(TimeStyle::clock, west, west.boot_ns) == "23:30:00.500");
  CHECK(shown(TimeStyle::iso, west, west.boot_ns) == "2026-01-30T23:30:00.500000000-12:30");
}

TEST_CASE("dates in UTC with nanoseconds") {
  auto text = [](std::uint64_t ns) {
    std::string out;
    kit::append_rfc3339(out, ns);
    return out;
  };
  CHECK(text(0) == "1970-01-01T00:00:00.000000000Z");
  CHECK(text(951782399 * second + 1) == "2000-02-28T23:59:59.000000001Z");
  CHECK(text(951782400 * second) == "2000-02-29T00:00:00.000000000Z");
  CHECK(text(4102444800 * second + 999999999) == "2100-01-01T00:00:00.999999999Z");
}

TEST_CASE("the clock of now") {
  setenv("TZ", "XXX-03:15", 1);
  tzset();
  kit::Clock now = kit::Clock::now();
  CHECK(now.utc_offset == 3 * 3600 + 15 * 60);
  CHECK(now.realtime_ns > 1700000000 * second);
  CHECK(kit::boot_time() >= now.boot_ns);
  CHECK(kit::boot_time() - now.boot_ns < second);
}
