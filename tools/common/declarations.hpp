// SPDX-License-Identifier: BSD-2-Clause
// Types of BTF as C declares them.
#pragma once

#include <bpf/btf.h>

#include <cstdarg>
#include <cstdint>
#include <string>

namespace kit {

class Declarations {
 public:
  // The types must outlive this.
  explicit Declarations(const btf* types);
  Declarations(const Declarations&) = delete;
  ~Declarations();

  // "char *name"; with an empty name the type alone.
  std::string of(std::uint32_t type, const char* name);
  // Those of a function's parameters from `first` on, each ended by a NUL.
  std::string parameters(const btf_type* prototype, int first);

 private:
  static void take(void* self, const char* format, va_list arguments);

  const btf* types_;
  btf_dump* dump_;
  std::string text_;
};

}  // namespace kit
