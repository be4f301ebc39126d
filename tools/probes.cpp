// SPDX-License-Identifier: BSD-2-Clause
// probes: what can be probed, and with which arguments.
#include "kit/probes.hpp"

#include <algorithm>
#include <cstdio>

#include "kit/session.hpp"
#include "kit/text.hpp"

namespace {

using kit::ListedProbe;

struct Knobs {
  std::vector<std::string> globs;
  std::string kinds, file;

  // Without --kind: of files what they have, else what the kernel has.
  bool has(std::string_view kind, bool of_files) const {
    std::string_view wanted = !kinds.empty() ? std::string_view(kinds)
                              : of_files     ? "function,usdt"
                                             : "tracepoint,function";
    auto all = kit::split(wanted, ',');
    return std::find(all.begin(), all.end(), kind) != all.end();
  }
};

std::string parse_kinds(std::string_view text, std::string& kinds) {
  for (std::string_view kind : kit::split(text, ','))
    if (kind != "tracepoint" && kind != "function" && kind != "usdt")
      return "expects tracepoint, function or usdt, or several with commas";
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
  table.column("KIND", "kind", 10, "tracepoint, function or usdt", text(&ListedProbe::kind))
      .column("PLACE", "place", 12, "vmlinux, the kernel module, or the file", text(&ListedProbe::place))
      .column("NAME", "name", 32, "of a tracepoint CATEGORY:NAME, of a USDT probe PROVIDER:NAME",
              text(&ListedProbe::name))
      .column("SYMBOL", "symbol", 0, "of a file's function: as the file has it, where C++ has a longer name",
              text(&ListedProbe::symbol))
      .column("RETURNS", "returns", 0, "the type that a function returns", text(&ListedProbe::returns))
      .column("ARGS", "args", 0, "fields, parameters, or where a USDT probe's arguments are",
              [](const ListedProbe& probe) { return kit::Cell::words(probe.arguments); })
      .not_in_text(3)
      .column("PROTOTYPE", "prototype", 0, "both in one text; not known of a file's functions",
              [](const ListedProbe& probe) {
                return probe.symbol.empty() ? kit::Cell::owned(kit::prototype_text(probe)) : kit::Cell::unknown();
              });
  return table;
}

// All that match. Nothing at all is a mistake in what was asked for.
std::vector<ListedProbe> find(const Knobs& knobs, const std::vector<std::uint32_t>& pids) {
  kit::ProbeNames names(knobs.globs);
  std::vector<ListedProbe> all;
  auto add = [&all](std::vector<ListedProbe> more) {
    all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  };
  std::string notice;
  std::vector<kit::ElfPlace> files;
  if (!knobs.file.empty()) files = kit::with_libraries(knobs.file, notice);
  for (std::uint32_t pid : pids)
    for (kit::ElfPlace& file : kit::mapped_files(pid)) files.push_back(std::move(file));
  bool user = !files.empty();
  if (!user && knobs.has("tracepoint", user)) add(kit::list_tracepoints(names, notice));
  if (!user && knobs.has("function", user)) add(kit::list_functions(names));
  if (user && knobs.has("function", user)) add(kit::list_user_functions(names, files));
  if (user && knobs.has("usdt", user)) add(kit::list_user_marks(names, files));
  if (all.empty())
    throw kit::Failure(kit::Exit::usage, knobs.globs.empty()
                                             ? "there are no probes of this kind; usdt asks for --file or -p"
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
      .add(0, "kind", "KIND,...", "only tracepoint, function or usdt",
           [&knobs](std::string_view text) { return parse_kinds(text, knobs.kinds); })
      .option(0, "file", "NAME", knobs.file,
              "what a program or library has, by path or name, and what the libraries have that it needs")
      .details(
          "Lists the kernel's tracepoints with their fields and the functions of the kernel and its modules with their "
          "parameters, those whose names match a glob, or all. A glob matches a tracepoint's name with or without its "
          "category. Functions that the compiler has inlined everywhere are not there.")
      .details(
          "With --file, or -p for all that a process has mapped, it lists the functions that the file's symbols name, "
          "C++ ones as they were written, and the USDT probes. A glob matches either name of a function. A stripped "
          "file names only the functions that it exports.")
      .details("Whether this kernel lets functions be probed at all, doctor says.")
      .example("probes 'sched:*'", "the scheduler's tracepoints, with their fields")
      .example("probes 'vfs_*' --kind function -o json", "functions with their parameters, as JSON lines")
      .example("probes --file libc 'str*' --kind function", "functions of the C library")
      .example("probes -p 1234 --kind usdt", "the USDT probes of a process, in its libraries, too");
  kit::Session session(options, argc, argv);
  std::vector<ListedProbe> all;
  if (session.lists()) all = find(knobs, session.settings().pids);
  return session.list(table, [&] {
    for (const ListedProbe& probe : all) session.row(table, probe);
  });
}
