// SPDX-License-Identifier: BSD-2-Clause
// Broken and hostile input for what finds and shows names: damaged ELF files, DWARF that leads in circles, rubbish for
// texts of the kernel and of runtimes, names that would be markup. Built so that a wrong step ends the program.
#include "symbols.hpp"

#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "case.hpp"
#include "demangle.hpp"
#include "elf_symbols.hpp"
#include "frame_text.hpp"
#include "kallsyms.hpp"
#include "kit/picture.hpp"
#include "processes.hpp"

namespace {

using Random = std::mt19937_64;

constexpr double seconds_of_a_case = 8, longest_step = 5;

double now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// Of this process's own time, since others' is none of the step's.
double used() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

// Calls step(random) with one seed after another until the time is over; a step that takes too long is a failure.
template <typename Step>
void go_on(Step step) {
  std::uint64_t seed = 1, slow = 0;
  for (double end = now() + seconds_of_a_case; now() < end; seed++) {
    Random random(seed);
    double begin = used();
    step(random);
    if (used() - begin > longest_step) {
      slow++;
      UNSCOPED_INFO("seed " << seed << " took " << used() - begin << " s");
    }
  }
  CHECK(slow == 0);
  CHECK(seed > 10);  // else nothing was tried
}

std::string original() { return test::read_file(test::trigger_path("hot")); }

// Where the named sections lie in the file.
std::vector<std::pair<std::size_t, std::size_t>> sections(const std::string& image, std::vector<const char*> names) {
  std::vector<std::pair<std::size_t, std::size_t>> all;
  blazesym::ElfFile file{std::string(image)};
  for (const char* name : names) {
    std::string_view bytes = file.section(name);
    std::size_t at = bytes.size() > 16 ? image.find(bytes) : image.npos;
    if (at != image.npos) all.emplace_back(at, bytes.size());
  }
  return all;
}

// Asks of a file with these bytes all over, and shows the names.
void ask(const std::string& bytes, Random& random) {
  static test::TemporaryDirectory folder;
  std::string path = folder.path() + "/file";
  std::ofstream(path, std::ios::trunc | std::ios::binary) << bytes;
  std::vector<std::uint64_t> addresses = {0, UINT64_MAX};
  for (int i = 0; i < 60; i++) addresses.push_back(random() % (bytes.size() + 4096));
  auto symbolizer = blazesym::make_symbolizer({.debug_directories = {}});
  std::size_t text = 0;
  for (const auto& symbol : symbolizer->file(path, addresses))
    for (const auto& frame : symbol.frames) text += frame.name.size() + frame.file.size();
  CHECK(text < std::size_t{1} << 30);
}

std::string rubbish(Random& random, std::size_t most) {
  static const char* const pieces[] = {"</script>",
                                       "<",
                                       "&",
                                       "\"",
                                       "'",
                                       "]]>",
                                       "\\",
                                       "\n",
                                       "\x1b[31m",
                                       "0x",
                                       "_Z",
                                       "_R",
                                       "\xff",
                                       ";",
                                       " ",
                                       "10",
                                       "[",
                                       "\t",
                                       "ffffffff81000000 T ",
                                       "-",
                                       "f",
                                       "é"};
  std::string text;
  for (std::size_t i = random() % most; i-- > 0;) {
    if (random() % 4 == 0)
      text += static_cast<char>(random());
    else
      text += pieces[random() % std::size(pieces)];
  }
  return text;
}

kit::Picture hostile_picture(Random& random) {
  kit::Picture picture;
  picture.maker = "profile";
  picture.title = "Hostile";
  picture.time = random() % 2;
  std::deque<std::string> texts;
  auto text = [&]() -> std::string_view { return texts.emplace_back(rubbish(random, 12)); };
  for (int i = 0; i < 12; i++) {
    kit::StackFrame frame{.address = random(), .module_offset = random()};
    frame.name = text();
    frame.module = text();
    frame.build_id = text();
    frame.file = text();
    frame.line = static_cast<std::uint32_t>(random());
    frame.kind = static_cast<kit::StackFrame::Kind>(random() % 3);
    frame.inlined = random() % 2;
    picture.frames.push_back(kit::picture_frame(frame));
  }
  for (int i = 0; i < 8; i++) {
    kit::PictureStack& stack = picture.stacks.emplace_back();
    for (std::size_t depth = random() % 20; depth-- > 0;)
      stack.frames.push_back(static_cast<std::uint32_t>(random() % picture.frames.size()));
    stack.comm = kit::picture_frame({.name = text()}).name;
    stack.weight = stack.count = random() % 50;
  }
  return picture;
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t sum = 0;
  for (std::size_t at = 0; (at = text.find(what, at)) != text.npos; at += what.size()) sum++;
  return sum;
}

bool has_control(const std::string& text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return (static_cast<unsigned char>(c) < 32 && c != '\n' && c != '\t') || c == 127; });
}

}  // namespace

