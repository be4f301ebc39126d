// SPDX-License-Identifier: BSD-2-Clause
// Looking names up in the running kernel's types without building an index of them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kit {

// The kernel's BTF as /sys/kernel/btf/vmlinux gives it. libbpf's reader takes some 20 ms and twice the file's size in
// memory, which a plan with two questions need not pay; the format is described in Documentation/bpf/btf.rst.
class BtfNames {
 public:
  // An empty one where the kernel offers none.
  static BtfNames of_kernel();
  // Of raw BTF data; what is damaged has no names.
  explicit BtfNames(std::string data);
  bool empty() const { return types_.empty(); }
  // The id of the type of this name and kind (BTF_KIND_...); 0 if there is none.
  std::uint32_t find(std::string_view name, std::uint32_t kind) const;

 private:
  std::string data_;
  std::string_view types_, strings_;
};

}  // namespace kit
