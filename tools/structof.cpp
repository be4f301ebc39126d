// SPDX-License-Identifier: BSD-2-Clause
// structof: how structures lie in memory.
#include <algorithm>

#include "kit/layout.hpp"
#include "kit/session.hpp"
#include "kit/text.hpp"

namespace {

using kit::Cell;

struct Knobs {
  std::vector<std::string> names;
  std::string file, module, contains, member, diff;
  bool expand = false, sizes = false;
  kit::Number top, line{64};

  bool of_many() const { return names.empty() || !contains.empty(); }
  bool compares() const { return !diff.empty(); }
};

using Row = kit::LayoutRow;

Cell text(const std::string& text) { return text.empty() ? Cell::none() : Cell::borrowed(text); }

void add_place(kit::Table<Row>& table, const Knobs& knobs) {
  auto bits = [](const Row& row, std::uint32_t value) { return row.part.bits ? Cell::count(value) : Cell::none(); };
  auto of_type = [](std::uint64_t Row::*member) {
    return [member](const Row& row) { return row.kind == "type" ? Cell::count(row.*member) : Cell::none(); };
  };
  table
      .column("OFFSET", "offset", -6, "bytes from the beginning",
              [](const Row& row) { return Cell::count(row.part.offset); })
      .column("SIZE", "size", -6, "bytes; of a bit-field those of its type",
              [](const Row& row) {
                if (row.part.size) return Cell::count(*row.part.size);
                return row.part.bits ? Cell::none() : Cell::unknown();
              })
      .column("BIT", "bit", -3, "of a bit-field, or less than a byte: its first behind the offset",
              [bits](const Row& row) { return bits(row, row.part.bit); })
      .column("BITS", "bits", -4, "and how many it has", [bits](const Row& row) { return bits(row, row.part.bits); })
      .column("LINE", "line", -4, "the cache line in which it begins, from 0",
              [&knobs](const Row& row) { return Cell::count(row.part.offset / knobs.line.value); })
      .column("MEMBERS", "members", -7, "how many a structure has", of_type(&Row::members))
      .only_with(knobs.sizes)
      .column("HOLES", "holes", -6, "whole bytes that lie unused between them", of_type(&Row::holes))
      .only_with(knobs.sizes)
      .column("PADDING", "padding", -7, "and behind the last", of_type(&Row::padding))
      .only_with(knobs.sizes);
}

kit::Table<Row> make_table(const Knobs& knobs, const bool& many, const bool& compares) {
  kit::Table<Row> table;
  table
      .column("CHANGE", "change", 8, "with --diff: added, removed, moved, resized or retyped",
              [](const Row& row) { return text(row.change); })
      .only_with(compares)
      .column("KIND", "kind", 7, "type, member, hole (between two), padding (behind the last)",
              [](const Row& row) { return Cell::borrowed(row.kind); })
      .column("IN", "in", 28, "the structure that it is in", [](const Row& row) { return text(row.in); })
      .only_with(many);
  add_place(table, knobs);
  table
      .column("NAME", "name", 24, "a member's, with those that it is within",
              [](const Row& row) { return text(row.part.name); })
      .column("TYPE", "type", 24, "as C declares it", [](const Row& row) { return text(row.part.type); })
      .column("WAS", "was", 0, "with --diff: what it was", [](const Row& row) { return text(row.was); })
      .only_with(compares);
  return table;
}

kit::LayoutRows find(const Knobs& knobs, const std::string& kernel) {
  kit::TypeFile file = !knobs.file.empty()     ? kit::TypeFile::of_file(knobs.file)
                       : !knobs.module.empty() ? kit::TypeFile::of_module(knobs.module, kernel)
                                               : kit::TypeFile::of_kernel(kernel);
  std::string name = knobs.names.empty() ? "" : knobs.names[0];
  if (!knobs.diff.empty()) return kit::compare_layouts(kit::TypeFile::of_file(knobs.diff), file, name);
  if (knobs.sizes) return kit::list_structures(file);
  if (!knobs.contains.empty()) return kit::find_containers(file, knobs.contains);
  if (name.empty()) return kit::find_members(file, knobs.member);
  return kit::show_layouts(file, name, knobs.expand ? kit::Within::all : kit::Within::unnamed, knobs.member);
}

void check(const Knobs& knobs) {
  auto fail = [](const char* what) { throw kit::Failure(kit::Exit::usage, what); };
  int questions = knobs.sizes + !knobs.contains.empty() + !knobs.diff.empty();
  if (knobs.names.size() > 1) fail("one TYPE at a time; one of two words in quotes, as 'struct file'");
  if (knobs.names.empty() && knobs.member.empty() && !questions)
    fail("expects a TYPE, or --sizes, --contains, --member or --diff");
  if (questions > 1) fail("--sizes, --contains and --diff exclude each other");
  if (!knobs.names.empty() && (knobs.sizes || !knobs.contains.empty()))
    fail("--sizes and --contains take no TYPE besides");
  if (!knobs.file.empty() && !knobs.module.empty()) fail("--file and --module exclude each other");
}

void declare(kit::Options& options, Knobs& knobs) {
  options.words("[TYPE]", knobs.names)
      .option('m', "module", "NAME", knobs.module, "the types of a loaded kernel module")
      .option(0, "file", "FILE", knobs.file, "the types of a program, library, object or BTF file")
      .flag(0, "expand", knobs.expand, "what structures within have, too")
      .flag(0, "sizes", knobs.sizes, "all structures, the largest first")
      .option(0, "contains", "TYPE", knobs.contains, "the members that are such a structure, or an array of them")
      .option(0, "member", "GLOB", knobs.member, "only members whose names match: of TYPE, or of all")
      .option(0, "diff", "FILE", knobs.diff, "what differs from the types in FILE: of TYPE, or of all")
      .option(0, "top", "N", knobs.top, "only the first N rows")
      .option(0, "cache-line", "BYTES", knobs.line, "how long a cache line is (default 64)")
      .details(
          "TYPE is a structure, a union or a typedef of one: 'file', 'struct file', 'union bpf_attr', 'spinlock_t'. It "
          "is looked up in the types of the running kernel, or of what --module, --file or --btf names. A FILE is "
          "taken "
          "by its BTF, else by its DWARF (compile with -g), also that of a separate debug file. No privilege is "
          "needed.")
      .details("Bit-fields stand where the x86-64 and arm64 ABIs put them: in a unit of their type, at a bit of it.")
      .example("structof file", "the running kernel's struct file, with its holes")
      .example("structof task_struct --member '*pid*'", "where its members about PIDs are")
      .example("structof --contains list_head -o json", "who embeds a list head")
      .example("structof --file ./server --sizes --top 20", "a program's largest structures")
      .example("structof sk_buff --diff /boot/vmlinux-old", "what a kernel upgrade changed");
}

}  // namespace

int tool(int argc, char** argv) {
  Knobs knobs;
  bool many = false, compares = false;
  auto table = make_table(knobs, many, compares);
  kit::Options options(kit::Shape::stream, "structof", "Show how structures lie in memory, with their holes.");
  options.shows(table);
  declare(options, knobs);
  kit::Session session(options, argc, argv);
  many = knobs.of_many();
  compares = knobs.compares();
  kit::LayoutRows rows;
  if (session.lists()) {
    check(knobs);
    rows = find(knobs, session.settings().btf);
  }
  if (knobs.top) rows.resize(std::min<std::size_t>(rows.size(), knobs.top.value));
  return session.list(table, [&] {
    for (const Row& row : rows) session.row(table, row);
  });
}
