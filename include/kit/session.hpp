// SPDX-License-Identifier: BSD-2-Clause
// What each tool does first and last: options, privileges, plan, load, loop, output, summary.
//
// A tool's function reads in the order in which things happen: declare options, open the session, set knobs, settle the
// plan, load, show. A session that replays a capture goes through the same steps without a kernel.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kit/attach.hpp"
#include "kit/handle.hpp"
#include "kit/maps.hpp"
#include "kit/options.hpp"
#include "kit/record.h"
#include "kit/sink.hpp"

namespace kit {

class Report;

class Session {
 public:
  // Reads the command line into the options' variables. Throws Finished where that was all (--help).
  Session(Options& options, int argc, char** argv);
  ~Session();

  // Chooses the plan's ways by trial and switches the chosen programs on. Prints and throws Finished for --explain;
  // throws Failure where an event cannot be seen at all.
  template <typename S>
  void settle(Skeleton<S>& bpf, const AttachPlan& plan) {
    settle(bpf.object(), plan);
  }
  // Sets the filters, starts the command up to its gate, loads and attaches.
  template <typename S>
  void load(Skeleton<S>& bpf) {
    load(bpf.object(), bpf.generated());
  }

  // A row for each record, until something ends the run. Returns the exit code.
  template <typename S, typename Record>
  int show(Skeleton<S>& bpf, const Table<Record>& table) {
    return stream(bpf, table, [&](const kit_head& head) { row(table, record_as<Record>(head)); });
  }
  // The same with a function that is given each record, in order, and shows what it wants to with row(); `last` is
  // called when there are no more.
  template <typename S>
  int stream(Skeleton<S>& bpf, const Columns& columns, std::function<void(const kit_head&)> each,
             std::function<void()> last = {}) {
    return stream(bpf.object(), columns, std::move(each), std::move(last));
  }
  // Calls `each` for every report of an interval tool. Returns the exit code.
  template <typename S>
  int reports(Skeleton<S>& bpf, std::function<void(Report&)> each) {
    return reports(bpf.object(), std::move(each));
  }

  // Rows of what there is rather than of what happens: `each` shows them with row(), a replay shows those of the
  // capture. Returns the exit code.
  int list(const Columns& columns, const std::function<void()>& each);
  // Whether list() will call `each`, and so what it shows is to be found. Throws Finished for --explain.
  bool lists() const;
  // Shows now what was shown so far, for who waits for it before asking on.
  void flush();

  // False after --count rows, when no more are shown.
  template <typename Row>
  bool row(const Table<Row>& table, const Row& row) {
    return show_row(table, &row);
  }

  // Keeps a link until the run ends: of a probe that the tool attaches itself, after load.
  void keep(Link link);
  // Adds runs that the kernel skipped of programs, and hits of links, that the session does not know.
  void count_skips(std::function<Count()> count);
  // Adds a loss that no program counts, by its name.
  void count_losses(const std::string& name, std::function<std::uint64_t()> count);
  // Called when the run is over, before what is left is shown: detaches what keep() does not hold.
  void at_end(std::function<void()> what);
  // A text that only the traced machine knows, made by `find`, kept in captures and read from them in a replay.
  std::string kept(const std::string& name, const std::function<std::string()>& find);
  bool replaying() const;
  // Calls `ready` while the run lasts whenever the descriptor, which the caller keeps open, becomes readable.
  void watch(int fd, std::function<void()> ready);
  // Calls `look` about once a second.
  void every_second(std::function<void()> look);
  // The way that was settled for an event; empty in a replay.
  std::string way(std::string_view event) const;
  // A line on stderr, behind the tool's name.
  void say(const std::string& message) const;
  // Nothing is written to standard output but what the caller writes there.
  void keep_quiet();

  // Where the run's records come from: "x86_64", "arm64".
  const std::string& arch() const;
  const Clock& clock() const;
  const Settings& settings() const;
  // Whether the plan took this way of an event; also of the run that is replayed.
  bool takes(const std::string& event, const std::string& way) const;
  // What a number of this kind ("disk") is called: asked of `find`, again after a second, for names change hands; kept
  // in captures, and known from there in replays. The last name stays when there is none any more.
  std::string name(const std::string& kind, std::uint64_t number, const std::function<std::string()>& find) const;
  // The same for who keeps names himself: without a capture it is asked each time, and not kept here.
  std::string kept_name(const std::string& kind, std::uint64_t number, const std::function<std::string()>& find) const {
    return replaying() || !settings().record.empty() ? name(kind, number, find) : find();
  }

