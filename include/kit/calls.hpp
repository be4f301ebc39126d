// SPDX-License-Identifier: BSD-2-Clause
// Calls of functions, put together from where they begin and end: in each thread which call lies beneath which.
//
// A call that ends without a return (longjmp, an exception) is seen to have ended by what comes next: a call or a
// return at a place of the stack that is no deeper, or a call out of the code of a function that lies above it. Then it
// is cut: that it ended is known, not when. No call is put beneath one that may have ended; where a thread's records
// were lost, all that were open are cut, since nobody knows which of them still are.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace kit {

struct CallEvent {
  enum class Kind { enter, leave, jump, exec, exit } kind = Kind::enter;
  std::uint64_t time = 0;                      // ns since boot
  std::uint32_t pid = 0, tid = 0, number = 0;  // of the thread's events, from 1
  std::uint32_t function = 0;                  //
  std::uint64_t frame = 0;                     // where on the stack its return address is
  std::uint64_t caller = 0;                    // that; 0: it was reached by a jump from the open call of the same frame
  std::uint64_t address = 0;                   // of the place
  std::string_view comm;
  std::string_view values = {};  // that the call begins or ends with, as they came; empty: none are known
};

enum class CallEnd {
  returned,
  jumped,   // to another function, which returns in its stead
  exec,     // its process became another program
  exit,     // its thread ended
  cut,      // without a return
  lost,     // nobody knows: records were lost
  running,  // it has not, when the trace ended
};
// Nothing of a return: "cut".
const char* call_end_name(CallEnd end);
// Whether it is known when the call ended.
bool is_timed(CallEnd end);

struct Call {
  std::uint32_t function = 0;
  std::uint64_t frame = 0, address = 0;
  std::uint64_t begin = 0, end = 0;  // if that is not known, when it was last seen to go on
  std::uint64_t beneath = 0;         // ns in calls that it made
  std::uint32_t node = 0;            // of the thread's tree
  CallEnd how = CallEnd::running;
  bool shown = false;                     // for whoever shows them
  std::string taken = {}, returned = {};  // the values of its events
};

// Calls of one way from a thread's first function, together. A call that was cut counts as far as it was seen.
struct CallNode {
  std::uint32_t function = 0, parent = 0;
  std::uint64_t calls = 0, cut = 0;                // `cut`: those that did not return
  std::uint64_t total = 0, self = 0, longest = 0;  // ns
  std::uint64_t spent = 0;                         // as the total, each call of a recursion by itself
  std::map<std::uint32_t, std::uint32_t> beneath;  // nodes, by their functions
};
class CallTree {
 public:
  static constexpr std::uint32_t root = 0;  // of no function
  CallTree() : nodes_(1) {}
  // The node of a function beneath another.
  std::uint32_t node(std::uint32_t parent, std::uint32_t function);
  void add(const Call& call);
  void add(const CallTree& other);
  const std::vector<CallNode>& nodes() const { return nodes_; }
  // By functions; a recursion's total counts once.
  std::map<std::uint32_t, CallNode> by_function() const;

 private:
  std::vector<CallNode> nodes_;
};

struct CallThread {
  std::uint32_t pid = 0, tid = 0;
  std::string comm;
  std::vector<Call> open;  // outermost first
  CallTree tree;
  std::uint32_t number = 0;  // of the last event
  std::uint64_t last = 0;    // its time
};

class Calls {
 public:
  // `size`: bytes of a function's code, 0 where it is not known. `ended` is told of each call as it ends, the thread's
  // open calls being those around it.
  using Size = std::function<std::uint64_t(std::uint32_t function)>;
  using Ended = std::function<void(CallThread&, const Call&)>;
  Calls(Size size, Ended ended) : size_(std::move(size)), ended_(std::move(ended)) {}
  // In the order of their times.
  void take(const CallEvent& event);
  // The trace ends.
  void end();
  // By their numbers.
  const std::map<std::uint32_t, CallThread>& threads() const { return threads_; }

 private:
  void enter(CallThread& thread, const CallEvent& event);
  void leave(CallThread& thread, const CallEvent& event);
  void close(CallThread& thread, CallEnd how, std::uint64_t time, std::string_view values = {});
  void close_all(CallThread& thread, CallEnd how, std::uint64_t time);
  void close_unseen(CallThread& thread, const CallEvent& event);
  Size size_;
  Ended ended_;
  std::map<std::uint32_t, CallThread> threads_;
};

}  // namespace kit
