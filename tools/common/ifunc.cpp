// SPDX-License-Identifier: BSD-2-Clause
// An indirect function's symbol leads to a resolver, which the dynamic loader calls once; its answer is put into slots:
// of the file's own calls (R_*_IRELATIVE, whose addend is the resolver's address), and of other files' calls by name
// (R_*_JUMP_SLOT, R_*_GLOB_DAT). We call no resolver and ask no libc of our own; we read such a slot in a process.
#include "kit/ifunc.hpp"

#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "kit/text.hpp"

namespace kit {
namespace {

bool is_irelative(unsigned machine, std::uint32_t type) {
  return (machine == EM_X86_64 && type == R_X86_64_IRELATIVE) || (machine == EM_AARCH64 && type == R_AARCH64_IRELATIVE);
}

bool is_named_slot(unsigned machine, std::uint32_t type) {
  switch (machine) {
    case EM_X86_64: return type == R_X86_64_JUMP_SLOT || type == R_X86_64_GLOB_DAT;
    case EM_AARCH64: return type == R_AARCH64_JUMP_SLOT || type == R_AARCH64_GLOB_DAT;
    case EM_386: return type == R_386_JMP_SLOT || type == R_386_GLOB_DAT;
    default: return false;
  }
}

// What a process has loaded of one file, and by how much the loader moved it.
struct Loaded {
  std::uint64_t moved = 0;
  std::vector<FileMapping> parts;
  bool holds(std::uint64_t address) const {
    for (const FileMapping& part : parts)
      if (part.executable && address >= part.start && address < part.end) return true;
    return false;
  }
};

std::optional<Loaded> loaded(const Elf& elf, const std::vector<FileMapping>& mappings) {
  Loaded found;
  bool any = false;
  for (const FileMapping& one : mappings) {
    if (identity_of(one.opened) != elf.identity()) continue;
    found.parts.push_back(one);
    for (const ElfSegment& part : elf.segments()) {
      if (any || !part.executable || !one.executable) continue;
      if (part.offset / 4096 * 4096 != one.offset) continue;
      found.moved = one.start - (part.address - (part.offset - one.offset));
      any = true;
    }
  }
  return any ? std::optional(found) : std::nullopt;
}

std::optional<std::uint64_t> word_of(std::uint32_t pid, std::uint64_t address, int bits) {
  Fd memory(open(cat("/proc/", pid, "/mem").c_str(), O_RDONLY | O_CLOEXEC));
  std::uint64_t word = 0;
  auto size = static_cast<ssize_t>(bits / 8);
  if (!memory || pread(memory.get(), &word, static_cast<std::size_t>(size), static_cast<off_t>(address)) != size)
    return {};
  return word;
}

// The chosen function's address in the file, as this process has it.
std::optional<std::uint64_t> chosen_in(const Elf& elf, const ElfSymbol& symbol, std::uint32_t pid) {
  std::vector<FileMapping> mappings;
  try {
    mappings = file_mappings(pid);
  } catch (const Failure&) {
    return {};  // it has ended
  }
  auto own = loaded(elf, mappings);
  if (!own) return {};
  auto read = [&](std::uint64_t slot) -> std::optional<std::uint64_t> {
    auto target = word_of(pid, slot, elf.bits());
    // A slot that is not filled yet leads to the code that fills it, which is the caller's or the resolver itself.
    if (!target || !own->holds(*target) || *target - own->moved == symbol.address) return {};
    return *target - own->moved;
  };
  for (const ElfRelocation& one : elf.relocations())
    if (is_irelative(elf.machine(), one.type) && static_cast<std::uint64_t>(one.addend) == symbol.address)
      if (auto target = read(one.address + own->moved)) return target;
  std::vector<FileIdentity> seen = {elf.identity()};
  for (const FileMapping& mapping : mappings) {
    FileIdentity identity = identity_of(mapping.opened);
    if (!mapping.executable || std::find(seen.begin(), seen.end(), identity) != seen.end()) continue;
    seen.push_back(identity);
    try {
      Elf other(mapping.opened, mapping.path);
      auto where = loaded(other, mappings);
      for (const ElfRelocation& one : other.relocations())
        if (where && is_named_slot(other.machine(), one.type) && one.symbol == symbol.name)
          if (auto target = read(one.address + (other.moved() ? where->moved : 0))) return target;
    } catch (const Failure&) {
      continue;  // a mapped file that is no program
    }
  }
  return {};
}

std::optional<std::uint64_t> chosen_in_any(const Elf& elf, const ElfSymbol& symbol) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    auto pid = parse_number(entry.path().filename().native());
    if (!pid || *pid == static_cast<std::uint64_t>(getpid())) continue;
    if (auto target = chosen_in(elf, symbol, static_cast<std::uint32_t>(*pid))) return target;
  }
  return {};
}

// The loader that the file would be run by, in the same root as the file.
std::string loader_of(const Elf& elf) {
  std::string loader = elf.interpreter(), root;
  if (loader.empty())
    loader = elf.machine() == EM_AARCH64 ? "/lib/ld-linux-aarch64.so.1" : "/lib64/ld-linux-x86-64.so.2";
  if (std::size_t at = elf.path().find("/root/"); elf.path().starts_with("/proc/") && at != std::string::npos)
    root = elf.path().substr(0, at + 5);
  return root + loader;
}

// Has the loader load the library and look at it where it stops: at the latest when it ends, its memory still there.
std::optional<std::uint64_t> chosen_in_new(const Elf& elf, const ElfSymbol& symbol) {
  std::string loader = loader_of(elf);
  if (!elf.moved() || access(loader.c_str(), X_OK) != 0) return {};
  pid_t child = fork();
  if (child < 0) return {};
  if (child == 0) {
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd : {0, 1, 2}) dup2(nowhere, fd);
    ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    execl(loader.c_str(), loader.c_str(), elf.path().c_str(), nullptr);
    _exit(127);
  }
  std::optional<std::uint64_t> target;
  int status = 0;
  bool begun = false;
  while (waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
    // First it stops at its exec; then at its end, or at the fault of a library that cannot be run.
    if (begun) {
      target = chosen_in(elf, symbol, static_cast<std::uint32_t>(child));
      kill(child, SIGKILL);
    }
    if (!begun) ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL);
    begun = true;
    ptrace(PTRACE_CONT, child, nullptr, nullptr);
  }
  return target;
}

}  // namespace

UserPlace function_place(const Elf& elf, std::string_view name, std::optional<std::uint32_t> pid) {
  return function_place(elf, elf.function(name), pid);
}

UserPlace function_place(const Elf& elf, const ElfSymbol& symbol, std::optional<std::uint32_t> pid) {
  std::string_view name = symbol.name;
  std::uint64_t address = symbol.address;
  if (symbol.indirect) {
    auto target = pid ? chosen_in(elf, symbol, *pid) : std::nullopt;
    if (!target) target = chosen_in_any(elf, symbol);
    if (!target) target = chosen_in_new(elf, symbol);
    if (!target)
      throw Failure(Exit::usage, cat(elf.shown(), ": ", name,
                                     " is chosen when a program starts (IFUNC), and no process tells which function "
                                     "it is; start one that uses it and give -p PID"));
    address = *target;
  }
  auto offset = elf.offset_of(address);
  if (!offset) throw Failure(Exit::usage, cat(elf.shown(), ": ", name, " is not in the file's loaded parts"));
  return {.path = elf.path(),
          .shown = elf.shown(),
          .offset = *offset,
          .semaphore = 0,
          .at_return = false,
          .name = std::string(name)};
}

}  // namespace kit
