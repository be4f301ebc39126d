// SPDX-License-Identifier: BSD-2-Clause
// From the probes that a user asks for to programs that are attached: where each is, what it fetches there, and by
// which of the kernel's ways it is reached.
//
// A probe has one place or many: each function that a glob matches is one, each place of a USDT probe. Programs
// (bpf/lib/hit.bpf.h) learn by a cookie which place was hit; where the kernel gives them none, each place has a copy of
// the program with the number in it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kit/probe.hpp"
#include "kit/session.hpp"
#include "kit/stacks.hpp"

namespace kit {

// A place as rows tell of it.
struct ProbePlace {
  std::string name;      // "uprobe:libc.so.6:strlen"
  std::string function;  // "strlen"; empty: it is in none
  std::vector<ShownValue> values;
};

// What a tool lets be asked.
struct ProbeDemand {
  std::size_t values = FETCH_VALUES;  // of one probe, at most
  std::uint32_t string = 256;         // bytes of a string
  bool keys = false;                  // what is fetched becomes a key (fetch_key)
  bool number_first = false;          // the first value is a number, and there is one
  Stacks* stacks = nullptr;           // where kstack and ustack may be asked for
  bool user_stacks = false;           // of each hit, asked for or not
};

class Probing {
 public:
  // The options that tools with probes share, and what their help says of the language.
  static void declare(Options& options, std::vector<std::string>& words, bool& force);
  // Reads the words and finds the places. Nothing is done where a capture is replayed. Throws Failure (usage).
  Probing(Session& session, const std::vector<std::string>& words, const ProbeDemand& demand, bool force = false);
  ~Probing();

  // Settles, loads and attaches.
  template <typename S>
  void start(Skeleton<S>& bpf) {
    AttachPlan plan = prepare(bpf.object());
    session_.settle(bpf, plan);
    session_.load(bpf);
    attach(bpf.object());
  }
  const std::vector<ProbePlace>& places() const { return places_; }
  // The place that a record or key names; nullptr in a damaged capture.
  const ProbePlace* place(std::uint32_t number) const { return number < places_.size() ? &places_[number] : nullptr; }
  // Cells of a result; addresses of code are the kernel's or, below those, of the process `pid`.
  Cell name(const fetch_result& result) const;
  Cell values(const fetch_result& result, std::string_view tail, std::uint32_t pid = KIT_NO_PID) const;
  // The same of a key.
  Cell name(const fetch_key& key) const;
  // From the value `first` on.
  Cell values(const fetch_key& key, std::size_t first = 0) const;
  // Reads the stacks that a record has, if it has any, for values() and stack().
  void look_up(const fetch_result& result, std::string_view tail);
  // The same of a report's keys.
  void look_up(Report& report, const std::vector<const fetch_key*>& keys);
  // How the stacks of a report's keys came out, if there are any.
  void tally(Report& report) const;
  // The stack beneath a row; none where it is not asked for.
  Cell stack(const fetch_result& result, std::string_view tail) const;
  // What code lies at an address; kept in captures.
  std::string code_name(std::uint32_t pid, std::uint64_t address) const;

 private:
  struct State;
  AttachPlan prepare(bpf_object* object);
  void attach(bpf_object* object);
  void tell_left_out() const;
  void once(const char* kind);
  Cell stack_cell(const fetch_stacks& stacks, bool kernel, bool user) const;
  Session& session_;
  std::vector<Probe> probes_;
  std::vector<ProbePlace> places_;
  bool stacked_ = false;  // there are stacks among the values of a place
  std::unique_ptr<State> state_;
};

}  // namespace kit
