// SPDX-License-Identifier: BSD-2-Clause
// Functions of a program and its libraries, and of the kernel, whose calls are followed: which they are, where each
// begins and returns.
//
// Returns are probed where a function's instructions return or jump to another function, which changes nothing of the
// program. Of a function where that cannot be told the kernel's own way is taken (a uretprobe), unless anything in the
// process may unwind its stack, or return twice: then the function is left out, and named.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kit/elf.hpp"
#include "kit/probe.hpp"
#include "kit/session.hpp"

namespace kit {

struct Attachment;

// As rows tell of it.
struct TracedFunction {
  std::string name, module;
  std::uint64_t size = 0;  // bytes of its code; 0: not known
  // Of what it takes and returns, that which can be fetched.
  std::vector<ShownValue> parameters = {}, result = {};
};

// What a user asks for: globs of names, of libraries whose functions are followed whoever calls them.
struct TracedWanted {
  std::vector<std::string> functions, libraries;
  bool force = false;               // uretprobes even if something may unwind
  std::vector<std::string> kernel;  // globs of functions of the kernel
  bool calls = false;             // system calls, and beneath them the kernel's functions, where it lets them be probed
  bool values = false;            // what the functions take and return
  std::uint32_t string_size = 0;  // bytes of a string among that
};

class TracedFunctions {
 public:
  // Finds the functions of the command, or of the process of -p. Nothing is done where a capture is replayed, or, for
  // --explain, where neither is named. Throws Failure (usage).
  TracedFunctions(Session& session, const TracedWanted& wanted);
  ~TracedFunctions();
  // The event of the plan; before load.
  void plan(AttachPlan& plan, bpf_object* object);
  // After load.
  void attach(bpf_object* object);
  // nullptr in a damaged capture.
  const TracedFunction* function(std::uint32_t number) const;
  // Bytes of its code; 0: not known.
  std::uint64_t size(std::uint32_t number) const { return number < functions_.size() ? functions_[number].size : 0; }

 private:
  struct State;
  void read_kept(const std::string& text);
  Session& session_;
  std::vector<TracedFunction> functions_, kernel_;
  mutable std::map<std::uint32_t, TracedFunction> calls_;  // system calls, as they are met
  std::unique_ptr<State> state_;
};

}  // namespace kit
