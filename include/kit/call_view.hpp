// SPDX-License-Identifier: BSD-2-Clause
// How calls are shown: each as it ends, nested; or in the end, summed by function or in one tree of all threads; and as
// pictures.
#pragma once

#include <functional>
#include <string>

#include "kit/calls.hpp"
#include "kit/options.hpp"
#include "kit/picture.hpp"
#include "kit/session.hpp"
#include "kit/traced.hpp"

namespace kit {

// A call, or a part of one, or the sum of several: what does not belong to it is `none`.
struct CallRow {
  Cell time = Cell::none(), duration = Cell::none(), pid = Cell::none(), tid = Cell::none(), comm = Cell::none();
  Cell event = Cell::none(), depth = Cell::none(), end = Cell::none();
  Cell calls = Cell::none(), total = Cell::none(), self = Cell::none(), average = Cell::none(), most = Cell::none();
  Cell arguments = Cell::none(), result = Cell::none();
  Cell cut = Cell::none(), module = Cell::none(), function = Cell::none(), text = Cell::none();
};

class CallView {
 public:
  // Declares the options.
  explicit CallView(Options& options);
  CallView(const CallView&) = delete;  // the columns point here
  const Columns& table() const { return table_; }
  // Whether calls are shown one by one.
  bool shows_calls() const { return !report_ && !tree_; }
  // After the command line was read.
  void begin(Session& session);
  // All the rest. `event` makes an event of a record. Returns the exit code.
  template <typename S>
  int run(Session& session, Skeleton<S>& bpf, const TracedFunctions& functions,
          const std::function<CallEvent(const kit_head&)>& event) {
    session_ = &session;
    functions_ = &functions;
    Calls calls([&](std::uint32_t number) { return functions.size(number); },
                [this](CallThread& thread, const Call& call) { ended(thread, call); });
    int code = session.stream(
        bpf, table_, [&](const kit_head& head) { calls.take(event(head)); },
        [&] {
          calls.end();
          sum_up(calls);
        });
    return pictures_.write(session, code);
  }

 private:
  void add_columns();
  void ended(CallThread& thread, const Call& call);
  void show(const CallThread& thread, const Call& call, std::size_t depth, const char* event);
  void sum_up(const Calls& calls);
  void show_report(const CallTree& all);
  void show_tree(const CallTree& all, std::uint32_t node, std::size_t depth);
  void draw(const CallThread& thread);
  CallRow row_of(const CallNode& node) const;
  bool precedes(const CallNode& a, const CallNode& b) const;
  std::string_view name(std::uint32_t function) const;

  Duration min_;
  Number top_;
  bool report_ = false, tree_ = false, summed_ = false;
  std::string sort_ = "total";
  Table<CallRow> table_;
  Pictures pictures_;
  Session* session_ = nullptr;
  const TracedFunctions* functions_ = nullptr;
};

}  // namespace kit
