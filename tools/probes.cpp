// SPDX-License-Identifier: BSD-2-Clause
// probes: what can be probed, and with which arguments.
#include "kit/probes.hpp"

#include <algorithm>
#include <cstdio>

#include "kit/session.hpp"
#include "kit/text.hpp"

namespace {

using kit::ListedProbe;

constexpr bool never = false;

struct Knobs {
  std::vector<std::string> globs;
  std::string kinds = "tracepoint,function";

  bool has(std::string_view kind) const {
    auto all = kit::split(kinds, ',');
    return std::find(all.begin(), all.end(), kind) != all.end();
  }
};

std::string parse_kinds(std::string_view text, std::string& kinds) {
  for (std::string_view kind : kit::split(text, ','))
    if (kind != "tracepoint" && kind != "function") return "expects tracepoint or function, or both with a comma";
  kinds = text;
  return "";
}

kit::Table<ListedProbe> make_table() {
  auto text = [](std::string ListedProbe::*member) {
    return [member](const ListedProbe& probe) {
      return (probe.*member).empty() ? kit::Cell::none() : kit::Cell::borrowed(probe.*member);
    };
  };
  kit::Table<ListedProbe> table;
  table.column("KIND", "kind", 10, "tracepoint, or function of the kernel", text(&ListedProbe::kind))
      .column("PLACE", "place", 12, "vmlinux, or the kernel module", text(&ListedProbe::place))
      .column("NAME", "name", 32, "of a tracepoint CATEGORY:NAME", text(&ListedProbe::name))
      .column("RETURNS", "returns", 0, "the type that a function returns", text(&ListedProbe::returns))
      .only_with(never)
      .column("ARGS", "args", 0, "a tracepoint's fields, a function's parameters, each as C declares it",
              [](const ListedProbe& probe) { return kit::Cell::words(probe.arguments); })
      .only_with(never)
      .column("PROTOTYPE", "prototype", 0, "both in one text",
              [](const ListedProbe& probe) { return kit::Cell::owned(kit::prototype_text(probe)); });
  return table;
}

// All that match. Nothing at all is a mistake in what was asked for.
std::vector<ListedProbe> find(const Knobs& knobs) {
  kit::ProbeNames names(knobs.globs);
  std::vector<ListedProbe> all;
  auto add = [&all](std::vector<ListedProbe> more) {
    all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  };
  std::string notice;
  if (knobs.has("tracepoint")) add(kit::list_tracepoints(names, notice));
  if (knobs.has("function")) add(kit::list_functions(names));
  if (all.empty())
    throw kit::Failure(kit::Exit::usage, knobs.globs.empty()
                                             ? "this kernel tells of no probes of this kind"
                                             : kit::cat("no probe is called ", knobs.globs[0],
                                                        "; globs match whole names, like '*", knobs.globs[0], "*'"));
  if (!notice.empty()) std::fprintf(stderr, "probes: %s\n", notice.c_str());
  return all;
}

}  // namespace

int tool(int argc, char** argv) {
  Knobs knobs;
  auto table = make_table();
  kit::Options options(kit::Shape::stream, "probes", "List what can be probed, and with which arguments.");
  options.shows(table)
      .words("[GLOB...]", knobs.globs)
      .add(0, "kind", "KIND,...", "only tracepoint, or only function",
           [&knobs](std::string_view text) { return parse_kinds(text, knobs.kinds); })
      .details(
          "Lists the kernel's tracepoints with their fields and the functions of the kernel and its modules with their "
          "parameters, those whose names match a glob, or all. A glob matches a tracepoint's name with or without its "
          "category. Functions that the compiler has inlined everywhere are not there.")
      .details("Whether this kernel lets functions be probed at all, doctor says.")
      .example("probes 'sched:*'", "the scheduler's tracepoints, with their fields")
      .example("probes 'vfs_*' --kind function -o json", "functions with their parameters, as JSON lines");
  kit::Session session(options, argc, argv);
  std::vector<ListedProbe> all;
  if (session.lists()) all = find(knobs);
  return session.list(table, [&] {
    for (const ListedProbe& probe : all) session.row(table, probe);
  });
}
