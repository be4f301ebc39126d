// SPDX-License-Identifier: BSD-2-Clause
// usdtsnoop: hits of the probes that a program's authors have put into it, with their arguments.
#include "usdtsnoop.h"

#include "kit/session.hpp"
#include "kit/usdt_places.hpp"
#include "usdtsnoop.skel.h"

namespace {

using Record = usdtsnoop_record;

struct Knobs {
  std::vector<std::string> words;
  kit::Size string_size{.bytes = 256, .most = FETCH_STRING_MAX};
  bool list = false;
};

// The record's place among those that are probed; a capture may be damaged.
const kit::UsdtPlace* place_of(const std::vector<kit::UsdtPlace>& places, const Record& record) {
  return record.fetched.plan < places.size() ? &places[record.fetched.plan] : nullptr;
}

kit::Cell values(const std::vector<kit::UsdtPlace>& places, const Record& record) {
  const kit::UsdtPlace* place = place_of(places, record);
  return place ? kit::value_cells(place->values, record.fetched, kit::tail(record)) : kit::Cell::unknown();
}

kit::Table<Record> make_table(const std::vector<kit::UsdtPlace>& places) {
  kit::Table<Record> table;
  table.time()
      .column("PID", "pid", -7, "the process that ran into the probe", &Record::pid)
      .column("TID", "tid", -7, "its thread", &Record::tid)
      .column("COMM", "comm", 16, "the thread's name", &Record::comm)
      .column("PROBE", "probe", 28, "the probe, as PROVIDER:NAME",
              [&places](const Record& record) {
                const kit::UsdtPlace* place = place_of(places, record);
                return place ? kit::Cell::borrowed(place->name) : kit::Cell::unknown();
              })
      .column("ARGS", "args", 0, "its arguments, from arg0 on, or what was asked for",
              [&places](const Record& record) { return values(places, record); });
  return table;
}

kit::Table<kit::UsdtListed> make_list() {
  kit::Table<kit::UsdtListed> table;
  table.column("PROBE", "probe", 40, "with --list: a probe, as PROVIDER:NAME", &kit::UsdtListed::name)
      .column("PLACES", "places", -6, "in how many places it is", &kit::UsdtListed::places)
      .column("ARGS", "arguments", 30, "where its arguments are, in the first place", &kit::UsdtListed::arguments)
      .column("FILE", "file", 0, "the file that has it", &kit::UsdtListed::file);
  return table;
}

int show_list(kit::Session& session, const std::vector<kit::UsdtListed>& all) {
  kit::Table<kit::UsdtListed> list = make_list();
  return session.list(list, [&] {
    for (const kit::UsdtListed& one : all) session.row(list, one);
  });
}

void declare(kit::Options& options, Knobs& knobs) {
  options.words("[PATH] [PROVIDER:PROBE [/FILTER/] [EXPR[:FORMAT]...]]...", knobs.words)
      .flag(0, "list", knobs.list, "list the probes that there are, or with --replay those that were listed")
      .option(0, "string", "SIZE", knobs.string_size,
              "bytes of a string that are read, its end included, as a power of two (256)")
      .details(
          "The probes are those of the program or library PATH (or its name: libc), of the processes of -p with all "
          "that they have mapped, or else of the command. Names may be globs. Without expressions all arguments are "
          "shown, as signed or unsigned numbers according to their type; arg1:str reads a string, :x is hexadecimal, "
          ":d and :u decide the sign, :buf(N) shows N bytes. A filter compares arguments, or pid tid uid gid comm cpu "
          "cgroup, with numbers and \"strings\", which may be globs: '/arg0 > 5 && arg1 == \"SEL*\"/'.")
      .details(
          "A program in the kernel cannot wait for memory: a string whose page has not been read yet is shown as ?. "
          "Semaphores, by which a program knows that somebody listens, are raised and lowered by the kernel. Kernels "
          "before 5.15 do not tell a program which probe was hit: there each place has a program of its own, and 64 "
          "places are the limit.")
      .example("usdtsnoop -p 1234 --list", "which probes a process has")
      .example("usdtsnoop /usr/lib/postgresql/15/bin/postgres postgresql:query__start arg0:str", "the text of queries")
      .example("usdtsnoop -p 1234 'hotspot:gc__*'", "a JVM's garbage collections");
}

}  // namespace

int tool(int argc, char** argv) {
  Knobs knobs;
  std::vector<kit::UsdtPlace> places;
  auto table = make_table(places);
  kit::Options options(kit::Shape::stream, "usdtsnoop", "Show hits of a program's USDT probes, with their arguments.");
  declare(options, knobs);
  kit::Session session(options.shows(table), argc, argv);

  kit::FetchPlans plans;
  bool live = !session.replaying() && !session.settings().explain;
  if (live || knobs.list) {
    std::optional<kit::UsdtSearch> search;
    if (live) search.emplace(knobs.words, session.settings());
    if (knobs.list) return show_list(session, search ? search->all() : std::vector<kit::UsdtListed>{});
    places = search->places(plans);
  }
  kit::Skeleton<usdtsnoop_bpf> bpf;
  plans.size(bpf.object(), static_cast<std::uint32_t>(knobs.string_size.bytes));
  kit::AttachPlan plan;
  plan.event("probe").way("uprobe", {kit::Part(bpf->progs.on_probe, "uprobe")});
  session.settle(bpf, plan);
  kit::prepare_user(bpf->progs.on_probe, places.size());
  session.load(bpf);
  if (live) {
    plans.fill(bpf.object());
    for (std::size_t i = 0; i < places.size(); i++)
      for (const auto& [place, pid] : places[i].at) session.keep(kit::attach_user(bpf->progs.on_probe, place, i, pid));
  }
  places = kit::usdt_places(session.kept("places", [&] { return kit::usdt_places_text(places); }));
  return session.show(bpf, table);
}
