// SPDX-License-Identifier: BSD-2-Clause
#include "kit/clock.hpp"

#include <ctime>

#include "kit/text.hpp"

namespace kit {
namespace {

constexpr std::uint64_t second = 1'000'000'000;

std::uint64_t read_clock(clockid_t id) {
  timespec time{};
  clock_gettime(id, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * second + static_cast<std::uint64_t>(time.tv_nsec);
}

// "2026-01-31T12:00:00.123456789"
void append_date_time(std::string& out, std::uint64_t ns) {
  auto seconds = static_cast<time_t>(ns / second);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  append_padded(out, static_cast<std::uint64_t>(parts.tm_year + 1900), 4);
  out += '-';
  append_padded(out, static_cast<std::uint64_t>(parts.tm_mon + 1), 2);
  out += '-';
  append_padded(out, static_cast<std::uint64_t>(parts.tm_mday), 2);
  out += 'T';
  append_padded(out, static_cast<std::uint64_t>(parts.tm_hour), 2);
  out += ':';
  append_padded(out, static_cast<std::uint64_t>(parts.tm_min), 2);
  out += ':';
  append_padded(out, static_cast<std::uint64_t>(parts.tm_sec), 2);
  out += '.';
  append_padded(out, ns % second, 9);
}

void append_clock(std::string& out, std::uint64_t local_ns) {
  std::uint64_t day = local_ns / second % 86400;
  append_padded(out, day / 3600, 2);
  out += ':';
  append_padded(out, day / 60 % 60, 2);
  out += ':';
  append_padded(out, day % 60, 2);
  out += '.';
  append_padded(out, local_ns % second / 1'000'000, 3);
}

void append_offset(std::string& out, std::int64_t offset) {
  out += offset < 0 ? '-' : '+';
  auto minutes = static_cast<std::uint64_t>((offset < 0 ? -offset : offset) / 60);
  append_padded(out, minutes / 60, 2);
  out += ':';
  append_padded(out, minutes % 60, 2);
}

void append_seconds(std::string& out, std::uint64_t ns) {
  append(out, ns / second);
  out += '.';
  append_padded(out, ns % second, 9);
}

}  // namespace

Clock Clock::now() {
  Clock clock;
  clock.boot_ns = read_clock(CLOCK_BOOTTIME);
  clock.realtime_ns = read_clock(CLOCK_REALTIME);
  std::time_t seconds = static_cast<std::time_t>(clock.realtime_ns / second);
  std::tm parts{};
  localtime_r(&seconds, &parts);
  clock.utc_offset = parts.tm_gmtoff;
  return clock;
}

std::uint64_t boot_time() { return read_clock(CLOCK_BOOTTIME); }

void append_rfc3339(std::string& out, std::uint64_t realtime_ns) {
  append_date_time(out, realtime_ns);
  out += 'Z';
}

void append_time(std::string& out, TimeStyle style, const Clock& clock, std::uint64_t boot_ns, std::uint64_t previous) {
  std::uint64_t real = clock.realtime(boot_ns);
  std::uint64_t local = real + static_cast<std::uint64_t>(clock.utc_offset) * second;
  switch (style) {
    case TimeStyle::clock: return append_clock(out, local);
    case TimeStyle::iso: append_date_time(out, local); return append_offset(out, clock.utc_offset);
    case TimeStyle::epoch: return append_seconds(out, real);
    case TimeStyle::delta: return append_seconds(out, previous && boot_ns > previous ? boot_ns - previous : 0);
    case TimeStyle::boot: return append_seconds(out, boot_ns);
    case TimeStyle::none: return;
  }
}

}  // namespace kit
