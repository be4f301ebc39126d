// SPDX-License-Identifier: BSD-2-Clause
// Kernel time to wall time.
#pragma once

#include <cstdint>
#include <string>

namespace kit {

// How text and CSV show a row's time (--time).
enum class TimeStyle { clock, iso, epoch, delta, boot, none };

// One moment on two clocks, taken when a run starts, and the local time zone: what turns a record's time into a date.
struct Clock {
  std::uint64_t boot_ns = 0;      // CLOCK_BOOTTIME
  std::uint64_t realtime_ns = 0;  // CLOCK_REALTIME, ns since 1970
  std::int64_t utc_offset = 0;    // seconds east of UTC
  static Clock now();
  std::uint64_t realtime(std::uint64_t boot) const { return realtime_ns + (boot - boot_ns); }
};

std::uint64_t boot_time();  // ns

// RFC 3339 in UTC with nanoseconds: "2026-01-31T12:00:00.123456789Z".
void append_rfc3339(std::string& out, std::uint64_t realtime_ns);
// `previous` is the time of the row before (for TimeStyle::delta; 0 for the first).
void append_time(std::string& out, TimeStyle style, const Clock& clock, std::uint64_t boot_ns, std::uint64_t previous);

}  // namespace kit