 private:
  friend class Report;
  struct State;
  void settle(bpf_object* object, const AttachPlan& plan);
  void load(bpf_object* object, bpf_object_skeleton* skeleton);
  int stream(bpf_object* object, const Columns& columns, std::function<void(const kit_head&)> each,
             std::function<void()> last);
  int reports(bpf_object* object, std::function<void(Report&)> each);
  bool show_row(const Columns& columns, const void* row);
  std::unique_ptr<State> state_;
};

// Entries with their types; of a map per CPU the values are joined by merge(Value&, const Value&).
template <typename Key, typename Value, typename Merge>
std::vector<std::pair<Key, Value>> decode_entries(const std::vector<RawEntry>& entries, Merge merge) {
  std::vector<std::pair<Key, Value>> all;
  for (const RawEntry& raw : entries) {
    std::pair<Key, Value> entry{};
    if (raw.key.size() != sizeof(Key)) continue;
    std::memcpy(&entry.first, raw.key.data(), sizeof(Key));
    constexpr std::size_t step = (sizeof(Value) + 7) / 8 * 8;
    for (std::size_t at = 0; at + sizeof(Value) <= raw.values.size(); at += step) {
      Value value;
      std::memcpy(&value, raw.values.data() + at, sizeof value);
      merge(entry.second, value);
    }
    all.push_back(entry);
  }
  return all;
}
template <typename Key, typename Value>
std::vector<std::pair<Key, Value>> decode_entries(const std::vector<RawEntry>& entries) {
  return decode_entries<Key, Value>(entries, [](Value& into, const Value& from) { into = from; });
}
// The other way round.
template <typename Key, typename Value>
RawEntry raw_entry(const Key& key, const Value& value) {
  RawEntry entry{std::vector<std::byte>(sizeof key), std::vector<std::byte>(sizeof value)};
  std::memcpy(entry.key.data(), &key, sizeof key);
  std::memcpy(entry.values.data(), &value, sizeof value);
  return entry;
}

// One report of an interval tool: gives the maps' entries, live or replayed, and takes the rows.
class Report {
 public:
  // The entries of a swapped map (bpf/lib/swap.bpf.h); values of several CPUs are joined by merge(Value&, const
  // Value&).
  template <typename Key, typename Value, typename Merge>
  std::vector<std::pair<Key, Value>> entries(const char* map, Merge merge) {
    return decode_entries<Key, Value>(take_swapped(map), merge);
  }
  template <typename Key, typename Value>
  std::vector<std::pair<Key, Value>> entries(const char* map) {
    return decode_entries<Key, Value>(take_swapped(map));
  }
  // What was added to an array of counters that only grow; `Counter` is their type.
  template <typename Value, typename Counter>
  std::vector<std::pair<std::uint32_t, Value>> added(const char* map) {
    return decode_entries<std::uint32_t, Value>(take_added(map, sizeof(Counter)));
  }

  // What only the traced machine knows, found out by `find`, kept in a capture and read back from it.
  std::vector<RawEntry> found_out(const char* name, const std::function<std::vector<RawEntry>()>& find);

  void table(const Columns& columns);
  template <typename Row>
  void row(const Table<Row>& table, const Row& row) {
    show_row(table, &row);
  }
  void histogram(const Histogram& histogram);
  // One that a program kept.
  void histogram(const std::string& name, const std::string& unit, Histogram::Key key, const kit_histogram& kept,
                 const std::optional<EqualBuckets>& equal = {});
  // A line of counts about the report itself: how many stacks came out how.
  void tally(const Tally& tally);
  bool replaying() const;
  // Whether no other follows; not known in a replay, where it is always false.
  bool last() const { return last_; }

 private:
  friend class Session;
  Report(Session::State& state, bpf_object* object) : state_(state), object_(object) {}
  std::vector<RawEntry> take_swapped(const char* map);
  std::vector<RawEntry> take_added(const char* map, std::size_t width);
  void show_row(const Columns& columns, const void* row);

  Session::State& state_;
  bpf_object* object_;
  bool last_ = false;
};

}  // namespace kit
