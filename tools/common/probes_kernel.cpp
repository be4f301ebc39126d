// SPDX-License-Identifier: BSD-2-Clause
// Probes of the kernel: what tracefs and BTF tell.
#include <bpf/btf.h>
#include <fnmatch.h>

#include <algorithm>
#include <tuple>
#include <filesystem>
#include <set>

#include "declarations.hpp"
#include "kit/failure.hpp"
#include "kit/handle.hpp"
#include "kit/kernel.hpp"
#include "kit/probes.hpp"
#include "kit/text.hpp"
#include "loader.hpp"
#include "tracefs.hpp"

namespace kit {
namespace {

bool by_name(const ListedProbe& a, const ListedProbe& b) {
  return std::tie(a.name, a.place) < std::tie(b.name, b.place);
}

Btf kernel_btf() {
  Btf types(btf__parse(kernel_types_file().c_str(), nullptr));
  if (!types)
    throw Failure(Exit::unsupported, cat("the kernel offers no types: ", kernel_types_file(), ": ", error_text(errno),
                                         " (CONFIG_DEBUG_INFO_BTF)"));
  return types;
}

// The functions of one BTF, from type `first` on.
void add_functions(const btf* types, std::uint32_t first, const std::string& place, const ProbeNames& names,
                   std::vector<ListedProbe>& all) {
  Declarations declarations(types);
  for (std::uint32_t id = first; id < btf__type_cnt(types); id++) {
    const btf_type* type = btf__type_by_id(types, id);
    if (!btf_is_func(type)) continue;
    std::string name = btf__name_by_offset(types, type->name_off);
    if (!names.match(name)) continue;
    const btf_type* prototype = btf__type_by_id(types, type->type);
    all.push_back({"function",
                   std::move(name),
                   place,
                   declarations.of(prototype->type, ""),
                   declarations.parameters(prototype, 0),
                   {}});
  }
}

// A format file's lines are "\tfield:char comm[16];\toffset:8;\t..."; those that every event has begin with "common_".
std::string fields_of(const std::string& format) {
  std::string all;
  for (std::string_view line : split(format, '\n')) {
    std::size_t begin = line.find("field:");
    if (begin == line.npos) continue;
    line.remove_prefix(begin + 6);
    line = line.substr(0, line.find(';'));
    std::size_t name = line.rfind(' ');
    if (name != line.npos && line.substr(name + 1).starts_with("common_")) continue;
    all += cat(line, '\0');
  }
  return all;
}

// A tracepoint "NAME" is the type btf_trace_NAME, a pointer to a function, whose first parameter is the tracer's own.
std::vector<ListedProbe> typed_tracepoints(const ProbeNames& names) {
  constexpr std::string_view prefix = "btf_trace_";
  std::vector<ListedProbe> all;
  Btf types = kernel_btf();
  Declarations declarations(types.get());
  for (std::uint32_t id = 1; id < btf__type_cnt(types.get()); id++) {
    const btf_type* type = btf__type_by_id(types.get(), id);
    std::string_view name = btf__name_by_offset(types.get(), type->name_off);
    if (!btf_is_typedef(type) || !name.starts_with(prefix)) continue;
    name.remove_prefix(prefix.size());
    const btf_type* pointer = btf__type_by_id(types.get(), type->type);
    const btf_type* prototype = btf_is_ptr(pointer) ? btf__type_by_id(types.get(), pointer->type) : nullptr;
    if (!prototype || !btf_is_func_proto(prototype) || !names.match(name)) continue;
    all.push_back({"tracepoint", std::string(name), "vmlinux", "", declarations.parameters(prototype, 1), {}});
  }
  return all;
}

}  // namespace

bool ProbeNames::match(std::string_view name) const {
  if (globs_.empty()) return true;
  std::string whole(name), part(name.substr(name.find(':') == name.npos ? 0 : name.find(':') + 1));
  return std::any_of(globs_.begin(), globs_.end(), [&](const std::string& glob) {
    return fnmatch(glob.c_str(), whole.c_str(), 0) == 0 || fnmatch(glob.c_str(), part.c_str(), 0) == 0;
  });
}

std::vector<ListedProbe> list_tracepoints(const ProbeNames& names, std::string& notice) {
  std::vector<ListedProbe> all;
  int error = 0;
  for (std::string& event : tracepoints(error)) {
    std::string path = event;
    event.replace(event.find('/'), 1, ":");
    if (names.match(event)) all.push_back({"tracepoint", event, "vmlinux", "", fields_of(tracepoint_format(path)), {}});
  }
  if (error) {
    notice = cat("tracefs cannot be read (", error_text(error),
                 "): tracepoints are listed by the kernel's types, without their categories and fields");
    all = typed_tracepoints(names);
  }
  std::sort(all.begin(), all.end(), by_name);
  return all;
}

std::vector<ListedProbe> list_functions(const ProbeNames& names) {
  std::vector<ListedProbe> all;
  Btf types = kernel_btf();
  add_functions(types.get(), 1, "vmlinux", names, all);
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator("/sys/kernel/btf", none)) {
    std::string module = entry.path().filename();
    if (module == "vmlinux") continue;
    // Of a module that goes away meanwhile there is nothing to list.
    Btf split(btf__parse_split(entry.path().c_str(), types.get()));
    if (split) add_functions(split.get(), btf__type_cnt(types.get()), module, names, all);
  }
  std::sort(all.begin(), all.end(), by_name);
  return all;
}

std::string prototype_text(const ListedProbe& probe) {
  std::string text = "(";
  for (std::string_view argument : split_words(probe.arguments)) text += cat(text.size() > 1 ? ", " : "", argument);
  return cat(text, probe.returns.empty() ? ")" : ") ", probe.returns);
}

}  // namespace kit
