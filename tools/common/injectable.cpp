// SPDX-License-Identifier: BSD-2-Clause
// What can be made to fail: the operations, in a table, and the kernel's functions by their names.
#include <fcntl.h>

#include <algorithm>
#include <set>

#include "kit/injection.hpp"
#include "kit/names.hpp"
#include "kit/probes.hpp"
#include "kit/text.hpp"
#include "tracefs.hpp"

namespace kit {
namespace {

// Of security modules' hooks, the first of which every kernel has that has any; and of system calls, the first of which
// every architecture has; none where a call does other things, too (unlinkat(2) removes files and directories).
struct Operation {
  const char* name;
  const char* hooks;
  const char* calls;
  std::uint32_t access = 0;
};
constexpr std::uint32_t may_write = 2, may_read = 4;  // include/linux/fs.h
constexpr Operation operations[] = {
    {"accept", "socket_accept", "accept4 accept"},
    {"bind", "socket_bind", "bind"},
    {"bpf", "bpf", "bpf"},
    {"chroot", "path_chroot", "chroot"},
    {"connect", "socket_connect", "connect"},
    {"create", "inode_create", ""},
    {"exec", "bprm_creds_for_exec", "execve execveat"},
    {"fcntl", "file_fcntl", "fcntl fcntl64"},
    {"fork", "task_alloc", "clone clone3 fork vfork"},
    {"getxattr", "inode_getxattr", "getxattr lgetxattr fgetxattr"},
    {"ioctl", "file_ioctl file_ioctl_compat", "ioctl"},
    {"kill", "task_kill", "kill tkill tgkill pidfd_send_signal"},
    {"link", "inode_link", "linkat link"},
    {"listen", "socket_listen", "listen"},
    {"listxattr", "inode_listxattr", "listxattr llistxattr flistxattr"},
    {"lock", "file_lock", ""},
    {"mkdir", "inode_mkdir", "mkdirat mkdir"},
    {"mknod", "inode_mknod", "mknodat mknod"},
    {"mmap", "mmap_file", "mmap mmap2"},
    {"mount", "sb_mount move_mount", "mount move_mount"},
    {"mprotect", "file_mprotect", "mprotect pkey_mprotect"},
    {"open", "file_open", "openat open openat2 creat"},
    {"perf_event_open", "perf_event_open", "perf_event_open"},
    {"prctl", "task_prctl", "prctl"},
    {"ptrace", "ptrace_access_check ptrace_traceme", "ptrace"},
    {"read", "file_permission", "read pread64 readv preadv preadv2", may_read},
    {"readlink", "inode_readlink", "readlinkat readlink"},
    {"recv", "socket_recvmsg", "recvfrom recv recvmsg recvmmsg"},
    {"removexattr", "inode_removexattr", "removexattr lremovexattr fremovexattr"},
    {"rename", "inode_rename", "renameat2 renameat rename"},
    {"rmdir", "inode_rmdir", ""},
    {"send", "socket_sendmsg", "sendto send sendmsg sendmmsg"},
    {"setattr", "inode_setattr", ""},
    {"setuid", "task_fix_setuid", "setuid setreuid setresuid setfsuid"},
    {"setxattr", "inode_setxattr", "setxattr lsetxattr fsetxattr"},
    {"shutdown", "socket_shutdown", "shutdown"},
    {"socket", "socket_create", "socket socketpair"},
    {"stat", "inode_getattr", "newfstatat statx stat lstat newstat newlstat fstat newfstat"},
    {"statfs", "sb_statfs", "statfs fstatfs"},
    {"symlink", "inode_symlink", "symlinkat symlink"},
    {"umount", "sb_umount", "umount2 umount"},
    {"unlink", "inode_unlink", ""},
    {"write", "file_permission", "write pwrite64 writev pwritev pwritev2", may_write},
};

// The functions behind system calls, by the names that each entry to the kernel has for them.
std::vector<std::string> entries_of(std::string_view calls) {
  std::vector<std::string> all;
  if (calls.empty()) return all;
  bool arm = std::string_view(machine()) == "arm64";
  const std::vector<std::string> prefixes =
      arm ? std::vector<std::string>{"__arm64_sys_", "__arm64_compat_sys_"}
          : std::vector<std::string>{"__x64_sys_", "__ia32_sys_", "__ia32_compat_sys_"};
  for (const std::string& prefix : prefixes)
    for (std::string_view call : split(calls, ' ')) all.push_back(cat(prefix, call));
  return all;
}

Injectable of_table(const Operation& operation) {
  Injectable one{.name = operation.name, .access = operation.access, .overridden = {}, .modified = {}, .hooks = {}};
  for (std::string_view hook : split(operation.hooks, ' ')) {
    one.hooks.emplace_back(hook);
    one.modified.push_back(cat("security_", hook));
  }
  one.overridden = entries_of(operation.calls);
  return one;
}

Injectable of_function(const std::string& function) {
  Injectable one{
      .name = cat("kernel:", function), .access = 0, .overridden = {function}, .modified = {function}, .hooks = {}};
  if (function.starts_with("security_")) one.hooks.push_back(function.substr(9));
  return one;
}

// Whether a function answers with an errno or may do so: one that answers with a pointer or a bool is told apart.
bool answers_number(const ListedProbe& function) {
  static const std::set<std::string> types = {"int", "long", "long int", "ssize_t", "s32", "s64"};
  return types.contains(function.returns);
}

// The functions that the kernel says may fail with an errno, "NAME<TAB>ERRNO" in each line, as debugfs lists them.
std::set<std::string> listed_functions() {
  std::set<std::string> all;
  Fd root = detached_mount("debugfs");
  Fd file(openat(root.get(), "error_injection/list", O_RDONLY | O_CLOEXEC));
  std::string text;
  char block[4096];
  for (ssize_t size; file && (size = read(file.get(), block, sizeof block)) > 0;) text.append(block, size);
  for (std::string_view line : split(text, '\n'))
    if (line.ends_with("\tERRNO")) all.emplace(line.substr(0, line.find_first_of("\t ")));
  return all;
}

}  // namespace

const std::vector<Injectable>& injectable_operations() {
  static const std::vector<Injectable> all = [] {
    std::vector<Injectable> made;
    for (const Operation& operation : operations) made.push_back(of_table(operation));
    return made;
  }();
  return all;
}

std::vector<Injectable> injectable_functions() {
  std::vector<Injectable> all;
  auto listed = listed_functions();
  for (const ListedProbe& one : list_functions(ProbeNames({}))) {
    bool known = one.name.starts_with("security_") || listed.contains(one.name);
    if (known && one.place == "vmlinux" && answers_number(one)) all.push_back(of_function(one.name));
  }
  return all;
}

Injectable find_injectable(const std::string& name) {
  std::vector<std::string> names;
  if (!name.starts_with("kernel:")) {
    for (const Injectable& one : injectable_operations()) {
      if (one.name == name) return one;
      names.push_back(one.name);
    }
    throw Failure(Exit::usage, cat("there is no operation ", name, suggestion(name, names),
                                   "; --list shows all, and a function is written kernel:FUNCTION"));
  }
  std::string function = name.substr(7);
  auto found = list_functions(ProbeNames({}));
  for (const ListedProbe& one : found) {
    if (one.name != function) continue;
    if (one.place != "vmlinux")
      throw Failure(Exit::usage, cat(name, ": is of the module ", one.place, "; only the kernel's own can be broken"));
    if (!answers_number(one))
      throw Failure(Exit::usage, cat(name, ": answers with ", one.returns.empty() ? "nothing" : one.returns,
                                     ", which is no error; only functions that answer with int or long can be broken"));
    return of_function(function);
  }
  for (const ListedProbe& one : found)
    if (one.place == "vmlinux") names.push_back(one.name);
  auto near = nearest(function, names);
  throw Failure(Exit::usage,
                cat("this kernel has no function ", function, near ? cat("; did you mean kernel:", *near, "?") : ""));
}

}  // namespace kit
