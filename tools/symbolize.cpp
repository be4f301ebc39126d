// SPDX-License-Identifier: BSD-2-Clause
// symbolize: names for addresses: of a file, a process, the kernel, or in the lines of an earlier run.
#include <cstdio>

#include "frame_text.hpp"
#include "kit/input.hpp"
#include "kit/session.hpp"
#include "kit/text.hpp"
#include "symbols.hpp"

namespace {

constexpr bool never = false;

struct Knobs {
  std::vector<std::string> words;
  std::string file;
  kit::Size memory{.bytes = std::size_t{256} << 20};
};

// One line for each frame at the address, inlined functions first.
struct Row {
  std::uint64_t address;
  blazesym::Frame frame;
  std::string module, build_id;
  std::string_view reason;
};

kit::Table<Row> make_table() {
  auto known = [](std::string_view text) { return text.empty() ? kit::Cell::none() : kit::Cell::borrowed(text); };
  kit::Table<Row> table;
  table.column("ADDR", "addr", -18, "the address", [](const Row& row) { return kit::Cell::address(row.address); })
      .column("NAME", "name", 32, "the function, as its language writes it; not known for REASON",
              [](const Row& row) {
                return row.frame.name.empty() ? kit::Cell::unknown() : kit::Cell::borrowed(row.frame.name);
              })
      .column("OFFSET", "offset", -8, "bytes from the function's beginning",
              [](const Row& row) {
                bool none = row.frame.inlined || row.frame.name.empty();
                return none ? kit::Cell::none() : kit::to_cell(row.frame.offset);
              })
      .column("INLINED", "inlined", 7, "into the function of the next row",
              [](const Row& row) { return kit::Cell::boolean(row.frame.inlined); })
      .column("LINE", "line", -6, "of its source",
              [](const Row& row) { return row.frame.line ? kit::to_cell(row.frame.line) : kit::Cell::unknown(); })
      .column("FILE", "file", 24, "its source", [known](const Row& row) { return known(row.frame.file); })
      .column("MODULE", "module", 24, "the file or part of the kernel",
              [known](const Row& row) { return known(row.module); })
      .column("REASON", "reason", 0, "why there is no name", [known](const Row& row) { return known(row.reason); })
      .column("BUILDID", "build_id", 40, "the file's", [known](const Row& row) { return known(row.build_id); })
      .only_with(never);
  return table;
}

blazesym::FrameText parse(std::string_view text) {
  if (auto asked = blazesym::parse_frame(text)) return *asked;
  throw kit::Failure(kit::Exit::usage, kit::cat("\"", text, "\": expects an address, or MODULE+OFFSET"));
}

using Asked = std::vector<blazesym::FrameText>;

Asked parse_all(const std::vector<std::string>& lines) {
  Asked all;
  for (const std::string& line : lines) {
    if (line.find_first_not_of(" \t") == line.npos) continue;
    try {
      all.push_back(parse(line));
    } catch (const kit::Failure& failure) {  // of a long list the rest is worth having
      std::fprintf(stderr, "symbolize: %s\n", failure.what());
    }
  }
  return all;
}

void show(kit::Session& session, const kit::Table<Row>& table, blazesym::Symbolizer& symbolizer, const Asked& all) {
  const auto& pids = session.settings().pids;
  auto names = blazesym::find_names(symbolizer, all, pids.empty() ? 0 : pids[0]);
  for (std::size_t i = 0; i < all.size(); i++) {
    auto& [symbol, reason] = names[i];
    if (symbol.frames.empty()) symbol.frames.emplace_back();
    for (const blazesym::Frame& frame : symbol.frames) {
      Row row{all[i].address,
              frame,
              symbol.module ? symbol.module->path : all[i].module,
              symbol.module ? symbol.module->build_id : all[i].build_id,
              {}};
      if (frame.name.empty()) row.reason = reason.empty() ? blazesym::reason_text(symbol.reason) : reason;
      session.row(table, row);
    }
  }
  session.flush();
}

}  // namespace

int tool(int argc, char** argv) {
  Knobs knobs;
  auto table = make_table();
  kit::Options options(kit::Shape::stream, "symbolize",
                       "Name addresses, or the frames that an earlier run left unnamed.");
  options.shows(table)
      .words("[ADDRESS...]", knobs.words)
      .option(0, "file", "FILE", knobs.file, "addresses are this ELF file's own, as nm and readelf show them")
      .option(0, "symbol-memory", "SIZE", knobs.memory, "memory for symbols (256M)")
      .details(
          "Addresses are those of --file, else of the process of -p, else the kernel's; without any, lines are read "
          "from standard input. MODULE+OFFSET and MODULE+OFFSET (BUILD ID), and the lines in which other tools show "
          "frames without names, name their file themselves: where a build id is given, only a file of that build "
          "gives names.")
      .example("symbolize --file /bin/true 0x2540", "a function, with what is inlined into it and its source lines")
      .example("symbolize -p 1234 7f3f8a2b1c40", "an address of a process")
      .example("symbolize <unnamed.txt", "frames of an earlier run, on a machine that has the debug files");
  kit::Session session(options, argc, argv);
  Asked all;
  if (session.lists()) {
    for (const std::string& word : knobs.words) all.push_back(parse(word));
    if (session.settings().pids.size() > 1) throw kit::Failure(kit::Exit::usage, "-p: expects one process");
  }
  auto symbolizer = blazesym::make_symbolizer({.memory = knobs.memory.bytes});
  return session.list(table, [&] {
    auto answer = [&](Asked some) {
      for (blazesym::FrameText& one : some)
        if (one.module.empty()) one.module = knobs.file;
      show(session, table, *symbolizer, some);
    };
    kit::InputLines input;
    answer(std::move(all));
    for (std::vector<std::string> lines; knobs.words.empty() && input.take(lines);) answer(parse_all(lines));
  });
}
