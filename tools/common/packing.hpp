// SPDX-License-Identifier: BSD-2-Clause
// Numbers and texts as captures hold them: in the machine's own byte order, texts after their length.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "kit/failure.hpp"

namespace kit {

template <typename Number>
void put(std::string& out, Number number) {
  out.append(reinterpret_cast<const char*>(&number), sizeof number);
}
inline void put_text(std::string& out, std::string_view text) {
  put(out, static_cast<std::uint32_t>(text.size()));
  out += text;
}

// Takes values off the front of bytes; throws Failure where they do not suffice.
class Cursor {
 public:
  explicit Cursor(std::string_view bytes) : rest_(bytes) {}
  template <typename Number>
  Number number() {
    Number value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::string_view text() { return take(number<std::uint32_t>()); }
  std::string_view take(std::size_t size) {
    if (size > rest_.size()) throw Failure(Exit::failed, "the capture is damaged: a part says it is longer than it is");
    std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  std::size_t left() const { return rest_.size(); }

 private:
  std::string_view rest_;
};

}  // namespace kit
