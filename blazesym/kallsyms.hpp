// SPDX-License-Identifier: BSD-2-Clause
// The running kernel's symbols, as /proc/kallsyms lists them: its own, its modules' and those of BPF programs.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace blazesym {

// Calls `each` with the name of every function of the kernel and its modules. False if the list cannot be read.
bool each_kernel_function(const std::function<void(std::string_view name)>& each);

// Functions by address. Addresses are where the kernel has them now, so its random base needs no thought.
class KernelSymbols {
 public:
  struct Found {
    std::string_view name, module;  // the module's name without brackets; empty: the kernel itself
    std::uint64_t offset = 0;
  };
  KernelSymbols() = default;
  // From the text of /proc/kallsyms.
  explicit KernelSymbols(std::string text);
  // Reads the running kernel's.
  static KernelSymbols read();
  // False where there is none.
  bool find(std::uint64_t address, Found& found) const;
  // Bytes from a function's beginning to that of the next; 0 where that is not known.
  std::uint64_t size(std::string_view name) const;
  // Where the functions of a name lie, and the parts of them that the compiler set apart (NAME.cold, NAME.isra.0): from
  // their beginning to that of the next.
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges(std::string_view name) const;
  // The list could be read, but not its addresses: all are 0 for want of CAP_SYSLOG.
  bool hidden() const { return hidden_; }
  bool empty() const { return functions_.empty(); }
  std::size_t memory() const { return text_.capacity() + functions_.capacity() * sizeof(Function); }

 private:
  struct Function {
    std::uint64_t address;
    std::uint32_t name;  // where in the text its name begins
  };
  std::string_view name_of(const Function& function) const;
  std::string_view module_of(const Function& function) const;

  std::string text_;
  std::vector<Function> functions_;
  std::uint64_t end_ = 0;  // of the kernel's own code; 0: not known
  bool hidden_ = false;
};

}  // namespace blazesym
