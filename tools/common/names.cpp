// SPDX-License-Identifier: BSD-2-Clause
#include "kit/names.hpp"

#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <map>
#include <set>

#include "files.hpp"
#include "kit/text.hpp"

namespace kit {
namespace {

enum class Abi { x86_64, i386, x32, arm64, arm };

struct SyscallRow {
  Abi abi;
  int number;
  std::string_view name;
};

// Text, not an array of pointers: those would each cost a relocation at every start.
constexpr std::string_view syscall_text =
#define SYSCALL(abi, number, name) #abi " " #number " " #name "\n"
#include "syscalls.inc"
#undef SYSCALL
    ;

Abi abi_named(std::string_view name) {
  static constexpr std::string_view names[] = {"x86_64", "i386", "x32", "arm64", "arm"};
  return static_cast<Abi>(std::find(std::begin(names), std::end(names), name) - std::begin(names));
}

const std::vector<SyscallRow>& syscall_rows() {
  static const std::vector<SyscallRow> rows = [] {
    std::vector<SyscallRow> all;
    for (std::string_view line : split(syscall_text.substr(0, syscall_text.size() - 1), '\n')) {
      auto words = split(line, ' ');
      all.push_back({abi_named(words[0]), static_cast<int>(*parse_number(words[1])), words[2]});
    }
    return all;
  }();
  return rows;
}

using NumberToName = std::map<std::pair<Abi, int>, std::string_view>;

const NumberToName& syscalls_by_number() {
  static const NumberToName map = [] {
    NumberToName all;
    for (const SyscallRow& row : syscall_rows()) all[{row.abi, row.number}] = row.name;
    return all;
  }();
  return map;
}

Abi abi_of(std::string_view arch, int number, bool compat) {
  if (arch == "arm64") return compat ? Abi::arm : Abi::arm64;
  if (compat) return Abi::i386;
  return number >= 0 && (number & x32_bit) ? Abi::x32 : Abi::x86_64;
}

bool abi_is_of(Abi abi, std::string_view arch) {
  bool arm = abi == Abi::arm64 || abi == Abi::arm;
  return arm == (arch == "arm64");
}

// Calls `each` with name and number of every line of /etc/passwd.
template <typename Each>
void each_user(Each each) {
  blazesym::Lines file("/etc/passwd");
  for (std::string line; file.next(line);) {
    auto fields = split(line, ':');
    if (fields.size() < 3) continue;
    if (auto id = parse_number(fields[2])) each(fields[0], static_cast<std::uint32_t>(*id));
  }
}

struct FlagName {
  std::uint32_t bits;
  std::string_view name;
};

// asm-generic/fcntl.h; longer combinations before the bits they contain (O_SYNC holds O_DSYNC, O_TMPFILE O_DIRECTORY).
constexpr std::array<FlagName, 17> open_flags(bool arm) {
  const std::uint32_t directory = arm ? 040000 : 0200000;
  return {{{0100, "O_CREAT"},
           {0200, "O_EXCL"},
           {0400, "O_NOCTTY"},
           {01000, "O_TRUNC"},
           {02000, "O_APPEND"},
           {04000, "O_NONBLOCK"},
           {04010000, "O_SYNC"},
           {010000, "O_DSYNC"},
           {020000, "O_ASYNC"},
           {arm ? 0200000u : 040000u, "O_DIRECT"},
           {arm ? 0400000u : 0100000u, "O_LARGEFILE"},
           {020000000 | directory, "O_TMPFILE"},
           {directory, "O_DIRECTORY"},
           {arm ? 0100000u : 0400000u, "O_NOFOLLOW"},
           {01000000, "O_NOATIME"},
           {02000000, "O_CLOEXEC"},
           {010000000, "O_PATH"}}};
}

}  // namespace

const char* machine() {
#ifdef __aarch64__
  return "arm64";
#else
  return "x86_64";
#endif
}

std::string syscall_name(std::string_view arch, int number, bool compat) {
  // What a return from a signal handler leaves in the register that holds the number.
  if (number == -1) return "rt_sigreturn";
  Abi abi = abi_of(arch, number, compat);
  const auto& names = syscalls_by_number();
  auto found = names.find({abi, number});
  std::string name = found != names.end() ? std::string(found->second) : cat("syscall_", number & ~x32_bit);
  if (abi == Abi::x32) name += " (x32)";
  return compat ? name + " (32-bit)" : name;
}

std::vector<SyscallNumber> syscall_numbers(std::string_view name) {
  std::vector<SyscallNumber> numbers;
  for (const SyscallRow& row : syscall_rows())
    if (row.name == name && abi_is_of(row.abi, machine()))
      numbers.push_back({row.number, row.abi == Abi::i386 || row.abi == Abi::arm});
  return numbers;
}

std::vector<std::string> all_syscalls() {
  std::set<std::string> names;
  for (const SyscallRow& row : syscall_rows())
    if (abi_is_of(row.abi, machine())) names.emplace(row.name);
  return {names.begin(), names.end()};
}

std::string errno_name(int error) {
  const char* name = strerrorname_np(error < 0 ? -error : error);
  return name && error ? name : cat(error < 0 ? -error : error);
}

std::optional<int> errno_number(std::string_view name) {
  if (auto number = parse_number(name); number && *number > 0 && *number < 4096) return static_cast<int>(*number);
  for (int error = 1; error < 4096; error++)
    if (const char* known = strerrorname_np(error); known && name == known) return error;
  if (name == "EWOULDBLOCK") return EAGAIN;
  if (name == "ENOTSUP") return EOPNOTSUPP;
  return std::nullopt;
}

std::vector<std::string> all_errnos() {
  std::vector<std::string> names;
  for (int error = 1; error < 4096; error++)
    if (const char* known = strerrorname_np(error)) names.emplace_back(known);
  return names;
}

std::string signal_name(int signal) {
  if (const char* name = sigabbrev_np(signal)) return cat("SIG", name);
  if (signal >= 34 && signal <= 64) return signal == 34 ? "SIGRTMIN" : cat("SIGRTMIN+", signal - 34);
  return cat("SIG", signal);
}

std::string wait_status_text(int status) {
  return WIFSIGNALED(status) ? signal_name(WTERMSIG(status)) : cat(WEXITSTATUS(status));
}

std::optional<std::uint32_t> user_id(std::string_view name) {
  std::optional<std::uint32_t> found;
  each_user([&](std::string_view user, std::uint32_t id) {
    if (!found && user == name) found = id;
  });
  return found;
}

std::vector<std::string> all_users() {
  std::vector<std::string> names;
  each_user([&](std::string_view user, std::uint32_t) { names.emplace_back(user); });
  return names;
}

std::string open_flags_text(std::string_view arch, std::uint32_t flags) {
  static constexpr std::string_view modes[] = {"O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"};
  static constexpr auto of_arm = open_flags(true), of_others = open_flags(false);
  std::string out(modes[flags & 3]);
  flags &= ~3u;
  for (const FlagName& flag : arch == "arm64" ? of_arm : of_others) {
    if ((flags & flag.bits) != flag.bits) continue;
    flags &= ~flag.bits;
    out += '|', out += flag.name;
  }
  if (flags) {
    out += '|';
    append_hex(out, flags);
  }
  return out;
}

}  // namespace kit
