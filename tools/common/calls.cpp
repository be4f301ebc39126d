// SPDX-License-Identifier: BSD-2-Clause
#include "kit/calls.hpp"

#include <algorithm>

namespace kit {

const char* call_end_name(CallEnd end) {
  switch (end) {
    case CallEnd::returned: return "";
    case CallEnd::jumped: return "jumped";
    case CallEnd::exec: return "exec";
    case CallEnd::exit: return "exit";
    case CallEnd::cut: return "cut";
    case CallEnd::lost: return "lost";
    case CallEnd::running: return "running";
  }
  return "";
}

bool is_timed(CallEnd end) { return end == CallEnd::returned || end == CallEnd::exec || end == CallEnd::exit; }

std::uint32_t CallTree::node(std::uint32_t parent, std::uint32_t function) {
  auto fresh = static_cast<std::uint32_t>(nodes_.size());
  auto [found, added] = nodes_[parent].beneath.try_emplace(function, fresh);
  std::uint32_t number = found->second;
  if (added) nodes_.push_back({.function = function, .parent = parent, .beneath = {}});
  return number;
}

void CallTree::add(const Call& call) {
  CallNode& node = nodes_[call.node];
  std::uint64_t spent = call.end - call.begin;
  node.calls++;
  node.cut += !is_timed(call.how);
  node.total += spent;
  node.spent += spent;
  node.self += spent - std::min(spent, call.beneath);
  node.longest = std::max(node.longest, spent);
}

namespace {

void add_node(CallNode& to, const CallNode& from) {
  to.function = from.function;
  to.calls += from.calls;
  to.cut += from.cut;
  to.total += from.total;
  to.spent += from.spent;
  to.self += from.self;
  to.longest = std::max(to.longest, from.longest);
}

}  // namespace

void CallTree::add(const CallTree& other) {
  std::vector<std::uint32_t> number_of(other.nodes_.size(), root);
  // A node's parent stands before it.
  for (std::size_t i = 1; i < other.nodes_.size(); i++) {
    const CallNode& from = other.nodes_[i];
    number_of[i] = node(number_of[from.parent], from.function);
    add_node(nodes_[number_of[i]], from);
  }
}

std::map<std::uint32_t, CallNode> CallTree::by_function() const {
  std::map<std::uint32_t, CallNode> all;
  for (std::size_t i = 1; i < nodes_.size(); i++) {
    CallNode from = nodes_[i];
    for (std::uint32_t above = from.parent; above != root; above = nodes_[above].parent)
      if (nodes_[above].function == from.function) from.total = 0;
    add_node(all[from.function], from);
  }
  return all;
}

void Calls::take(const CallEvent& event) {
  using Kind = CallEvent::Kind;
  CallThread& thread = threads_[event.tid];
  if (event.number != thread.number + 1) close_all(thread, CallEnd::lost, thread.last);
  thread.pid = event.pid;
  thread.tid = event.tid;
  thread.number = event.number;
  thread.comm = event.comm;
  if (event.kind == Kind::enter) enter(thread, event);
  if (event.kind == Kind::leave || event.kind == Kind::jump) leave(thread, event);
  thread.last = event.time;
  if (event.kind != Kind::exec && event.kind != Kind::exit) return;
  for (auto& [tid, other] : threads_) {
    if (tid != event.tid && (event.kind == Kind::exit || other.pid != event.pid)) continue;
    close_all(other, event.kind == Kind::exec ? CallEnd::exec : CallEnd::exit, event.time);
    other.number = 0;
  }
}

void Calls::enter(CallThread& thread, const CallEvent& event) {
  // Without a return address of its own it was reached by a jump out of the call whose frame it has.
  std::uint64_t shallowest = event.caller ? event.frame : event.frame - 1;
  while (!thread.open.empty() && thread.open.back().frame <= shallowest) close(thread, CallEnd::cut, thread.last);
  close_unseen(thread, event);
  std::uint32_t above = thread.open.empty() ? CallTree::root : thread.open.back().node;
  thread.open.push_back({.function = event.function,
                         .frame = event.frame,
                         .address = event.address,
                         .begin = event.time,
                         .node = thread.tree.node(above, event.function),
                         .taken = std::string(event.values)});
}

// The code of one of the open calls makes this one: those beneath it have ended.
void Calls::close_unseen(CallThread& thread, const CallEvent& event) {
  for (std::size_t i = thread.open.size(); i-- > 0;) {
    const Call& call = thread.open[i];
    // The instruction before: behind a call that never returns another function may begin.
    if (event.caller <= call.address || event.caller - 1 - call.address >= size_(call.function)) continue;
    while (thread.open.size() > i + 1) close(thread, CallEnd::cut, thread.last);
    return;
  }
}

// A return of another function at the same place is not this call's: the code of one may lie in another's.
void Calls::leave(CallThread& thread, const CallEvent& event) {
  while (!thread.open.empty() && thread.open.back().frame < event.frame) close(thread, CallEnd::cut, thread.last);
  if (thread.open.empty() || thread.open.back().frame != event.frame) return;
  if (thread.open.back().function != event.function) return;
  close(thread, event.kind == CallEvent::Kind::jump ? CallEnd::jumped : CallEnd::returned, event.time, event.values);
}

void Calls::close(CallThread& thread, CallEnd how, std::uint64_t time, std::string_view values) {
  Call call = std::move(thread.open.back());
  call.returned = values;
  thread.open.pop_back();
  call.how = how;
  call.end = std::max(time, call.begin);
  if (!thread.open.empty()) thread.open.back().beneath += call.end - call.begin;
  thread.tree.add(call);
  ended_(thread, call);
}

void Calls::close_all(CallThread& thread, CallEnd how, std::uint64_t time) {
  while (!thread.open.empty()) close(thread, how, time);
}

void Calls::end() {
  for (auto& [tid, thread] : threads_) close_all(thread, CallEnd::running, thread.last);
}

}  // namespace kit
