// SPDX-License-Identifier: BSD-2-Clause
// Operations of the kernel that can be made to fail, the functions behind them, and the programs that stand there.
//
// An operation ("open") fails in one of three ways: its system calls are overridden, which kernels for testing allow
// (CONFIG_BPF_KPROBE_OVERRIDE); a program is one of the security modules (LSM), where BPF is one of them; or a program
// answers for the functions that ask those, security_file_open() (fmod_ret). A function that is named itself,
// "kernel:FUNCTION", fails by override, by fmod_ret if the kernel lets it, or as a hook of the modules if it asks them.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "kit/attach.hpp"
#include "kit/session.hpp"

namespace kit {

// What can be made to fail.
struct Injectable {
  std::string name;          // "open", "kernel:security_file_open"
  std::uint32_t access = 0;  // MAY_WRITE (2), MAY_READ (4): only calls that ask for it, by the second argument
  // By way: the functions, of which the first must be there; for `hooks` the modules' own names of them.
  std::vector<std::string> overridden, modified, hooks;
};

// Every operation that this library knows of, whether or not the kernel lets it fail.
const std::vector<Injectable>& injectable_operations();
// The kernel's functions that may be let fail: those that ask security modules, and those on the kernel's own list, if
// that can be read.
std::vector<Injectable> injectable_functions();
// An operation, or kernel:FUNCTION. Throws Failure (usage) with the nearest name where there is none.
Injectable find_injectable(const std::string& name);
// A tool's run that lists all operations and functions, each tried: the way in which it can be made to fail, and by
// what, or why it cannot. Returns the exit code.
int list_injectables(Session& session);
// Throws Failure (usage) where nobody is chosen, or everybody, or who is never to be harmed.
void check_chosen(const Settings& settings);
// Where the code of a function of the kernel lies, from its first byte to that behind its last, parts that the compiler
// has set apart included. Throws Failure (usage) with the nearest name where there is none.
using CodeRanges = std::vector<std::pair<std::uint64_t, std::uint64_t>>;
CodeRanges find_code(const std::string& function);
// Adds it to a plan: programs are found in the object, if there is one.
void plan_injection(AttachPlan& plan, const Injectable& one, bpf_object* object = nullptr);

// The programs, attached to each function of the way that was settled.
class Injection {
 public:
  // After the session has settled the plan, before it loads. In a replay it only knows the functions' names.
  Injection(Session& session, bpf_object* object, const Injectable& one);
  // Before load: only calls that are made from this code; none: from anywhere.
  void only_beneath(const CodeRanges& code);
  // After load.
  void attach();
  const std::string& operation() const { return operation_; }
  // The function that a record names; empty in a damaged capture.
  const std::string& function(std::uint32_t place) const;

 private:
  void spare_ancestors();
  void add(std::size_t place);
  Session& session_;
  bpf_object* object_;
  bpf_program* program_ = nullptr;
  std::string operation_, way_;
  std::vector<std::string> functions_, places_;  // as their programs' targets, and as they are shown
  std::vector<Fd> programs_, links_;
};

}  // namespace kit
