// SPDX-License-Identifier: BSD-2-Clause
// Names for the kernel's numbers, and back: system calls, errors, signals, users, flags of open(2).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kit {

// The architecture's name as uname(2) and the vmlinux folders have it: "x86_64", "arm64".
const char* machine();

// What x86_64 adds to the numbers of its x32 ABI.
constexpr int x32_bit = 0x40000000;

// The name of a system call of `arch`, by its number in the native or the 32-bit ABI; "syscall_N" where unknown.
std::string syscall_name(std::string_view arch, int number, bool compat);
struct SyscallNumber {
  int number;
  bool compat;
};
// Every number, in every ABI of this architecture, that bears the name.
std::vector<SyscallNumber> syscall_numbers(std::string_view name);
std::vector<std::string> all_syscalls();

// "ENOENT" for 2 or -2; the number itself where it has no name.
std::string errno_name(int error);
std::optional<int> errno_number(std::string_view name);
std::vector<std::string> all_errnos();

// "SIGSEGV" for 11; "SIGRTMIN+1" and the like for the real-time ones.
std::string signal_name(int signal);

// How a process ended, from wait(2)'s status: "0", "1", "SIGSEGV".
std::string wait_status_text(int status);

// From /etc/passwd itself, not through NSS, so that the static build answers the same.
std::optional<std::uint32_t> user_id(std::string_view name);
std::vector<std::string> all_users();

// "O_WRONLY|O_CREAT|O_CLOEXEC"; bits without a name as hexadecimal. The bits of some flags differ by architecture.
std::string open_flags_text(std::string_view arch, std::uint32_t flags);

}  // namespace kit
