// SPDX-License-Identifier: BSD-2-Clause
#include "kit/picture_files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "kit/text.hpp"

namespace kit {
namespace {

void write_all(const std::string& path, std::string_view bytes) {
  bool standard = path == "-";
  Fd file(standard ? dup(1) : open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  while (file && !bytes.empty()) {
    ssize_t written = ::write(file.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EPIPE && standard) return;  // its reader has seen enough
    if (written < 0) break;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  if (!file || !bytes.empty()) throw Failure(Exit::failed, cat("cannot write ", path, ": ", error_text(errno)));
}

// Says now, not after an hour, what cannot be written; leaves what is there as it is.
void check_writable(const std::string& path) {
  bool there = access(path.c_str(), F_OK) == 0;
  Fd file(open(path.c_str(), O_WRONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0666));
  // A FIFO that nobody reads yet.
  if (!file && errno != ENXIO) throw Failure(Exit::failed, cat("cannot write ", path, ": ", error_text(errno)));
  if (!there) unlink(path.c_str());
}

}  // namespace

std::string picture_text(std::string_view text) {
  std::string out;
  append_visible(out, text);
  return out;
}

std::string read_file_of(const std::string& path) {
  Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string bytes;
  char block[65536];
  ssize_t size = -1;
  while (file && (size = read(file.get(), block, sizeof block)) > 0)
    bytes.append(block, static_cast<std::size_t>(size));
  if (size < 0) throw Failure(Exit::failed, cat("cannot read ", path, ": ", error_text(errno)));
  return bytes;
}

void PictureFiles::declare(Options& options, const char* name, const char* about, Content content,
                           std::string (*check)(std::string_view)) {
  options.add(0, name, "FILE", about,
              [this, name, check, content = std::move(content)](std::string_view path) -> std::string {
                wanted_.push_back({name, std::string(path), content});
                if (path.empty()) return "expects a file, or - for standard output";
                return check ? check(path) : "";
              });
}

bool PictureFiles::wanted(std::string_view option) const {
  return std::any_of(wanted_.begin(), wanted_.end(), [&](const File& file) { return file.option == option; });
}

void PictureFiles::begin(Session& session) const {
  auto on_stdout = std::count_if(wanted_.begin(), wanted_.end(), [](const File& file) { return file.path == "-"; });
  if (on_stdout > 1 || (on_stdout && session.settings().output != Output::text))
    throw Failure(Exit::usage, "standard output takes one output: give the others a file");
  for (const File& file : wanted_)
    if (file.path != "-") check_writable(file.path);
  if (on_stdout) session.keep_quiet();
}

void PictureFiles::write() const {
  for (const File& file : wanted_) write_all(file.path, file.content(file.path));
}

}  // namespace kit
