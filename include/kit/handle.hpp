// SPDX-License-Identifier: BSD-2-Clause
// Ownership of C things. Members are destroyed in the reverse of their declaration, so declaration order is ownership.
#pragma once

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>

#include "kit/failure.hpp"
#include "kit/packed.hpp"

namespace kit {

// A file descriptor; -1 is none.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() { reset(); }
  void reset() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

struct Release {
  void operator()(bpf_link* link) const { bpf_link__destroy(link); }
  void operator()(btf* types) const { btf__free(types); }
};
using Link = std::unique_ptr<bpf_link, Release>;
using Btf = std::unique_ptr<btf, Release>;

// How programs are to be opened: against which types of the kernel (--btf).
const bpf_object_open_opts* open_options();
// Notes which of the kernel's types an object asks for; they are put together when it is loaded.
void want_types_of(std::string_view object);

// A generated skeleton, opened: maps and programs can be set up, nothing is in the kernel yet. Session loads it.
// Opening needs no privilege and no kernel support.
template <typename S>
class Skeleton {
 public:
  Skeleton() : skeleton_(S::open(open_options())) {
    want_types_of(unpacked());
    drop_unpacked();
    if (!skeleton_) throw Failure(Exit::failed, "cannot open the built-in BPF program: " + error_text(errno));
  }
  Skeleton(const Skeleton&) = delete;
  ~Skeleton() { S::destroy(skeleton_); }
  S* operator->() const { return skeleton_; }
  bpf_object* object() const { return skeleton_->obj; }
  bpf_object_skeleton* generated() const { return skeleton_->skeleton; }

 private:
  S* skeleton_;
};

}  // namespace kit
