// SPDX-License-Identifier: BSD-2-Clause
// A process is called by the program that it runs in the end, by tools that count it: a shell's child begins as the
// shell.
#include <fcntl.h>
#include <unistd.h>

#include "disks.hpp"
#include "harness.hpp"

using live::Json;
using live::Words;
using live::operator+;

namespace {

// What a tool shows of a process that does something under our name and then becomes a program that does it again.
struct Named {
  int pid;
  live::Result result;
};
Named named(const std::string& tool, const Words& options, const Words& program, std::function<void()> before) {
  live::Process process(program, {.inside = std::move(before), .gated = true});
  live::Tool running(tool, options + Words{"-p", process.number()});
  process.go();
  CHECK(process.wait() == 0);
  return {process.pid(), running.finish()};
}

}  // namespace

TEST_CASE("syscount -P", "[each-kernel]") {
  NEEDS("root");
  auto [pid, result] =
      named("syscount", {"-P", "--syscall", "getppid"}, live::trigger("calls", {"getppid", "6"}), [] { getppid(); });
  Json row = result.row({{"pid", pid}});
  CHECK(row["count"] == 7);
  CHECK(row["comm"] == "calls");
}

TEST_CASE("vfslatency -P", "[each-kernel]") {
  NEEDS("root");
  test::TemporaryDirectory folder;
  auto [pid, result] =
      named("vfslatency", {"-P", "--op", "read"}, live::trigger("files", {folder.path(), "read", "6"}), [] {
        char byte;
        live::Fd zeros(open("/dev/zero", O_RDONLY | O_CLOEXEC));
        if (read(zeros.get(), &byte, 1) != 1) _exit(1);
      });
  auto reads = result.histograms();
  REQUIRE(reads.size() == 1);
  CHECK(reads[0]["count"] >= 7);
  CHECK(reads[0]["key"]["pid"] == pid);
  CHECK(reads[0]["key"]["comm"] == "files");
}

TEST_CASE("bitesize", "[each-kernel]") {
  NEEDS("root");
  NEEDS("loop");
  live::LoopDisk disk;
  auto [pid, result] =
      named("bitesize", {"--disk", disk.name()}, live::trigger("disk_io", {disk.path(), "read", "4096", "6"}), [&] {
        alignas(4096) static char block[4096];
        live::Fd file(open(disk.path().c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
        if (read(file.get(), block, sizeof block) != sizeof block) _exit(1);
      });
  auto sizes = result.histograms();
  REQUIRE(sizes.size() == 1);
  CHECK(sizes[0]["count"] == 7);
  CHECK(sizes[0]["key"]["pid"] == pid);
  CHECK(sizes[0]["key"]["comm"] == "disk_io");
}

TEST_CASE("taskswitch", "[each-kernel]") {
  NEEDS("root");
  auto [pid, result] = named("taskswitch", {}, live::trigger("calls", {"nanosleep", "6"}), [] {
    for (int i = 0; i < 6; i++) usleep(1000);
  });
  INFO(result.out << result.err);
  CHECK(result.row_lines() > 0);
  for (const char* side : {"prev", "next"})
    for (const Json& row : result.rows({{side + std::string("_pid"), pid}}))
      CHECK(row[side + std::string("_comm")] == "calls");
}
