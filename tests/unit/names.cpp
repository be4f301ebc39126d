// SPDX-License-Identifier: BSD-2-Clause
// Names of the kernel's numbers.
#include "kit/names.hpp"

#include <fcntl.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "case.hpp"

TEST_CASE("system calls of every ABI") {
  CHECK(kit::syscall_name("x86_64", 0, false) == "read");
  CHECK(kit::syscall_name("x86_64", 257, false) == "openat");
  CHECK(kit::syscall_name("x86_64", 437, false) == "openat2");
  CHECK(kit::syscall_name("x86_64", 3, true) == "read (32-bit)");
  CHECK(kit::syscall_name("x86_64", 295, true) == "openat (32-bit)");
  CHECK(kit::syscall_name("arm64", 63, false) == "read");
  CHECK(kit::syscall_name("arm64", 56, false) == "openat");
  CHECK(kit::syscall_name("arm64", 3, true) == "read (32-bit)");
  CHECK(kit::syscall_name("arm64", 322, true) == "openat (32-bit)");
  CHECK(kit::syscall_name("x86_64", 0x40000000, false) == "read (x32)");
  CHECK(kit::syscall_name("x86_64", 0x40000000 + 520, false) == "execve (x32)");
}

TEST_CASE("numbers that no system call bears") {
  CHECK(kit::syscall_name("x86_64", 99999, false) == "syscall_99999");
  CHECK(kit::syscall_name("x86_64", 99999, true) == "syscall_99999 (32-bit)");
  CHECK(kit::syscall_name("x86_64", -1, false) == "rt_sigreturn");
}

TEST_CASE("system calls by name, in every ABI of this machine") {
  auto numbers = kit::syscall_numbers("openat");
  CHECK(std::any_of(numbers.begin(), numbers.end(), [](auto one) { return !one.compat && one.number == SYS_openat; }));
  CHECK(std::any_of(numbers.begin(), numbers.end(), [](auto one) { return one.compat; }));
  CHECK(kit::syscall_numbers("nosuch").empty());
  for (const std::string& name : kit::all_syscalls()) {
    INFO(name);
    auto all = kit::syscall_numbers(name);
    CHECK_FALSE(all.empty());
    for (auto one : all) CHECK(kit::syscall_name(kit::machine(), one.number, one.compat).starts_with(name));
  }
  CHECK(kit::all_syscalls().size() > 350);
}

TEST_CASE("errors") {
  CHECK(kit::errno_name(ENOENT) == "ENOENT");
  CHECK(kit::errno_name(-ENOENT) == "ENOENT");
  CHECK(kit::errno_name(4095) == "4095");
  CHECK(kit::errno_name(-512) == "512");
  CHECK(kit::errno_number("ENOENT") == ENOENT);
  CHECK(kit::errno_number("EWOULDBLOCK") == EAGAIN);
  CHECK(kit::errno_number("ENOTSUP") == EOPNOTSUPP);
  CHECK(kit::errno_number("2") == 2);
  for (std::string_view wrong : {"", "0", "-2", "4096", "ENOSUCH", "enoent"}) CHECK_FALSE(kit::errno_number(wrong));
  for (const std::string& name : kit::all_errnos()) CHECK(kit::errno_number(name).has_value());
}

TEST_CASE("signals") {
  CHECK(kit::signal_name(SIGSEGV) == "SIGSEGV");
  CHECK(kit::signal_name(SIGKILL) == "SIGKILL");
  CHECK(kit::signal_name(34) == "SIGRTMIN");
  CHECK(kit::signal_name(36) == "SIGRTMIN+2");
  CHECK(kit::signal_name(99) == "SIG99");
}

TEST_CASE("users from /etc/passwd") {
  CHECK(kit::user_id("root") == 0);
  CHECK_FALSE(kit::user_id("no such user"));
  CHECK_FALSE(kit::user_id(""));
  auto users = kit::all_users();
  CHECK(std::find(users.begin(), users.end(), "root") != users.end());
}

TEST_CASE("flags of open, whose bits differ by architecture") {
  CHECK(kit::open_flags_text("x86_64", 0) == "O_RDONLY");
  CHECK(kit::open_flags_text("x86_64", 02000101) == "O_WRONLY|O_CREAT|O_CLOEXEC");
  CHECK(kit::open_flags_text("x86_64", 3) == "O_ACCMODE");
  CHECK(kit::open_flags_text("x86_64", 0200000) == "O_RDONLY|O_DIRECTORY");
  CHECK(kit::open_flags_text("arm64", 0200000) == "O_RDONLY|O_DIRECT");
  CHECK(kit::open_flags_text("arm64", 040000) == "O_RDONLY|O_DIRECTORY");
  CHECK(kit::open_flags_text("x86_64", 020200002) == "O_RDWR|O_TMPFILE");
  CHECK(kit::open_flags_text("arm64", 020040002) == "O_RDWR|O_TMPFILE");
  CHECK(kit::open_flags_text("x86_64", 04010000) == "O_RDONLY|O_SYNC");
  CHECK(kit::open_flags_text("x86_64", 010000) == "O_RDONLY|O_DSYNC");
  CHECK(kit::open_flags_text("x86_64", 0x80000000u) == "O_RDONLY|0x80000000");
}

TEST_CASE("flags of open as this machine's own headers have them") {
  auto text = [](int flags) { return kit::open_flags_text(kit::machine(), static_cast<std::uint32_t>(flags)); };
  CHECK(text(O_RDWR | O_CREAT | O_EXCL) == "O_RDWR|O_CREAT|O_EXCL");
  CHECK(text(O_WRONLY | O_TRUNC | O_APPEND) == "O_WRONLY|O_TRUNC|O_APPEND");
  CHECK(text(O_NONBLOCK | O_NOCTTY | O_CLOEXEC) == "O_RDONLY|O_NOCTTY|O_NONBLOCK|O_CLOEXEC");
  CHECK(text(O_DIRECTORY) == "O_RDONLY|O_DIRECTORY");
#ifdef O_PATH
  CHECK(text(O_PATH | O_NOFOLLOW) == "O_RDONLY|O_NOFOLLOW|O_PATH");
  CHECK(text(O_DIRECT | O_NOATIME) == "O_RDONLY|O_DIRECT|O_NOATIME");
#endif
}
