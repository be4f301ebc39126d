// SPDX-License-Identifier: BSD-2-Clause
// An ELF file opened for its symbols: functions in an index by address, where its parts are mapped from, its build id,
// and the other files that know more of it.
#pragma once

#include <libelf.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace blazesym {

// A file, or an image in memory, as libelf has it. No ELF file, or a damaged one: false when asked.
class ElfFile {
 public:
  ElfFile() = default;
  // Takes the descriptor over.
  explicit ElfFile(int fd);
  explicit ElfFile(std::string image);
  ElfFile(ElfFile&& other) noexcept;
  ElfFile& operator=(ElfFile&& other) noexcept;
  ~ElfFile();
  explicit operator bool() const { return elf_ != nullptr; }
  Elf* get() const { return elf_; }
  std::size_t size() const;
  // Gives back the memory of what was read of the file so far; what is asked of again is read again.
  void forget_pages() const;

  // What a place in the file is called in the symbols' terms; false if it is in no executable segment.
  bool address_of(std::uint64_t offset, std::uint64_t& address) const;
  std::string build_id() const;  // hexadecimal
  // The contents of .gnu_debuglink: a file's name. Its checksum is not looked at where a build id can be compared.
  std::string debug_link() const;
  // The section's bytes, decompressed; they live as long as the file.
  std::string_view section(const char* name) const;
  bool has_dwarf() const;
  // From now on the section has no contents.
  void hide(const char* section) const;

 private:
  int fd_ = -1;
  std::string image_;
  Elf* elf_ = nullptr;
};

// Functions by address, from .symtab, else from .dynsym and the symbols that are packed in .gnu_debugdata.
class FunctionIndex {
 public:
  struct Found {
    std::string_view name;  // as it is mangled
    std::uint64_t offset;
  };
  FunctionIndex() = default;
  // `debug` may be none.
  FunctionIndex(const ElfFile& file, const ElfFile& debug);
  bool find(std::uint64_t address, Found& found) const;
  bool empty() const { return functions_.empty(); }
  std::size_t memory() const { return functions_.capacity() * sizeof(Function) + names_.capacity(); }

 private:
  struct Function {
    std::uint64_t start;
    std::uint32_t size;  // 0: to the next one
    std::uint32_t name;  // where in names_ it begins
    std::uint8_t rank;   // of several names of one place the lowest is shown
  };
  bool add(const ElfFile& file, std::uint32_t section_type);
  void finish();
  std::vector<Function> functions_;
  std::string names_;
};

// The ELF file that .gnu_debugdata holds, compressed with xz; none if there is none.
ElfFile unpack_debugdata(const ElfFile& file);

// The file that holds what was stripped from this one, by its build id or by the name in its .gnu_debuglink, which is
// looked for beside `path`. `root` is put before every path: "/proc/PID/root" or nothing.
ElfFile find_debug_file(const ElfFile& file, const std::string& path, const std::string& root,
                        const std::vector<std::string>& debug_directories);

}  // namespace blazesym
