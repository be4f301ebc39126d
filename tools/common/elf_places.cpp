// SPDX-License-Identifier: BSD-2-Clause
// Where programs and libraries are: what a process has mapped, what the dynamic loader knows, what is in PATH.
#include <elf.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <set>

#include "files.hpp"
#include "kit/elf.hpp"
#include "kit/text.hpp"

namespace kit {
namespace {

// The dynamic loader's cache, /etc/ld.so.cache: a header, entries, and the strings they point to. Older caches have
// another table in front, after which the same begins.
struct CacheHeader {
  char magic[20];  // "glibc-ld.so.cache1.1"
  std::uint32_t count, strings_size;
  std::uint32_t unused[5];
};
struct CacheEntry {
  std::int32_t flags;
  std::uint32_t name, path;  // offsets from the header
  std::uint32_t os;
  std::uint64_t hardware;
};
constexpr std::string_view cache_magic = "glibc-ld.so.cache1.1";

// FLAG_ELF_LIBC6 with the machine: what a process of this build would load.
#ifdef __aarch64__
constexpr std::int32_t our_flags = 0x0a03;
#else
constexpr std::int32_t our_flags = 0x0303;
#endif

std::string_view cached_text(std::string_view cache, std::size_t at) {
  if (at >= cache.size()) return {};
  std::size_t end = cache.find('\0', at);
  return end == cache.npos ? std::string_view{} : cache.substr(at, end - at);
}

std::string in_loader_cache(std::string_view file, std::string_view name) {
  std::string all = blazesym::read_text(std::string(file));
  std::string_view cache = all;
  std::size_t begin = cache.find(cache_magic);
  if (begin == cache.npos || cache.size() - begin < sizeof(CacheHeader)) return {};
  cache.remove_prefix(begin);
  CacheHeader header;
  std::memcpy(&header, cache.data(), sizeof header);
  for (std::size_t i = 0; i < header.count && sizeof header + (i + 1) * sizeof(CacheEntry) <= cache.size(); i++) {
    CacheEntry entry;
    std::memcpy(&entry, cache.data() + sizeof header + i * sizeof entry, sizeof entry);
    std::string_view known = cached_text(cache, entry.name);
    if (entry.flags == our_flags && is_library(known, name)) return std::string(cached_text(cache, entry.path));
  }
  return {};
}

// Where a dynamic loader looks that has no cache of this machine's libraries, as musl's and a foreign one's.
std::string in_library_folders(std::string_view name) {
#ifdef __aarch64__
  constexpr const char* folders[] = {"/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/lib64", "/lib",
                                     "/usr/lib"};
#else
  constexpr const char* folders[] = {"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/lib",
                                     "/usr/lib"};
#endif
  for (const char* folder : folders) {
    std::set<std::string> found;  // in order
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(folder, none))
      if (is_library(entry.path().native(), name)) found.insert(entry.path().native());
    // "libc.so" may be a text for linkers.
    for (const std::string& path : found)
      if (path.find(".so.") != path.npos) return path;
    if (!found.empty()) return *found.begin();
  }
  return {};
}

std::string in_path(std::string_view name) {
  const char* path = getenv("PATH");
  for (std::string_view folder : split(path ? path : "/usr/bin:/bin", ':')) {
    std::string file = cat(folder, "/", name);
    if (access(file.c_str(), X_OK) == 0) return file;
  }
  return {};
}

// "START-END rwxp OFFSET DEVICE INODE    PATH"; nothing for what is no file.
std::optional<FileMapping> read_mapping(const std::string& line, std::uint32_t pid) {
  constexpr std::string_view gone = " (deleted)";
  FileMapping one;
  char rights[5] = {};
  unsigned long inode = 0;
  int path = 0;
  int fields = std::sscanf(line.c_str(), "%lx-%lx %4s %lx %*x:%*x %lu %n", &one.start, &one.end, rights, &one.offset,
                           &inode, &path);
  if (fields < 5 || inode == 0) return {};
  one.path = line.substr(std::min<std::size_t>(static_cast<std::size_t>(path), line.size()));
  one.deleted = one.path.ends_with(gone);
  if (one.deleted) one.path.resize(one.path.size() - gone.size());
  one.readable = rights[0] == 'r';
  one.writable = rights[1] == 'w';
  one.executable = rights[2] == 'x';
  // The file itself, whatever has become of its name; for who may follow such links.
  char range[40];
  std::snprintf(range, sizeof range, "%lx-%lx", one.start, one.end);  // without the zeros that the line may have
  one.opened = cat("/proc/", pid, "/map_files/", std::string_view(range));
  if (access(one.opened.c_str(), R_OK) != 0 && !one.deleted) one.opened = cat("/proc/", pid, "/root", one.path);
  return one;
}

[[noreturn]] void not_found(std::string_view name, std::string_view where) {
  throw Failure(Exit::usage, cat(name, ": ", where));
}

ElfPlace find_in_process(std::string_view name, std::uint32_t pid) {
  std::string root = cat("/proc/", pid, "/root"), exe = cat("/proc/", pid, "/exe");
  if (name.empty() || name == "exe") return {exe, cat("process ", pid)};
  if (name.starts_with('/')) {
    std::string path = cat(root, name);
    if (access(path.c_str(), F_OK) == 0) return {path, std::string(name)};
  }
  for (const FileMapping& mapping : file_mappings(pid))
    if (mapping.path == name || (!name.starts_with('/') && is_library(mapping.path, name)))
      return {mapping.opened, mapping.path};
  if (name.starts_with('/')) not_found(name, cat("process ", pid, " sees no such file"));
  not_found(name, cat("process ", pid, " has no such library mapped; give a path, or start when it is loaded"));
}

}  // namespace