TEST_CASE("ELF files that end too early or whose bytes are changed have reasons or names") {
  std::string whole = original();
  go_on([&](Random& random) {
    std::string bytes = whole;
    if (random() % 2) bytes.resize(random() % bytes.size());
    for (std::size_t i = random() % 30; i-- > 0 && !bytes.empty();) {
      // The headers first: they lead everywhere.
      std::size_t place = random() % 3 == 0   ? random() % std::min<std::size_t>(bytes.size(), 1024)
                          : random() % 2 == 0 ? bytes.size() - 1 - random() % std::min<std::size_t>(bytes.size(), 4096)
                                              : random() % bytes.size();
      bytes[place] = static_cast<char>(random());
    }
    if (bytes.size() > 7 && random() % 8) std::memcpy(bytes.data(), "\177ELF\2\1\1", 7);
    ask(bytes, random);
  });
}

TEST_CASE("DWARF that leads in circles or nowhere comes to an end") {
  std::string whole = original();
  auto places = sections(
      whole, {".debug_info", ".debug_abbrev", ".debug_line", ".debug_line_str", ".debug_str", ".debug_rnglists"});
  REQUIRE(places.size() >= 4);
  go_on([&](Random& random) {
    std::string bytes = whole;
    for (std::size_t i = 1 + random() % 40; i-- > 0;) {
      auto [start, size] = places[random() % 2 ? 0 : random() % places.size()];
      std::size_t at = random() % (size - 4);
      // References are offsets of four bytes: small ones lead back.
      std::uint32_t value = static_cast<std::uint32_t>(random() % (random() % 2 ? 64 : size));
      std::memcpy(bytes.data() + start + at, &value, random() % 3 ? 4 : 1);
    }
    ask(bytes, random);
  });
}

TEST_CASE("files' names for functions are whatever their bytes are") {
  std::string whole = original();
  auto places = sections(whole, {".strtab", ".debug_str"});
  REQUIRE(!places.empty());
  go_on([&](Random& random) {
    std::string bytes = whole;
    for (auto [start, size] : places)
      for (int i = 0; i < 60; i++) {
        std::string text = rubbish(random, 4).substr(0, 24);
        if (text.size() < size) bytes.replace(start + random() % (size - text.size()), text.size(), text);
      }
    ask(bytes, random);
  });
}

TEST_CASE("texts of the kernel, of runtimes and of earlier runs may be rubbish") {
  go_on([](Random& random) {
    for (int i = 0; i < 50; i++) {
      std::string text = rubbish(random, 200);
      for (const auto& function : blazesym::parse_perf_map(text))
        CHECK(function.start + function.size >= function.start);
      for (const auto& mapped : blazesym::parse_maps(text)) CHECK(mapped.start < mapped.end);
      blazesym::KernelSymbols symbols(text);
      blazesym::KernelSymbols::Found found;
      symbols.find(0xffffffff81000000, found);
      symbols.find(random(), found);
      blazesym::parse_frame(text);
      for (const char* start : {"_Z", "_R", "_ZN", "_RNv", "_RINvC"}) blazesym::demangle(start + rubbish(random, 20));
      try {
        kit::read_folded(text, "x");
      } catch (const kit::Failure&) {
      }
    }
  });
}

TEST_CASE("no name gets out of its place in a picture") {
  go_on([](Random& random) {
    kit::Picture picture = hostile_picture(random);
    std::map<std::string, std::uint64_t> before = {{rubbish(random, 8), 3}};
    auto* compared = random() % 2 ? &before : nullptr;
    std::string svg = kit::write_svg(picture, compared), html = kit::write_html(picture, compared);
    CHECK(count(svg, "</script>") == 1);
    CHECK(count(svg, "]]>") == 1);
    CHECK(count(html, "</script>") == 2);
    for (const std::string& json :
         {kit::write_chrome(picture), kit::write_firefox(picture), kit::write_speedscope(picture)})
      CHECK_NOTHROW(nlohmann::json::parse(json));
    for (const std::string& text : {svg, html, kit::write_folded(picture), kit::write_perf_script(picture)})
      CHECK_FALSE(has_control(text));
    CHECK(kit::write_pprof(picture).size() > 20);
    CHECK(kit::write_perfetto(picture).size() > 20);
    std::uint64_t sum = 0;
    for (const auto& [stack, weight] : kit::read_folded(kit::write_folded(picture), "x")) sum += weight;
    CHECK(sum == picture.total());
  });
}
