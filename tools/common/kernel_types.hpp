// SPDX-License-Identifier: BSD-2-Clause
// The running kernel's types (BTF), looked up and cut to what a program needs without building an index of them.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace kit {

// Raw BTF data, as Documentation/bpf/btf.rst describes it; what is damaged has no types.
class Types {
 public:
  Types() = default;
  // The data must outlive this.
  explicit Types(std::string_view data);
  bool empty() const { return types_.empty(); }
  // The id of the type of this name and kind (BTF_KIND_...); 0 if there is none.
  std::uint32_t find(std::string_view name, std::uint32_t kind) const;
  // The name of a type; empty if it has none or there is no such type.
  std::string_view name(std::uint32_t id) const;
  // How many arguments a tracepoint's programs get, by its prototype (btf_trace_NAME); 0 if there is no such.
  std::uint32_t tracepoint_arguments(std::string_view tracepoint) const;
  // The types of these names with all that they contain, what is behind pointers left out, as BTF data of their own.
  std::string cut(const std::set<std::string>& names) const;
  // Goes through all once, which the first of the others does else.
  void index() const;

 private:
  // Calls found(id) for each type of these names and kinds, in order, until it is true.
  template <typename Kind, typename Found>
  void search(const std::set<std::string>& names, Kind is_kind, Found found) const;
  std::string_view record(std::size_t at) const;
  std::string_view string(std::uint32_t place) const;
  const std::vector<std::uint32_t>& places() const;
  std::string_view types_, strings_;
  // Of the types, by id less 1: where they are, and marks of their names, by which nearly all others are told apart.
  mutable std::vector<std::uint32_t> places_;
  mutable std::vector<std::uint16_t> marks_;
};

// The kernel's own types, /sys/kernel/btf/vmlinux. libbpf's reader takes some 10 ms and thrice the file's size in
// memory, and then, for each type that a program mentions, 1 ms to look for others of its name.
class KernelTypes {
 public:
  // Begins to read and index them, in a thread of its own: that takes 2 ms, in which there is other work.
  static void begin();
  // Empty where the kernel offers none.
  static const Types& get();
  // From this file from now on (--btf), which says of the running kernel what it does not say itself.
  static void use(const std::string& file);
  // Gives the memory back.
  static void forget();
};

// The names of the types that the CO-RE relocations of a BPF object start from: the kernel must tell about those.
std::set<std::string> core_types(std::string_view object);

}  // namespace kit
