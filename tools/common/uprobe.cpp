// SPDX-License-Identifier: BSD-2-Clause
#include "kit/uprobe.hpp"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/bpf.h>

#include <iterator>

#include "kit/text.hpp"
#include "loader.hpp"
#include "probed_file.hpp"

namespace kit {
namespace {

std::string advice(int error) {
  switch (error) {
    case EINVAL: return "; is something else attached there, or is it within an instruction?";
    case ENOENT: return "; the file has gone meanwhile";
    case EOPNOTSUPP: return "; this kernel lacks what it takes (CONFIG_UPROBE_EVENTS)";
    default: return "";
  }
}

constexpr std::size_t most_copies = 64;

// While it lives the program's descriptor is that of its copy for a cookie, so that libbpf attaches that one.
class CopyInstead {
 public:
  CopyInstead(const bpf_program* program, std::uint64_t cookie)
      : place_(bpf_program__fd(program)), own_(fcntl(place_, F_DUPFD_CLOEXEC, 0)) {
    Fd copy(load_copy(program, {.cookie = cookie}));
    if (!copy) throw Failure(Exit::unsupported, cat("cannot load the program once more: ", error_text(errno)));
    dup3(copy.get(), place_, O_CLOEXEC);
  }
  CopyInstead(const CopyInstead&) = delete;
  ~CopyInstead() { dup3(own_.get(), place_, O_CLOEXEC); }

 private:
  int place_;
  Fd own_;
};

}  // namespace

bool has_cookies() {
  static const bool has = [] {
    constexpr bpf_insn program[] = {{BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_get_attach_cookie},
                                    {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0},
                                    {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
    int fd = bpf_prog_load(BPF_PROG_TYPE_KPROBE, "trial", "GPL", program, std::size(program), nullptr);
    return static_cast<bool>(Fd(fd >= 0 ? fd : -1));
  }();
  return has;
}

void prepare_user(bpf_program* program, std::size_t cookies) {
  if (has_cookies()) return;
  if (cookies > most_copies)
    throw Failure(Exit::unsupported, cat("this kernel (before 5.15) does not tell a program which of the ", cookies,
                                         " places was hit, and has programs for ", most_copies, "; name fewer probes"));
  set_first_copy(program, {.cookie = 0});
}

Link attach_user(bpf_program* program, const UserPlace& place, std::uint64_t cookie, std::optional<std::uint32_t> pid) {
  LIBBPF_OPTS(bpf_uprobe_opts, options);
  options.retprobe = place.at_return;
  options.ref_ctr_offset = place.semaphore;
  std::optional<CopyInstead> copy;
  if (has_cookies()) {
    options.bpf_cookie = cookie;
  } else if (cookie) {
    copy.emplace(program, cookie);
  }
  ProbedFile mapped(place.path);
  bpf_link* link = bpf_program__attach_uprobe_opts(program, pid ? static_cast<pid_t>(*pid) : -1, place.path.c_str(),
                                                   place.offset, &options);
  if (link) return Link(link);
  int error = errno;
  bool denied = error == EPERM || error == EACCES;
  throw Failure(denied ? Exit::denied : Exit::unsupported,
                cat("cannot probe ", place.name, " in ", place.shown, ": ", error_text(error), advice(error)));
}

}  // namespace kit
