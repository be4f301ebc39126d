// SPDX-License-Identifier: BSD-2-Clause
#include "kit/call_view.hpp"

#include <algorithm>
#include <cstring>

#include "kit/sink.hpp"
#include "kit/text.hpp"

namespace kit {
namespace {

const std::vector<std::string> sort_keys = {"total", "self", "calls", "average", "max", "name"};

Cell time_cell(std::uint64_t ns) { return Cell::duration(ns, Unit::us); }

// What was fetched, as it came: a result and what its strings are in. Nothing where it is not that.
std::optional<fetch_result> result_of(const std::string& values) {
  fetch_result result;
  if (values.size() < sizeof result) return {};
  std::memcpy(&result, values.data(), sizeof result);
  return result;
}

Cell value_of(const std::vector<ShownValue>& shown, std::size_t index, const std::string& values) {
  auto result = result_of(values);
  if (!result || index >= shown.size()) return Cell::none();
  return value_cell(shown[index], *result, index, std::string_view(values).substr(sizeof *result));
}

std::string value_text(const std::vector<ShownValue>& shown, std::size_t index, const std::string& values) {
  Cell cell = value_of(shown, index, values);
  if (shown[index].how != 's') return cell_text(cell);
  if (cell.kind == Cell::Kind::text) return cat('"', cell.text(), '"');
  // It could not be read; where it should be is known.
  std::uint64_t address = result_of(values)->values[index];
  return address ? cell_text(Cell::address(address)) : "NULL";
}

// "a=1, b=2".
std::string arguments_text(const TracedFunction* function, const std::string& values) {
  std::string all;
  for (std::size_t i = 0; function && !values.empty() && i < function->parameters.size(); i++)
    all += cat(i ? ", " : "", function->parameters[i].name, '=', value_text(function->parameters, i, values));
  return all;
}

std::string result_text(const TracedFunction* function, const std::string& values) {
  bool known = function && !values.empty() && !function->result.empty();
  return known ? cat(" = ", value_text(function->result, 0, values)) : "";
}

Cell arguments_cell(const TracedFunction* function, const std::string& values) {
  auto result = result_of(values);
  if (!function || !result || function->parameters.empty()) return Cell::none();
  return value_cells(function->parameters, *result, std::string_view(values).substr(sizeof *result));
}

}  // namespace

CallView::CallView(Options& options) : pictures_(options, "calls", true) {
  options.option(0, "min", "DURATION", min_, "only calls that took at least so long, like 10us")
      .flag(0, "report", report_, "in the end, what each function took in all")
      .flag(0, "graph", tree_, "in the end, all calls as one tree, with how often each way was taken")
      .add(0, "sort", "KEY", "of --report: by total (the usual), self, calls, average, max or name",
           [this](std::string_view text) -> std::string {
             sort_ = text;
             bool known = std::find(sort_keys.begin(), sort_keys.end(), sort_) != sort_keys.end();
             return known ? "" : cat("expects total, self, calls, average, max or name", suggestion(text, sort_keys));
           })
      .option(0, "top", "N", top_, "of --report: only the first N");
  add_columns();
}

void CallView::begin(Session& session) {
  if (report_ && tree_) throw Failure(Exit::usage, "--report and --graph are two ways to sum up: choose one");
  if (!report_ && top_) throw Failure(Exit::usage, "--top goes with --report");
  summed_ = report_ || tree_;
  pictures_.begin(session);
}

void CallView::add_columns() {
  table_.column("TIME", "time", 12, "of a call: when it began or ended", &CallRow::time)
      .column("PID", "pid", -7, "of a call: the process", &CallRow::pid)
      .column("COMM", "comm", 16, "of a call: the thread's name", &CallRow::comm)
      .column("EVENT", "event", 5, "enter, leave, or call: both, where nothing is shown within", &CallRow::event)
      .column("DEPTH", "depth", -5, "how many calls it lies in", &CallRow::depth)
      .column("END", "end", 7, "how a call ended if it did not return: jumped, exec, exit, cut, lost, running",
              &CallRow::end)
      .column("MODULE", "module", 16, "the function's file", &CallRow::module)
      .column("ARGS", "args", 32, "with --argument: what the function was given, by the parameters' names",
              &CallRow::arguments)
      .column("RETVAL", "retval", 16, "with --argument: what it returned", &CallRow::result)
      .not_in_text(9)
      .column("DURATION(us)", "duration_ns", -12, "from the call to its return; not known of calls that were cut",
              &CallRow::duration)
      .only_without(summed_)
      .column("TID", "tid", -7, "its thread", &CallRow::tid)
      .only_without(summed_)
      .column("CALLS", "calls", -9, "with --report or --graph: how many there were", &CallRow::calls)
      .column("TOTAL(us)", "total_ns", -13, "how long, together; of a recursion once", &CallRow::total)
      .column("SELF(us)", "self_ns", -13, "without what was called", &CallRow::self)
      .column("AVG(us)", "average_ns", -11, "one, on average", &CallRow::average)
      .column("MAX(us)", "max_ns", -11, "the longest", &CallRow::most)
      .column("CUT", "cut", -6, "how many did not return, and count as far as they were seen", &CallRow::cut)
      .only_with(summed_, 6)
      .column("FUNCTION", "function", 0, "the function", &CallRow::function)
      .only_with(report_)
      .column("CALL", "call", 0, "the function, as far to the right as it lies in others", &CallRow::text)
      .only_without(report_);
}

std::string_view CallView::name(std::uint32_t function) const {
  const TracedFunction* known = functions_->function(function);
  return known ? std::string_view(known->name) : "?";
}

// Those around it are shown when the first within them is.
void CallView::ended(CallThread& thread, const Call& call) {
  if (summed_ || (!call.shown && call.end - call.begin < min_.ns)) return;
  for (std::size_t i = 0; i < thread.open.size(); i++)
    if (!std::exchange(thread.open[i].shown, true)) show(thread, thread.open[i], i, "enter");
  show(thread, call, thread.open.size(), call.shown ? "leave" : "call");
}

void CallView::show(const CallThread& thread, const Call& call, std::size_t depth, const char* event) {
  const TracedFunction* function = functions_->function(call.function);
  bool enters = event[0] == 'e', leaves = event[0] == 'l';
  std::string_view end = enters ? "" : call_end_name(call.how);
  std::string indent(2 * depth, ' '), mark = end.empty() ? "" : cat(" /* ", end, " */");
  CallRow row{.time = Cell::time(enters ? call.begin : call.end),
              .pid = to_cell(thread.pid),
              .tid = to_cell(thread.tid),
              .comm = Cell::borrowed(thread.comm),
              .event = Cell::borrowed(event),
              .depth = Cell::count(depth),
              .end = end.empty() ? Cell::none() : Cell::borrowed(end),
              .arguments = arguments_cell(function, call.taken),
              .module = Cell::borrowed(function ? std::string_view(function->module) : "?"),
              .function = Cell::borrowed(name(call.function))};
  if (!enters) row.duration = is_timed(call.how) ? time_cell(call.end - call.begin) : Cell::unknown();
  if (function && !enters) row.result = value_of(function->result, 0, call.returned);
  std::string result = enters ? "" : result_text(function, call.returned);
  row.text =
      Cell::owned(leaves ? cat(indent, '}', result, result.empty() ? "" : ";", " /* ", name(call.function), " */", mark)
                         : cat(indent, name(call.function), '(', arguments_text(function, call.taken), ')', result,
                               enters ? " {" : ";", mark));
  session_->row(table_, row);
}

void CallView::sum_up(const Calls& calls) {
  CallTree all;
  for (const auto& [tid, thread] : calls.threads()) {
    all.add(thread.tree);
    draw(thread);
  }
  if (report_) show_report(all);
  if (tree_) show_tree(all, CallTree::root, 0);
}

CallRow CallView::row_of(const CallNode& node) const {
  const TracedFunction* function = functions_->function(node.function);
  return {.calls = Cell::count(node.calls),
          .total = time_cell(node.total),
          .self = time_cell(node.self),
          .average = time_cell(node.spent / std::max<std::uint64_t>(node.calls, 1)),
          .most = time_cell(node.longest),
          .cut = Cell::count(node.cut),
          .module = Cell::borrowed(function ? std::string_view(function->module) : "?"),
          .function = Cell::borrowed(name(node.function))};
}

bool CallView::precedes(const CallNode& a, const CallNode& b) const {
  auto average = [](const CallNode& node) { return node.spent / std::max<std::uint64_t>(node.calls, 1); };
  if (sort_ == "self" && a.self != b.self) return a.self > b.self;
  if (sort_ == "calls" && a.calls != b.calls) return a.calls > b.calls;
  if (sort_ == "average" && average(a) != average(b)) return average(a) > average(b);
  if (sort_ == "max" && a.longest != b.longest) return a.longest > b.longest;
  if (sort_ != "name" && a.total != b.total) return a.total > b.total;
  return name(a.function) < name(b.function);
}

void CallView::show_report(const CallTree& all) {
  std::vector<CallNode> nodes;
  for (auto& [function, node] : all.by_function()) nodes.push_back(node);
  std::stable_sort(nodes.begin(), nodes.end(), [this](auto& a, auto& b) { return precedes(a, b); });
  if (top_ && nodes.size() > top_.value) nodes.resize(top_.value);
  for (const CallNode& node : nodes) session_->row(table_, row_of(node));
}

void CallView::show_tree(const CallTree& all, std::uint32_t number, std::size_t depth) {
  std::vector<std::uint32_t> beneath;
  for (auto [function, node] : all.nodes()[number].beneath) beneath.push_back(node);
  std::stable_sort(beneath.begin(), beneath.end(),
                   [&](auto a, auto b) { return precedes(all.nodes()[a], all.nodes()[b]); });
  for (std::uint32_t each : beneath) {
    CallRow row = row_of(all.nodes()[each]);
    row.depth = Cell::count(depth);
    row.text = Cell::owned(cat(std::string(2 * depth, ' '), name(all.nodes()[each].function)));
    session_->row(table_, row);
    show_tree(all, each, depth + 1);
  }
}

void CallView::draw(const CallThread& thread) {
  const auto& nodes = thread.tree.nodes();
  for (std::size_t i = 1; i < nodes.size(); i++) {
    Stack stack;
    for (auto at = static_cast<std::uint32_t>(i); at != CallTree::root; at = nodes[at].parent) {
      const TracedFunction* function = functions_->function(nodes[at].function);
      stack.push_back({.name = name(nodes[at].function), .module = function ? std::string_view(function->module) : ""});
    }
    pictures_.add(stack, thread.pid, thread.tid, thread.comm, nodes[i].self, nodes[i].calls);
  }
}

}  // namespace kit
