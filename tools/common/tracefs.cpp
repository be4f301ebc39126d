// SPDX-License-Identifier: BSD-2-Clause
#include "tracefs.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sys/syscall.h>

#include <cstdlib>

#include "kit/text.hpp"

namespace kit {
namespace {

// tracefs's events directory. errno says why there is none.
const Fd& events_directory() {
  static const Fd directory = [] {
    for (const char* path : {"/sys/kernel/tracing/events", "/sys/kernel/debug/tracing/events"}) {
      Fd events(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
      if (events || errno == EACCES) return events;
    }
    Fd root = detached_mount("tracefs");
    return root ? Fd(openat(root.get(), "events", O_PATH | O_DIRECTORY | O_CLOEXEC)) : Fd();
  }();
  return directory;
}

// The directories in one of tracefs; `error` is set where that cannot be read.
std::vector<std::string> folders_of(int above, const std::string& name, int& error) {
  std::vector<std::string> all;
  DIR* folder = fdopendir(openat(above, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return error = errno, all;
  while (const dirent* entry = readdir(folder))
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') all.emplace_back(entry->d_name);
  closedir(folder);
  return all;
}

}  // namespace

Fd detached_mount(const char* system) {
  Fd context(static_cast<int>(syscall(SYS_fsopen, system, FSOPEN_CLOEXEC)));
  if (!context || syscall(SYS_fsconfig, context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) return Fd();
  return Fd(static_cast<int>(syscall(SYS_fsmount, context.get(), FSMOUNT_CLOEXEC, 0)));
}

int tracepoint_id(const std::string& event) {
  errno = 0;
  const Fd& events = events_directory();
  if (!events) return errno ? -errno : -EACCES;
  Fd file(openat(events.get(), (event + "/id").c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return -errno;
  char digits[16] = {};
  if (read(file.get(), digits, sizeof digits - 1) <= 0) return -EIO;
  return std::atoi(digits);
}

std::vector<std::string> tracepoints(int& error) {
  std::vector<std::string> all;
  errno = 0;
  const Fd& events = events_directory();
  error = events ? 0 : errno ? errno : EACCES;
  if (error) return all;
  for (const std::string& category : folders_of(events.get(), ".", error))
    for (const std::string& event : folders_of(events.get(), category, error)) all.push_back(cat(category, '/', event));
  return all;
}

std::string tracepoint_format(const std::string& event) { return tracefs_file(cat("events/", event, "/format")); }

std::string tracefs_file(const std::string& name) {
  std::string text;
  // The events' directory is the one that is kept; its parent's other files lie beside it.
  std::string path = name.starts_with("events/") ? name.substr(7) : cat("../", name);
  Fd file(openat(events_directory().get(), path.c_str(), O_RDONLY | O_CLOEXEC));
  char block[4096];
  for (ssize_t size; file && (size = read(file.get(), block, sizeof block)) > 0;) text.append(block, size);
  return text;
}

}  // namespace kit
