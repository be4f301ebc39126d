// SPDX-License-Identifier: BSD-2-Clause
#include "kit/capture.hpp"

#include <fcntl.h>

#include <cstring>

#include "kit/text.hpp"
#include "packing.hpp"

namespace kit {
namespace {

constexpr std::string_view magic = "corekit\n";
constexpr std::uint32_t format_version = 1, byte_order = 0x01020304;

std::vector<std::byte> to_bytes(std::string_view text) {
  auto data = reinterpret_cast<const std::byte*>(text.data());
  return {data, data + text.size()};
}
std::string_view to_text(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string read_file(const std::string& path) {
  Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) throw Failure(Exit::failed, cat("cannot read ", path, ": ", error_text(errno)));
  std::string bytes;
  char block[65536];
  ssize_t size;
  while ((size = read(file.get(), block, sizeof block)) > 0) bytes.append(block, static_cast<std::size_t>(size));
  if (size < 0) throw Failure(Exit::failed, cat("cannot read ", path, ": ", error_text(errno)));
  return bytes;
}

}  // namespace

CaptureWriter::CaptureWriter(const std::string& path, const CaptureHeader& header)
    : path_(path), file_(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) {
  if (!file_) throw Failure(Exit::failed, cat("cannot write ", path, ": ", error_text(errno)));
  buffer_ = magic;
  put(buffer_, byte_order);
  put(buffer_, format_version);
  put(buffer_, header.layout);
  put(buffer_, header.start.clock.boot_ns);
  put(buffer_, header.start.clock.realtime_ns);
  put(buffer_, header.start.clock.utc_offset);
  const Start& start = header.start;
  for (const std::string& text :
       {start.tool, start.version, start.kernel, start.arch, start.filters, start.plan, header.options})
    put_text(buffer_, text);
  flush();
}

void CaptureWriter::chunk(std::uint32_t kind, std::string_view bytes) {
  put(buffer_, kind);
  put_text(buffer_, bytes);
  if (buffer_.size() > 1 << 16) flush();
}

void CaptureWriter::flush() {
  std::string_view rest = buffer_;
  while (!rest.empty()) {
    ssize_t written = write(file_.get(), rest.data(), rest.size());
    if (written < 0) throw Failure(Exit::failed, cat("cannot write ", path_, ": ", error_text(errno)));
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  buffer_.clear();
}

void CaptureWriter::record(const kit_head& head) {
  chunk(CaptureReader::Chunk::record, {reinterpret_cast<const char*>(&head), std::size_t{head.fixed} + head.tail_size});
}

void CaptureWriter::snapshot(const std::string& map, const std::vector<RawEntry>& entries) {
  std::string bytes;
  put_text(bytes, map);
  for (const RawEntry& entry : entries) {
    put_text(bytes, to_text(entry.key));
    put_text(bytes, to_text(entry.values));
  }
  chunk(CaptureReader::Chunk::snapshot, bytes);
}

void CaptureWriter::report(std::uint64_t time, bool partial) {
  std::string bytes;
  put(bytes, time);
  put(bytes, static_cast<std::uint8_t>(partial));
  chunk(CaptureReader::Chunk::report, bytes);
}

void CaptureWriter::name(const std::string& kind, std::uint64_t number, const std::string& text) {
  std::string bytes;
  put_text(bytes, kind);
  put(bytes, number);
  put_text(bytes, text);
  chunk(CaptureReader::Chunk::name, bytes);
}

void CaptureWriter::end(const Losses& lost, const std::optional<CommandEnd>& command) {
  std::string bytes;
  put(bytes, static_cast<std::uint8_t>(command.has_value()));
  put(bytes, static_cast<std::int32_t>(command ? command->exit : 0));
  put(bytes, static_cast<std::int32_t>(command ? command->signal : 0));
  for (const auto& [name, count] : lost) {
    put_text(bytes, name);
    put(bytes, static_cast<std::uint8_t>(count.has_value()));
    put(bytes, count.value_or(0));
  }
  chunk(CaptureReader::Chunk::end, bytes);
  flush();
}

CaptureReader::CaptureReader(const std::string& path, const std::string& tool, std::uint64_t layout)
    : path_(path), bytes_(read_file(path)) {
  if (!bytes_.starts_with(magic)) throw Failure(Exit::failed, cat(path, " is not a capture of corekit's"));
  Cursor cursor(std::string_view(bytes_).substr(magic.size()));
  if (cursor.number<std::uint32_t>() != byte_order)
    throw Failure(Exit::failed,
                  cat(path, " was recorded on a machine of the other byte order; replay it on such a one"));
  auto version = cursor.number<std::uint32_t>();
  if (version != format_version)
    throw Failure(Exit::failed, cat(path, " has format version ", version, ", this program reads ", format_version));
  header_.layout = cursor.number<std::uint64_t>();
  Start& start = header_.start;
  start.clock.boot_ns = cursor.number<std::uint64_t>();
  start.clock.realtime_ns = cursor.number<std::uint64_t>();
  start.clock.utc_offset = cursor.number<std::int64_t>();
  for (std::string* text :
       {&start.tool, &start.version, &start.kernel, &start.arch, &start.filters, &start.plan, &header_.options})
    *text = cursor.text();
  if (start.tool != tool) throw Failure(Exit::failed, cat(path, " was recorded by ", start.tool, ", not by ", tool));
  if (header_.layout != layout)
    throw Failure(Exit::failed, cat(path, " was recorded by ", tool, ' ', start.version,
                                    ", whose records are laid out otherwise; replay it with that version"));
  at_ = begin_ = bytes_.size() - cursor.left();
}

bool CaptureReader::next(Chunk& chunk) {
  if (at_ == bytes_.size()) return false;
  Cursor cursor(std::string_view(bytes_).substr(at_));
  chunk.kind = static_cast<Chunk::Kind>(cursor.number<std::uint32_t>());
  chunk.bytes = cursor.text();
  at_ = bytes_.size() - cursor.left();
  return true;
}

void CaptureReader::parse_snapshot(std::string_view bytes, std::string& map, std::vector<RawEntry>& entries) {
  Cursor cursor(bytes);
  map = cursor.text();
  while (cursor.left()) {
    auto key = to_bytes(cursor.text());
    entries.push_back({std::move(key), to_bytes(cursor.text())});
  }
}

void CaptureReader::parse_report(std::string_view bytes, std::uint64_t& time, bool& partial) {
  Cursor cursor(bytes);
  time = cursor.number<std::uint64_t>();
  partial = cursor.number<std::uint8_t>();
}

void CaptureReader::parse_name(std::string_view bytes, std::string& kind, std::uint64_t& number, std::string& text) {
  Cursor cursor(bytes);
  kind = cursor.text();
  number = cursor.number<std::uint64_t>();
  text = cursor.text();
}

void CaptureReader::parse_end(std::string_view bytes, Losses& lost, std::optional<CommandEnd>& command) {
  Cursor cursor(bytes);
  bool ended = cursor.number<std::uint8_t>();
  CommandEnd how{cursor.number<std::int32_t>(), 0};
  how.signal = cursor.number<std::int32_t>();
  if (ended) command = how;
  while (cursor.left()) {
    std::string name(cursor.text());
    bool known = cursor.number<std::uint8_t>();
    auto count = cursor.number<std::uint64_t>();
    lost[name] = known ? std::optional(count) : std::nullopt;
  }
}

}  // namespace kit
