// SPDX-License-Identifier: BSD-2-Clause
#include "case.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <linux/magic.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>
#include <stdexcept>

namespace fs = std::filesystem;

namespace test {
namespace {

std::string because(const std::string& what) { return what + ": " + std::strerror(errno); }

// Does something in a child that it would not survive, or that must not touch this process. Empty if it returns true.
std::string in_child(const std::function<bool()>& trial, const char* otherwise) {
  pid_t child = fork();
  if (child == 0) _exit(trial() ? 0 : 1);
  int status = 0;
  waitpid(child, &status, 0);
  return status == 0 ? "" : otherwise;
}

std::string lacks_root() { return geteuid() == 0 ? "" : "needs root"; }

// A program of two instructions: returns 0.
int load_nothing(bpf_prog_type type, bpf_prog_load_opts* options) {
  const bpf_insn program[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
                              {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
  return bpf_prog_load(type, "trial", "GPL", program, 2, options);
}

std::string lacks_bpf() {
  int fd = load_nothing(BPF_PROG_TYPE_RAW_TRACEPOINT, nullptr);
  if (fd < 0) return because("no BPF program can be loaded");
  close(fd);
  return "";
}

std::string lacks_btf() { return access("/sys/kernel/btf/vmlinux", R_OK) == 0 ? "" : "the kernel offers no BTF"; }

std::string lacks_typed(bpf_attach_type type, const std::string& what, const char* name) {
  if (std::string no = lacks_btf(); !no.empty()) return no;
  int function = libbpf_find_vmlinux_btf_id(name, type);
  if (function < 0) return std::string("the kernel's BTF has no ") + name;
  LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = type, .attach_btf_id = static_cast<__u32>(function));
  int program = load_nothing(BPF_PROG_TYPE_TRACING, &options);
  if (program < 0) return because(what + " program cannot be loaded");
  int link = bpf_raw_tracepoint_open(nullptr, program);
  std::string no = link < 0 ? because(what + " program cannot be attached") : "";
  close(link);
  close(program);
  return no;
}

std::string lacks_fentry() { return lacks_typed(BPF_TRACE_FENTRY, "an fentry", "do_exit"); }
std::string lacks_fmod_ret() { return lacks_typed(BPF_MODIFY_RETURN, "an fmod_ret", "security_sb_mount"); }

std::string lacks_kprobe() {
  std::ifstream file("/sys/bus/event_source/devices/kprobe/type");
  std::uint32_t type = 0;
  if (!(file >> type)) return "the kernel has no kprobes";
  perf_event_attr attribute{};
  attribute.size = sizeof attribute;
  attribute.type = type;
  attribute.config1 = reinterpret_cast<std::uintptr_t>("do_exit");
  auto fd = static_cast<int>(syscall(SYS_perf_event_open, &attribute, -1, 0, -1, PERF_FLAG_FD_CLOEXEC));
  if (fd < 0) return because("no kprobe can be set");
  close(fd);
  return "";
}

// Opens a new tracefs, mounted nowhere.
int open_tracefs() {
  auto context = static_cast<int>(syscall(SYS_fsopen, "tracefs", 1));
  if (context < 0) return -1;
  constexpr int create = 6;  // FSCONFIG_CMD_CREATE
  long made = syscall(SYS_fsconfig, context, create, nullptr, nullptr, 0);
  int mounted = made < 0 ? -1 : static_cast<int>(syscall(SYS_fsmount, context, 1, 0));
  int error = errno;
  close(context);
  errno = error;
  return mounted;
}

std::string lacks_in_tracefs(const char* path, const char* what) {
  int tracefs = open_tracefs();
  if (tracefs < 0) return because("tracefs cannot be opened");
  std::string no = faccessat(tracefs, path, R_OK, 0) == 0 ? "" : because(what);
  close(tracefs);
  return no;
}

std::string lacks_tracefs() { return lacks_in_tracefs("events", "tracefs has no events"); }

std::string lacks_syscall_tracepoints() {
  return lacks_in_tracefs("events/syscalls/sys_exit_openat/id", "the kernel has no tracepoints of system calls");
}

std::string lacks_loop() {
  int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
  if (control < 0) return because("there are no loop devices");
  int number = ioctl(control, LOOP_CTL_GET_FREE);
  std::string no = number < 0 ? because("there is no free loop device") : "";
  close(control);
  return no;
}

// Where a cgroup v2 tree is mounted that groups can be made in.
std::string lacks_cgroup2() {
  std::ifstream mounts("/proc/self/mounts");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string device, place, type;
    fields >> device >> place >> type;
    if (type != "cgroup2") continue;
    std::string trial = place + "/corekit-trial-" + std::to_string(getpid());
    if (mkdir(trial.c_str(), 0700) != 0) return because("no cgroup can be made");
    rmdir(trial.c_str());
    return "";
  }
  return "no cgroup v2 tree is mounted";
}

std::string lacks_compat32() {
#if defined(__x86_64__)
  return in_child(
      [] {
        long result = 20;  // getpid of i386
        asm volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
        return result == getpid();
      },
      "the kernel runs no 32-bit programs");
#else
  // arm64 refuses this where no CPU runs 32-bit programs.
  return in_child([] { return personality(PER_LINUX32) >= 0; }, "the kernel runs no 32-bit programs");
#endif
}

std::string lacks_userns() {
  return in_child([] { return unshare(CLONE_NEWUSER) == 0; }, "no user namespace can be made");
}
std::string lacks_pidns() {
  return in_child([] { return unshare(CLONE_NEWPID) == 0; }, "no PID namespace can be made");
}

std::string lacks_zram() {
  return access("/sys/class/zram-control/hot_add", R_OK) == 0 ? "" : because("zram devices cannot be made");
}
std::string lacks_device_mapper() {
  return access("/dev/mapper/control", R_OK | W_OK) == 0 ? "" : because("there is no device-mapper");
}

std::string lacks_pahole() {
  return access("/usr/bin/pahole", X_OK) == 0 ? "" : "there is no pahole (Debian's package dwarves)";
}

const std::map<std::string_view, std::string (*)()> features = {
    {"root", lacks_root},         {"bpf", lacks_bpf},         {"btf", lacks_btf},
    {"kprobe", lacks_kprobe},     {"fentry", lacks_fentry},   {"tracefs", lacks_tracefs},
    {"loop", lacks_loop},         {"cgroup2", lacks_cgroup2}, {"compat32", lacks_compat32},
    {"userns", lacks_userns},     {"pidns", lacks_pidns},     {"syscall_tracepoints", lacks_syscall_tracepoints},
    {"pahole", lacks_pahole},     {"zram", lacks_zram},       {"device-mapper", lacks_device_mapper},
    {"fmod_ret", lacks_fmod_ret},
};

fs::path own_place() { return fs::read_symlink("/proc/self/exe").parent_path(); }

struct Pipe {
  int ends[2];
  Pipe() {
    if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error(because("pipe"));
  }
};

[[noreturn]] void become(const std::vector<std::string>& words, const std::vector<std::string>& environment, int out,
                         int err) {
  dup2(out, 1);
  dup2(err, 2);
  for (const std::string& variable : environment) putenv(const_cast<char*>(variable.c_str()));
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  execvp(arguments[0], arguments.data());
  _exit(127);
}

// Takes what there is; false at the end.
bool take(int fd, std::string& into) {
  char block[65536];
  ssize_t size = read(fd, block, sizeof block);
  if (size > 0) into.append(block, static_cast<std::size_t>(size));
  return size > 0 || (size < 0 && errno == EINTR);
}

}  // namespace

std::string lacks(std::string_view feature) {
  static std::map<std::string, std::string, std::less<>> answers;
  if (auto known = answers.find(feature); known != answers.end()) return known->second;
  auto found = features.find(feature);
  if (found == features.end()) throw std::logic_error("NEEDS names no feature: " + std::string(feature));
  libbpf_set_print(nullptr);
  return answers[std::string(feature)] = found->second();
}

std::string build_dir() { return own_place().parent_path(); }
std::string source_dir() { return own_place().parent_path().parent_path(); }

std::string tool_path(std::string_view tool) {
  const char* given = std::getenv("COREKIT_BIN");
  return (given ? fs::path(given) : own_place().parent_path() / "bin") / tool;
}

std::string trigger_path(std::string_view trigger) { return own_place() / "trigger" / trigger; }

std::vector<std::string> tools() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(fs::path(source_dir()) / "tools"))
    if (entry.path().extension() == ".cpp") names.push_back(entry.path().stem());
  std::sort(names.begin(), names.end());
  return names;
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TemporaryDirectory::TemporaryDirectory() {
  path_ = fs::temp_directory_path() / "corekit-test-XXXXXX";
  if (!mkdtemp(path_.data())) throw std::runtime_error(because("mkdtemp"));
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

Ran run(const std::vector<std::string>& words, const std::vector<std::string>& environment) {
  Pipe out, err;
  pid_t child = fork();
  if (child == 0) become(words, environment, out.ends[1], err.ends[1]);
  close(out.ends[1]);
  close(err.ends[1]);
  Ran ran;
  pollfd waits[] = {{.fd = out.ends[0], .events = POLLIN, .revents = 0},
                    {.fd = err.ends[0], .events = POLLIN, .revents = 0}};
  std::string* texts[] = {&ran.out, &ran.err};
  while (waits[0].fd >= 0 || waits[1].fd >= 0) {
    poll(waits, 2, -1);
    for (int i = 0; i < 2; i++) {
      if (waits[i].fd < 0 || !waits[i].revents || take(waits[i].fd, *texts[i])) continue;
      close(waits[i].fd);
      waits[i].fd = -1;
    }
  }
  int status = 0;
  waitpid(child, &status, 0);
  ran.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return ran;
}

}  // namespace test
