// SPDX-License-Identifier: BSD-2-Clause
// Questions about the structures of a file, answered in rows.
#include <fnmatch.h>

#include <algorithm>
#include <map>

#include "kit/layout.hpp"
#include "kit/text.hpp"

namespace kit {
namespace {

LayoutRow type_row(const std::string& name, const Layout& layout) {
  LayoutRow row{.kind = "type", .in = name, .part = {.type = name, .size = layout.size}, .change = {}, .was = {}};
  row.members = layout.members;
  row.holes = layout.holes;
  row.padding = layout.padding;
  return row;
}

LayoutRow part_row(const std::string& in, LayoutPart part) {
  const char* kind = part.kind == LayoutPart::Kind::hole      ? "hole"
                     : part.kind == LayoutPart::Kind::padding ? "padding"
                                                              : "member";
  return {.kind = kind, .in = in, .part = std::move(part), .change = {}, .was = {}};
}

bool named_like(const LayoutPart& part, const std::string& glob) {
  std::size_t dot = part.name.rfind('.');
  std::string last = part.name.substr(dot == part.name.npos ? 0 : dot + 1);
  return !last.empty() &&
         (fnmatch(glob.c_str(), last.c_str(), 0) == 0 || fnmatch(glob.c_str(), part.name.c_str(), 0) == 0);
}

// Every structure that has a name; those without are in others.
template <typename Each>
void each_named(const TypeFile& file, Each each) {
  file.each_structure([&](std::uint32_t id) {
    if (std::string name = file.name(id); !name.empty()) each(name, layout_of(file, id));
  });
}

template <typename Wanted>
LayoutRows search(const TypeFile& file, Wanted wanted) {
  LayoutRows rows;
  each_named(file, [&](const std::string& name, Layout layout) {
    for (LayoutPart& part : layout.parts)
      if (part.kind == LayoutPart::Kind::member && wanted(part)) rows.push_back(part_row(name, std::move(part)));
  });
  return rows;
}

using Named = std::map<std::string, Layout>;

Named named_layouts(const TypeFile& file, const std::string& name) {
  Named all;
  if (name.empty()) {
    each_named(file, [&](const std::string& own, Layout layout) { all.try_emplace(own, std::move(layout)); });
  } else {
    for (std::uint32_t id : file.find(name)) all.try_emplace(file.name(id), layout_of(file, id));
  }
  return all;
}

std::string as_it_was(const LayoutPart& part) {
  std::string size = part.size ? cat(", size ", *part.size) : "";
  std::string bits = part.bits ? cat(", bits ", part.bit, " to ", part.bit + part.bits - 1) : "";
  return cat("offset ", part.offset, size, bits, ", ", part.type);
}

// What sets a member apart from what it was; nullptr: nothing.
const char* change_of(const LayoutPart& was, const LayoutPart& now) {
  if (was.type != now.type) return "retyped";
  if (was.size != now.size || was.bits != now.bits) return "resized";
  return was.offset * 8 + was.bit != now.offset * 8 + now.bit ? "moved" : nullptr;
}

std::map<std::string, const LayoutPart*> members_of(const Layout& layout) {
  std::map<std::string, const LayoutPart*> all;
  for (const LayoutPart& part : layout.parts)
    if (part.kind == LayoutPart::Kind::member && !part.name.empty()) all.try_emplace(part.name, &part);
  return all;
}

class Comparison {
 public:
  void structure(const std::string& in, const Layout* before, const Layout* now) {
    const Layout& shown = now ? *now : *before;
    if (!before || !now || before->size != now->size)
      note(!before ? "added"
           : !now  ? "removed"
                   : "resized",
           type_row(in, shown), before ? cat("size ", before->size) : "");
    if (!before || !now) return;
    auto old = members_of(*before), present = members_of(*now);
    for (const auto& [name, part] : present) {
      auto found = old.find(name);
      if (found == old.end())
        note("added", part_row(in, *part), "");
      else if (const char* change = change_of(*found->second, *part))
        note(change, part_row(in, *part), as_it_was(*found->second));
    }
    for (const auto& [name, part] : old)
      if (!present.contains(name)) note("removed", part_row(in, *part), as_it_was(*part));
  }
  LayoutRows take() { return std::move(rows_); }

 private:
  void note(const char* change, LayoutRow row, std::string was) {
    row.change = change;
    row.was = std::move(was);
    rows_.push_back(std::move(row));
  }
  LayoutRows rows_;
};

}  // namespace

LayoutRows show_layouts(const TypeFile& file, const std::string& name, Within within, const std::string& members) {
  LayoutRows rows;
  for (std::uint32_t id : file.find(name)) {
    Layout layout = layout_of(file, id, within);
    if (members.empty()) rows.push_back(type_row(file.name(id), layout));
    for (LayoutPart& part : layout.parts)
      if (members.empty() || named_like(part, members)) rows.push_back(part_row(file.name(id), std::move(part)));
  }
  return rows;
}

LayoutRows find_members(const TypeFile& file, const std::string& glob) {
  return search(file, [&](const LayoutPart& part) { return named_like(part, glob); });
}

LayoutRows find_containers(const TypeFile& file, const std::string& name) {
  std::vector<std::uint32_t> wanted = file.find(name);
  return search(file, [&](const LayoutPart& part) {
    return std::find(wanted.begin(), wanted.end(), part.structure) != wanted.end();
  });
}

LayoutRows list_structures(const TypeFile& file) {
  LayoutRows rows;
  each_named(file, [&](const std::string& name, const Layout& layout) { rows.push_back(type_row(name, layout)); });
  std::stable_sort(rows.begin(), rows.end(),
                   [](const LayoutRow& a, const LayoutRow& b) { return a.part.size > b.part.size; });
  return rows;
}

LayoutRows compare_layouts(const TypeFile& before, const TypeFile& now, const std::string& name) {
  Named old = named_layouts(before, name), present = named_layouts(now, name);
  Comparison comparison;
  for (const auto& [in, layout] : present) comparison.structure(in, old.contains(in) ? &old.at(in) : nullptr, &layout);
  for (const auto& [in, layout] : old)
    if (!present.contains(in)) comparison.structure(in, &layout, nullptr);
  return comparison.take();
}

}  // namespace kit