bool is_library(std::string_view path, std::string_view name) {
  std::string_view file = path.substr(path.rfind('/') + 1);
  if (file == name) return true;
  for (std::string_view prefix : {"", "lib"}) {
    std::string stem = cat(prefix, name);
    if (!file.starts_with(stem)) continue;
    std::string_view rest = file.substr(stem.size());
    if (rest == ".so" || rest.starts_with(".so.")) return true;
    // "libc-2.31.so"
    if (rest.size() > 1 && rest[0] == '-' && rest[1] >= '0' && rest[1] <= '9' && rest.find(".so") != rest.npos)
      return true;
  }
  return false;
}

std::vector<FileMapping> file_mappings(std::uint32_t pid) {
  blazesym::Lines maps(cat("/proc/", pid, "/maps"));
  std::vector<FileMapping> all;
  std::string line;
  if (!maps.next(line))
    throw Failure(Exit::usage, cat("process ", pid, " has ended or may not be looked at (/proc/", pid, "/maps)"));
  do {
    if (auto one = read_mapping(line, pid)) all.push_back(std::move(*one));
  } while (maps.next(line));
  return all;
}

std::vector<ElfPlace> mapped_files(std::uint32_t pid) {
  std::set<std::string> seen;
  std::vector<ElfPlace> all;
  for (const FileMapping& mapping : file_mappings(pid))
    if (mapping.path.starts_with('/') && !mapping.path.starts_with("/dev/") && seen.insert(mapping.path).second)
      all.push_back({mapping.opened, mapping.path});
  return all;
}

ElfPlace find_elf(std::string_view name, std::optional<std::uint32_t> pid) {
  if (pid) return find_in_process(name, *pid);
  std::string text(name);
  if (name.find('/') != name.npos) return {text, text};
  if (std::string path = in_loader_cache("/etc/ld.so.cache", name); !path.empty()) return {path, path};
  if (std::string path = in_path(name); !path.empty()) return {path, path};
  if (std::string path = in_library_folders(name); !path.empty()) return {path, path};
  if (access(text.c_str(), F_OK) == 0) return {text, text};
  not_found(name, "neither a library that the dynamic loader knows nor a program in PATH; give its path");
}

}  // namespace kit
