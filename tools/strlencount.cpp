// SPDX-License-Identifier: BSD-2-Clause
// strlencount: which strings a function of a library is called with, and how often.
#include "strlencount.h"

#include <algorithm>
#include <cstring>

#include "kit/ifunc.hpp"
#include "kit/session.hpp"
#include "kit/text.hpp"
#include "kit/uprobe.hpp"
#include "strlencount.skel.h"

namespace {

struct Knobs {
  std::string library = "libc", function = "strlen";
  std::uint32_t argument = 0;
  kit::Number top;
  bool per_process = false;
};

struct Row {
  strlencount_key key;
  std::uint64_t count;
};

kit::Cell text_of(const Row& row) {
  std::string_view text(row.key.text, strnlen(row.key.text, sizeof row.key.text));
  return row.key.cut ? kit::Cell::owned(kit::cat(text, "…")) : kit::Cell::borrowed(text);
}

kit::Table<Row> make_table(const Knobs& knobs) {
  kit::Table<Row> table;
  table.column("COUNT", "count", -10, "how often the function was called with it", &Row::count)
      .column("PID", "pid", -7, "with -P: by which process",
              [&knobs](const Row& row) { return knobs.per_process ? kit::to_cell(row.key.pid) : kit::Cell::unknown(); })
      .only_with(knobs.per_process)
      .column("STRING", "string", 0, "the string; … where it is longer than 119 bytes", text_of);
  return table;
}

void declare(kit::Options& options, Knobs& knobs) {
  options.option(0, "lib", "NAME", knobs.library, "the library or program, by name or path (libc)")
      .option(0, "func", "NAME", knobs.function, "its function (strlen)")
      .add(0, "arg", "N", "which argument is the string, from 0 to 4 (0)",
           [&knobs](std::string_view text) -> std::string {
             auto number = kit::parse_number(text);
             knobs.argument = static_cast<std::uint32_t>(number.value_or(0));
             return number && *number < 5 ? "" : "expects a number from 0 to 4";
           })
      .flag('P', "per-process", knobs.per_process, "count per process, too")
      .option(0, "top", "N", knobs.top, "only the N most frequent")
      .details(
          "With -p the library is the one that the process has mapped, in its own container, too. Where a function is "
          "chosen among several when a program starts (an IFUNC, as glibc's strlen), the one that was chosen is read "
          "from a process that has that file mapped; if there is none, one is started. A string whose page is not in "
          "memory yet cannot be read, and is counted as lost.")
      .details(
          "Calls that the compiler has replaced by instructions of its own, or that a library makes to itself "
          "without its table of functions, are not seen.")
      .example("strlencount -d 10 --top 10", "the ten strings most often measured in ten seconds")
      .example("strlencount --func fopen -p 1234", "what one process opens by way of libc")
      .example("strlencount --lib /opt/x/libx.so --func look_up --arg 1", "a function of another library");
}

// The places to attach to: one file, or with -p each process's own.
std::vector<std::pair<kit::UserPlace, std::optional<std::uint32_t>>> find(const Knobs& knobs,
                                                                          const kit::Settings& settings) {
  std::vector<std::pair<kit::UserPlace, std::optional<std::uint32_t>>> places;
  auto add = [&](const kit::ElfPlace& place, std::optional<std::uint32_t> pid) {
    kit::Elf elf(place.path, place.shown);
    places.emplace_back(kit::beginning_place(elf, kit::function_place(elf, knobs.function, pid)), pid);
  };
  for (std::uint32_t pid : settings.pids) add(kit::find_elf(knobs.library, pid), pid);
  if (settings.pids.empty()) add(kit::find_elf(knobs.library), {});
  return places;
}

// The most frequent first.
std::vector<Row> read_rows(const Knobs& knobs, kit::Report& report) {
  std::vector<Row> rows;
  for (const auto& [key, count] : report.entries<strlencount_key, std::uint64_t>("counts"))
    rows.push_back({key, count});
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    return a.count != b.count ? a.count > b.count : std::memcmp(&a.key, &b.key, sizeof a.key) < 0;
  });
  rows.resize(std::min<std::size_t>(rows.size(), knobs.top ? knobs.top.value : rows.size()));
  return rows;
}

}  // namespace

int tool(int argc, char** argv) {
  Knobs knobs;
  kit::Options options(kit::Shape::interval, "strlencount", "Count the strings that a function is called with.");
  declare(options, knobs);
  auto table = make_table(knobs);
  kit::Session session(options.shows(table), argc, argv);

  bool live = !session.replaying() && !session.settings().explain;
  auto places = live ? find(knobs, session.settings()) : decltype(find(knobs, session.settings())){};
  kit::Skeleton<strlencount_bpf> bpf;
  bpf->rodata->argument = knobs.argument;
  bpf->rodata->per_process = knobs.per_process;
  kit::AttachPlan plan;
  plan.event("call").way("uprobe", {bpf->progs.on_call});
  session.settle(bpf, plan);
  session.load(bpf);
  for (const auto& [place, pid] : places) session.keep(kit::attach_user(bpf->progs.on_call, place, 0, pid));
  return session.reports(bpf, [&](kit::Report& report) {
    auto rows = read_rows(knobs, report);
    report.table(table);
    for (const Row& row : rows) report.row(table, row);
  });
}
