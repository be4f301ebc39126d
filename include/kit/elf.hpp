// SPDX-License-Identifier: BSD-2-Clause
// ELF files: programs and libraries found by path, by name or through a process, with their symbols, segments, notes.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kit/handle.hpp"

namespace kit {

// Which file it is, whatever it is called; two paths that lead to one file have one identity.
struct FileIdentity {
  dev_t device = 0;
  ino_t inode = 0;
  auto operator<=>(const FileIdentity&) const = default;
};

// A part of a file in a process's memory, as /proc/PID/maps has it.
struct FileMapping {
  std::uint64_t start = 0, end = 0, offset = 0;  // addresses; where in the file `start` is
  bool readable = false, writable = false, executable = false, deleted = false;
  std::string path;    // as the process names it, without " (deleted)"; empty: no file
  std::string opened;  // a path that opens that very file here, deleted or replaced as it may be
};
// Of files only. Throws Failure if the process has gone or may not be looked at.
std::vector<FileMapping> file_mappings(std::uint32_t pid);

struct ElfSymbol {
  std::string_view name;  // without a version ("@@GLIBC_2.2.5")
  std::uint64_t address = 0, size = 0;
  bool function = false;  // it is code, reached directly or indirectly
  bool indirect = false;  // its address is that of a function that returns the address: STT_GNU_IFUNC
  bool defined = false;   // here, not in another file
  bool global = false;
};

// A part of the file that is loaded; addresses are the file's own, before the loader moves them.
struct ElfSegment {
  std::uint64_t address = 0, offset = 0, file_size = 0, memory_size = 0;
  bool writable = false, executable = false;
};

struct ElfSection {
  std::string_view name;
  std::uint64_t address = 0, offset = 0, size = 0;
  std::string_view bytes;  // of section() only; empty where the file holds none
};

struct ElfNote {
  std::string_view owner, description;  // "GNU", "stapsdt"
  std::uint32_t type = 0;
};

struct ElfRelocation {
  std::uint64_t address = 0;  // of the slot that is filled
  std::int64_t addend = 0;
  std::uint32_t type = 0;   // R_X86_64_IRELATIVE...
  std::string_view symbol;  // empty: none
};

// An open ELF file. What it gives as string_view lives as long as it does. A file that is damaged has what can be read
// of it and lacks the rest; only one that is no ELF file at all is refused.
class Elf {
 public:
  // `path` is what is opened, `shown` what messages call it. Throws Failure (usage) with what to try.
  explicit Elf(std::string path, std::string shown = {});
  Elf(Elf&&) noexcept;
  Elf& operator=(Elf&&) noexcept;
  ~Elf();

  const std::string& path() const;
  const std::string& shown() const;
  FileIdentity identity() const;
  int bits() const;          // 32 or 64
  unsigned machine() const;  // EM_X86_64...
  bool moved() const;        // loaded at an address of the loader's choice: a library or a PIE
  std::string build_id() const;
  std::string interpreter() const;  // its dynamic loader; empty: none
  std::vector<ElfSegment> segments() const;
  std::optional<ElfSegment> segment(std::uint32_t type) const;  // of those that are not loaded as such: PT_GNU_EH_FRAME
  std::vector<ElfSection> sections() const;
  std::optional<ElfSection> section(std::string_view name) const;
  std::vector<ElfNote> notes() const;
  std::vector<ElfRelocation> relocations() const;
  std::vector<std::string> needed() const;  // the libraries that it is to be loaded with, by name

  // Every symbol that has a name, of .symtab and then of .dynsym.
  void each_symbol(const std::function<void(const ElfSymbol&)>& each) const;
  bool stripped() const;  // no .symtab
  // The functions defined here that match a glob ("str*"), one for each address, sorted by name; the name alone finds
  // it under a version, too.
  std::vector<ElfSymbol> functions(std::string_view glob) const;
  // Throws Failure with the nearest names where there is none.
  ElfSymbol function(std::string_view name) const;

  // Where the byte at an address is in the file, which is what uprobes go by; and back. Nothing outside of segments.
  std::optional<std::uint64_t> offset_of(std::uint64_t address) const;
  std::optional<std::uint64_t> address_of(std::uint64_t offset) const;
  // The file's bytes at an address; fewer than `size` where they end.
  std::string bytes_at(std::uint64_t address, std::size_t size) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

FileIdentity identity_of(const std::string& path);
bool glob_matches(std::string_view glob, std::string_view text);
bool is_glob(std::string_view text);

// A file found: what opens it, and what to call it.
struct ElfPlace {
  std::string path, shown;
};
// A program or library by what a user calls it: a path; a library's name as the dynamic loader knows it ("libc.so.6")
// or short ("libc", "c"); else a program in PATH. With `pid`, as that process sees it: paths through its root, names
// among what it has mapped, and empty or "exe" for its own program. Throws Failure (usage) with what to try.
ElfPlace find_elf(std::string_view name, std::optional<std::uint32_t> pid = {});
// The program and all libraries, and whatever else of files, that a process has mapped.
std::vector<ElfPlace> mapped_files(std::uint32_t pid);
// Whether a file of this path is the library so called: "libc" for libc.so.6 and libc-2.31.so.
bool is_library(std::string_view path, std::string_view name);

}  // namespace kit
