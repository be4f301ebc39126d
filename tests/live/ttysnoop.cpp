// SPDX-License-Identifier: BSD-2-Clause
// ttysnoop: what is written to a terminal, byte by byte, and nothing of another.
#include <stdlib.h>

#include "harness.hpp"

using live::Json;
using live::Words;

namespace {

// A terminal whose other end is ours.
struct Terminal {
  live::Fd master{posix_openpt(O_RDWR | O_NOCTTY)};
  std::string name;
  Terminal() {
    char path[64];
    if (grantpt(master.get()) || unlockpt(master.get()) || ptsname_r(master.get(), path, sizeof path))
      throw std::runtime_error("no pseudo-terminal");
    name = path;
  }
};

std::string data(const live::Result& result) {
  std::string all;
  for (const Json& row : result.rows()) all += row["data"].get<std::string>();
  return all;
}

}  // namespace

TEST_CASE("what is written to a terminal is shown, with who wrote it, in every way there is", "[each-kernel]") {
  NEEDS("root");
  Terminal watched, other;
  int tried = 0;
  for (const char* way : {"fexit", "kprobe", "tracepoints", "btf", "raw"}) {
    if (live::run("ttysnoop", {"--explain", "--attach", way}).status != 0) continue;
    tried++;
    live::Tool tool("ttysnoop", {"--attach", way, watched.name});
    live::Process writer(live::trigger("tells", {"3", watched.name, "he\033[1mllo"}));
    CHECK(writer.wait() == 0);
    live::Process(live::trigger("tells", {"3", other.name, "nobody asked"})).wait();
    live::Result result = tool.stop();
    INFO(way << '\n' << result.out << result.err);
    CHECK(data(result) == "he\033[1mllohe\033[1mllohe\033[1mllo");
    for (const Json& row : result.rows()) {
      CHECK(row["pid"] == writer.pid());
      CHECK("/dev/" + row["tty"].get<std::string>() == watched.name);
    }
    // raw sees the end of every call.
    CHECK(result.lost() == (live::brief() && std::string(way) == "raw" ? result.skipped() : 0));
  }
  CHECK(tried > 0);
}

TEST_CASE("writes in pieces, and longer ones than a record holds, come out whole") {
  NEEDS("root");
  Terminal terminal;
  live::Fd open_all_along(open(terminal.name.c_str(), O_RDWR | O_NOCTTY));  // or the reader meets its end in between
  live::Tool tool("ttysnoop", {terminal.name});
  std::string text(9000, 'a');
  for (int i = 0; i < 300; i++) text[i * 30] = static_cast<char>('A' + i % 26);
  std::thread reader([&] {
    char block[4096];
    for (std::size_t seen = 0; seen < 2 * text.size();) {
      ssize_t size = read(terminal.master.get(), block, sizeof block);
      if (size <= 0) break;
      seen += static_cast<std::size_t>(size);
    }
  });
  CHECK(live::Process(live::trigger("tells", {"1", terminal.name, text})).wait() == 0);
  CHECK(live::Process(live::trigger("tells", {"1", terminal.name, text, "writev"})).wait() == 0);
  reader.join();
  live::Result result = tool.stop();
  CHECK(data(result) == text + text);
  CHECK(result.lost() == 0);
}

TEST_CASE("--raw gives the bytes and nothing else; in rows they cannot act on a terminal") {
  NEEDS("root");
  Terminal terminal;
  for (const char* form : {"--raw", "--rows"}) {
    live::Tool tool("ttysnoop", {form, terminal.name}, {.json = false});
    live::Process(live::trigger("tells", {"2", terminal.name, "\033[31mred"})).wait();
    live::Result result = tool.stop();
    if (std::string(form) == "--raw") {
      CHECK(result.out == "\033[31mred\033[31mred");
    } else {
      CHECK(result.out.find('\033') == std::string::npos);
      CHECK(result.out.find("\\x1b[31mred") != std::string::npos);
    }
  }
}

TEST_CASE("what is no terminal is refused: 64 and one line", "[any-kernel]") {
  for (const char* name : {"pts/nosuch", "/dev/null/x", "/etc/passwd", "/dev/tty"}) {
    live::Result result = live::run("ttysnoop", {name});
    INFO(name << result.err);
    CHECK(result.status == 64);
    CHECK(live::count_lines(result.err) == 1);
  }
}
