// SPDX-License-Identifier: BSD-2-Clause
// Whole user stacks from programs without frame pointers: gives the walker in the kernel (bpf/lib/user_stack.bpf.h) its
// tables and each process's executable memory, in the background.
//
// A process is read when it maps what it runs, of which perf events tell, or a program tells that it is there, and
// again when it seems to have changed. Each file that it has mapped becomes a table once, for all processes that map
// the same build of it; until then its stacks are walked by the kernel. Tables lie in pools of the kernel's memory and
// are kept as long as the run.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "kit/session.hpp"
#include "kit/unwind.h"

namespace kit {

class Unwinder {
 public:
  // Declares --unwind and what belongs to it.
  explicit Unwinder(Options& options);
  ~Unwinder();
  // Sets the knobs, before load.
  void prepare(bpf_object* object);
  // Begins in the background, after load.
  void follow(Session& session, bpf_object* object);
  // A process is there: its PID here, and the kernel's number of it. Returns at once.
  void see(std::uint32_t pid, std::uint32_t tgid);

 private:
  class Worker;
  void say_all(Session& session);

  std::string way_ = "auto";
  bool report_ = false;
  Size memory_{.bytes = std::size_t{64} << 20};
  std::unique_ptr<Worker> worker_;
};

// Why a walk ended (a KIT_UNWIND_ word) before a thread's beginning.
const char* unwind_end_text(std::uint32_t end);

}  // namespace kit
