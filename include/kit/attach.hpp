// SPDX-License-Identifier: BSD-2-Clause
// Attach plans: ordered alternatives for each event a tool looks at, settled before load.
//
// A plan names events ("open", "exec"); an event has ways to be seen, best first: in precision, then in cost to the
// whole machine. A way is a set of programs that must all attach, and others that are attached where the kernel has
// their hook (arm64 has no open(2), kernels before 5.6 no openat2(2)). All ways of an event mean the same event; one
// that sees less of it says what it misses. Programs are declared SEC("?...") and so stay off until their way is taken.
//
// The plan is settled by trial (kit::Kernel), never by the kernel's version: vendors and stable trees backport.
// --explain prints what was taken, what was refused and why; --attach NAME takes the way of that name or none.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "kit/kernel.hpp"

namespace kit {

// A program of a way: kind and target are read from its own section, or given where it is attached to others, too.
struct Part {
  Part(bpf_program* of) : Part(of, bpf_program__section_name(of)) {}
  Part(bpf_program* of, std::string_view section) : hook(parse_hook(section)), program(of) {}
  explicit Part(Hook of) : hook(std::move(of)) {}
  Hook hook;
  bpf_program* program = nullptr;
};

struct Way {
  std::string name;
  std::vector<Part> needed;
  std::vector<Part> optional;
  std::string misses;  // what this way does not see; empty: nothing
};

struct Event {
  std::string name;
  std::string verb = "see";  // what the tool does with it
  std::vector<Way> ways;
};

struct Refusal {
  std::string way, why;
};

// What became of one event.
struct Settled {
  std::string event;
  std::string way;  // empty: none could be taken
  std::string misses;
  std::vector<Part> parts;  // with targets as this kernel has them
  std::vector<Refusal> refused;
  bool denied = false;  // none was taken, and one could have been with more permission
  std::string verb = "see";
};

enum class Form { full, lesser, none };
const char* form_name(Form form);

class AttachPlan {
 public:
  // Begins an event; the ways and lesser forms that follow are its own. `verb`: what cannot be done without any.
  AttachPlan& event(std::string name, std::string verb = "see");
  AttachPlan& way(std::string name, std::vector<Part> needed, std::vector<Part> optional = {});
  // Of the last way: what it does not see.
  AttachPlan& misses(std::string what);

  // Tries every event's ways in order; `forced` names the only way to be tried of the events that have one of that
  // name.
  std::vector<Settled> settle(Kernel& kernel, const std::string& forced = {}) const;
  // Names of all ways, for --attach.
  std::vector<std::string> ways() const;

 private:
  std::vector<Event> events_;
};

Form form_of(const std::vector<Settled>& plan);

}  // namespace kit
