// SPDX-License-Identifier: BSD-2-Clause
// Captures: what is written is read again, and damage is said, never a crash.
#include "kit/capture.hpp"

#include <cstring>
#include <fstream>
#include <random>

#include "case.hpp"

namespace {

using Chunk = kit::CaptureReader::Chunk;
using namespace std::literals;

constexpr std::uint64_t layout = 0x1122334455667788;

std::vector<std::byte> bytes(std::string_view text) {
  auto data = reinterpret_cast<const std::byte*>(text.data());
  return {data, data + text.size()};
}

struct Record {
  kit_head head;
  char tail[8];
};

Record record(std::uint64_t time, std::string_view tail) {
  Record made{};
  made.head.time = time;
  made.head.fixed = sizeof(kit_head);
  made.head.tail_size = static_cast<std::uint32_t>(tail.size());
  std::memcpy(made.tail, tail.data(), tail.size());
  return made;
}

kit::CaptureHeader header() {
  kit::CaptureHeader made;
  made.layout = layout;
  made.options = "-x --path '/tmp/a b'";
  made.start = {.tool = "hello",
                .version = "9.9",
                .kernel = "6.1",
                .arch = "arm64",
                .clock = {1, 2, -3600},
                .filters = "{\"pid\":[1]}",
                .plan = "{}"};
  return made;
}

void write(const std::string& path, bool with_end = true) {
  kit::CaptureWriter writer(path, header());
  writer.record(record(10, "one").head);
  writer.snapshot("calls", {{bytes("k1"), bytes("value")}, {bytes(""), bytes("")}});
  writer.report(77, true);
  writer.record(record(20, "").head);
  if (with_end) writer.end({{"ring_full", 3}, {"skipped", std::nullopt}}, kit::CommandEnd{1, 11});
}

void put(const std::string& path, std::string_view content) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << content;
}

// Reads everything there is. Whether it came to an end chunk; throws Failure.
bool read_all(const std::string& path) {
  kit::CaptureReader reader(path, "hello", layout);
  Chunk chunk;
  bool ended = false;
  while (reader.next(chunk)) {
    std::string map;
    std::vector<kit::RawEntry> entries;
    std::uint64_t time;
    bool partial;
    kit::Losses lost;
    std::optional<kit::CommandEnd> command;
    if (chunk.kind == Chunk::snapshot) kit::CaptureReader::parse_snapshot(chunk.bytes, map, entries);
    if (chunk.kind == Chunk::report) kit::CaptureReader::parse_report(chunk.bytes, time, partial);
    if (chunk.kind == Chunk::end) kit::CaptureReader::parse_end(chunk.bytes, lost, command), ended = true;
  }
  return ended;
}

std::string failure_of(const std::string& path, const std::string& tool = "hello", std::uint64_t of = layout) {
  try {
    kit::CaptureReader reader(path, tool, of);
    return "";
  } catch (const kit::Failure& failure) {
    CHECK(failure.code() == kit::Exit::failed);
    CHECK(std::string(failure.what()).find('\n') == std::string::npos);
    return failure.what();
  }
}

}  // namespace

TEST_CASE("a capture is read as it was written") {
  test::TemporaryDirectory directory;
  std::string path = directory.path() + "/capture";
  write(path);
  kit::CaptureReader reader(path, "hello", layout);
  CHECK(reader.header().options == "-x --path '/tmp/a b'");
  CHECK(reader.header().start.version == "9.9");
  CHECK(reader.header().start.kernel == "6.1");
  CHECK(reader.header().start.arch == "arm64");
  CHECK(reader.header().start.filters == "{\"pid\":[1]}");
  CHECK(reader.header().start.clock.boot_ns == 1);
  CHECK(reader.header().start.clock.realtime_ns == 2);
  CHECK(reader.header().start.clock.utc_offset == -3600);

  Chunk chunk;
  REQUIRE(reader.next(chunk));
  CHECK(chunk.kind == Chunk::record);
  CHECK(chunk.bytes.size() == sizeof(kit_head) + 3);
  CHECK(chunk.bytes.ends_with("one"));

  REQUIRE(reader.next(chunk));
  CHECK(chunk.kind == Chunk::snapshot);
  std::string map;
  std::vector<kit::RawEntry> entries;
  kit::CaptureReader::parse_snapshot(chunk.bytes, map, entries);
  CHECK(map == "calls");
  REQUIRE(entries.size() == 2);
  CHECK(entries[0].key == bytes("k1"));
  CHECK(entries[0].values == bytes("value"));
  CHECK(entries[1].key.empty());

  REQUIRE(reader.next(chunk));
  std::uint64_t time = 0;
  bool partial = false;
  kit::CaptureReader::parse_report(chunk.bytes, time, partial);
  CHECK(time == 77);
  CHECK(partial);
  REQUIRE(reader.next(chunk));
  CHECK(chunk.kind == Chunk::record);

  REQUIRE(reader.next(chunk));
  CHECK(chunk.kind == Chunk::end);
  kit::Losses lost;
  std::optional<kit::CommandEnd> command;
  kit::CaptureReader::parse_end(chunk.bytes, lost, command);
  CHECK(lost == kit::Losses{{"ring_full", 3}, {"skipped", std::nullopt}});
  REQUIRE(command);
  CHECK(command->exit == 1);
  CHECK(command->signal == 11);
  CHECK_FALSE(reader.next(chunk));
}

