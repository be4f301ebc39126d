// SPDX-License-Identifier: BSD-2-Clause
// What this kernel and this user can do, each found by trying it: a program is loaded, attached where it disturbs
// nobody, made to run where accepting it proves little, and taken away again.
#pragma once

#include <string>
#include <vector>

namespace kit {

struct Trial {
  std::string what;    // "kprobe"
  bool works = false;  //
  std::string found;   // what was seen: why not, or what there is
  std::string remedy;  // the one thing that would change a "no"
};

// The kernel's types, its symbols, its tracefs, the ring buffer, lockdown.
std::vector<Trial> try_sources();
// Every way to attach a program.
std::vector<Trial> try_attaching();
// What programs may call.
std::vector<Trial> try_helpers();
// The capabilities that tracing asks for, and the settings that forbid it.
std::vector<Trial> try_rights();

}  // namespace kit
