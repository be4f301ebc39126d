// SPDX-License-Identifier: BSD-2-Clause
// Capture files: what a run saw, to be shown again on any machine (--record, --replay; CONTRACT, section 7).
//
// A file is a header and then chunks of {u32 kind, u32 size, bytes}. All numbers are in the byte order of the machine
// that recorded; the header tells which. A file that does not end in an `end` chunk is incomplete, and is said to be.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "kit/maps.hpp"
#include "kit/sink.hpp"

namespace kit {

struct CaptureHeader {
  Start start;
  std::uint64_t layout = 0;  // of the records: layout_hash()
  std::string options;       // the command line, for people
};

class CaptureWriter {
 public:
  CaptureWriter(const std::string& path, const CaptureHeader& header);
  void record(const kit_head& head);
  // The entries of a map at a report.
  void snapshot(const std::string& map, const std::vector<RawEntry>& entries);
  // The report of which the snapshots before are the content.
  void report(std::uint64_t time, bool partial);
  void end(const Losses& lost, const std::optional<CommandEnd>& command);
  // What a number was called when it was shown: behind the record that it is in.
  void name(const std::string& kind, std::uint64_t number, const std::string& text);
  // Writes what is still held back, so that a run that is killed leaves what it saw.
  void flush();

 private:
  void chunk(std::uint32_t kind, std::string_view bytes);
  std::string path_;
  Fd file_;
  std::string buffer_;
};

// A capture, read whole. Its parts are given in the order in which they were recorded.
class CaptureReader {
 public:
  // Throws Failure for what is no capture, of another tool, or of another format version or layout.
  CaptureReader(const std::string& path, const std::string& tool, std::uint64_t layout);
  const CaptureHeader& header() const { return header_; }

  struct Chunk {
    enum Kind : std::uint32_t { record = 1, snapshot = 2, report = 3, end = 4, name = 5 } kind;
    std::string_view bytes;
  };
  // The next one; false at the end of the file. Throws Failure where the file is cut short.
  bool next(Chunk& chunk);
  // Back to the first one.
  void rewind() { at_ = begin_; }

  static void parse_snapshot(std::string_view bytes, std::string& map, std::vector<RawEntry>& entries);
  static void parse_report(std::string_view bytes, std::uint64_t& time, bool& partial);
  static void parse_name(std::string_view bytes, std::string& kind, std::uint64_t& number, std::string& text);
  static void parse_end(std::string_view bytes, Losses& lost, std::optional<CommandEnd>& command);

 private:
  std::string path_, bytes_;
  std::size_t at_ = 0, begin_ = 0;
  CaptureHeader header_;
};

}  // namespace kit