TEST_CASE("an end without a command") {
  test::TemporaryDirectory directory;
  std::string path = directory.path() + "/capture";
  {
    kit::CaptureWriter writer(path, header());
    writer.end({}, std::nullopt);
  }
  kit::CaptureReader reader(path, "hello", layout);
  Chunk chunk;
  REQUIRE(reader.next(chunk));
  kit::Losses lost;
  std::optional<kit::CommandEnd> command;
  kit::CaptureReader::parse_end(chunk.bytes, lost, command);
  CHECK(lost.empty());
  CHECK_FALSE(command);
}

TEST_CASE("a capture that is cut at any byte fails or has no end") {
  test::TemporaryDirectory directory;
  std::string path = directory.path() + "/capture", cut = directory.path() + "/cut";
  write(path);
  std::string whole = test::read_file(path);
  int incomplete = 0;
  for (std::size_t size = 0; size < whole.size(); size++) {
    put(cut, std::string_view(whole).substr(0, size));
    try {
      bool ended = read_all(cut);
      CHECK_FALSE(ended);
      incomplete++;
    } catch (const kit::Failure& failure) {
      CHECK(failure.code() == kit::Exit::failed);
    }
  }
  CHECK(incomplete == 5);  // between chunks, the end's own beginning included
  CHECK(read_all(path));
}

TEST_CASE("a capture with any byte changed is read or refused") {
  test::TemporaryDirectory directory;
  std::string path = directory.path() + "/capture", changed = directory.path() + "/changed";
  write(path);
  std::string whole = test::read_file(path);
  std::mt19937 random(5);
  for (std::size_t at = 0; at < whole.size(); at++) {
    for (char value : {'\0', '\xff', '\x7f', static_cast<char>(random())}) {
      std::string copy = whole;
      copy[at] = value;
      put(changed, copy);
      try {
        read_all(changed);
      } catch (const kit::Failure&) {
      }
    }
  }
  SUCCEED();
}

TEST_CASE("what is no capture of this tool, format and layout is refused in one line") {
  test::TemporaryDirectory directory;
  std::string path = directory.path() + "/capture", other = directory.path() + "/other";
  CHECK(failure_of(path).find("cannot read") == 0);
  CHECK_FALSE(failure_of(directory.path()).empty());
  write(path);
  CHECK(failure_of(path) == "");
  CHECK(failure_of(path, "opensnoop").ends_with("was recorded by hello, not by opensnoop"));
  CHECK(failure_of(path, "hello", layout + 1).find("laid out otherwise") != std::string::npos);
  std::string whole = test::read_file(path);
  put(other, "");
  CHECK(failure_of(other).ends_with("is not a capture of corekit's"));
  put(other, "#!/bin/sh\n");
  CHECK(failure_of(other).ends_with("is not a capture of corekit's"));
  std::string swapped = whole;
  std::swap(swapped[8], swapped[11]);
  std::swap(swapped[9], swapped[10]);
  put(other, swapped);
  CHECK(failure_of(other).find("byte order") != std::string::npos);
  std::string newer = whole;
  newer[12] = 99;
  put(other, newer);
  CHECK(failure_of(other).find("format version 99") != std::string::npos);
}

TEST_CASE("a capture that is not ended in time can be read up to there") {
  test::TemporaryDirectory directory;
  std::string path = directory.path() + "/capture";
  write(path, false);
  CHECK_FALSE(read_all(path));
}

TEST_CASE("a capture cannot be written where there is no place, or no room") {
  CHECK_THROWS_AS(kit::CaptureWriter("/nonexistent/capture", header()), kit::Failure);
  CHECK_THROWS_AS(kit::CaptureWriter("/dev/full", header()), kit::Failure);
}
