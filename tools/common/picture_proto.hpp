// SPDX-License-Identifier: BSD-2-Clause
// Protocol buffers, as far as pictures are made of them: a field is a number, a kind and a value. And what all of
// Perfetto's traces begin with.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kit/clock.hpp"

namespace kit {

class Message {
 public:
  Message& number(std::uint32_t field, std::uint64_t value) {
    varint(field << 3);
    varint(value);
    return *this;
  }
  Message& text(std::uint32_t field, std::string_view value) {
    varint(field << 3 | 2);
    varint(value.size());
    bytes_ += value;
    return *this;
  }
  Message& message(std::uint32_t field, const Message& value) { return text(field, value.bytes_); }
  Message& numbers(std::uint32_t field, const std::vector<std::uint64_t>& values) {
    Message packed;
    for (std::uint64_t value : values) packed.varint(value);
    return message(field, packed);
  }
  // The fields of another, as if they were this one's.
  Message& merge(const Message& other) {
    bytes_ += other.bytes_;
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  void varint(std::uint64_t value) {
    for (; value > 127; value >>= 7) bytes_ += static_cast<char>(value | 128);
    bytes_ += static_cast<char>(value);
  }
  std::string bytes_;
};

inline constexpr std::uint64_t perfetto_sequence = 1, incremental_cleared = 1, needs_incremental = 2;
inline constexpr std::uint64_t slice_begin = 1, slice_end = 2;

inline void put_packet(std::string& out, const Message& packet) { out += Message().message(1, packet).bytes(); }

inline void put_clocks(std::string& out, const Clock& clock) {
  Message snapshot;
  snapshot.message(1, Message().number(1, 6).number(2, clock.boot_ns));      // BOOTTIME
  snapshot.message(1, Message().number(1, 1).number(2, clock.realtime_ns));  // REALTIME
  put_packet(out, Message().number(10, perfetto_sequence).number(13, incremental_cleared).message(6, snapshot));
}

}  // namespace kit
