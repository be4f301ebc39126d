// SPDX-License-Identifier: BSD-2-Clause
// Stacks in a frontend: the other side of bpf/lib/stacks.bpf.h. Which are asked for, what they hold, and the names of
// their frames.
//
// A frontend declares Stacks with its options, prepares it before the session loads and lets it follow the session
// after that. In each report it says which stacks its rows have (resolve) and then gives each row's cell (of). A stream
// asks for each row's (find) before it shows it.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "kit/session.hpp"
#include "kit/stacks.h"
#include "kit/stream.hpp"
#include "kit/unwind.hpp"
#include "symbols.hpp"

namespace kit {

class CodeMappings;

class Stacks {
 public:
  // One row's: of the process whose user stack it is.
  struct Wanted {
    std::uint32_t pid;
    kit_stacks stacks;
  };

  // What -K and -U mean: only the kernel's, or only user stacks; both, one after the other beneath each row; or there
  // are no such letters.
  enum class Letters { only, beneath, none };

  explicit Stacks(Options& options, Letters letters = Letters::only);
  ~Stacks();
  // Whether -K and -U were given.
  bool kernel_beneath() const { return letters_ == Letters::beneath && only_kernel_; }
  bool user_beneath() const { return letters_ == Letters::beneath && only_user_; }
  // Which are taken, where that is not the letters' to say; before prepare().
  void ask(bool kernel, bool user);
  // Sets the knobs, before load. Where no stacks are asked for nothing is left of them.
  void prepare(bpf_object* object);
  // Reads the mappings of processes when they are first seen, after load; with `cgroups`, and where the run is
  // recorded, also which cgroup they are in, as the session's name of that kind.
  void follow(Session& session, bpf_object* object, bool cgroups);

  // Reads the stacks that are new and finds the names of these.
  void resolve(Report& report, const std::vector<Wanted>& wanted);
  // Leaf first, the kernel's frames before the user's. Valid until the next resolve().
  const Stack& of(std::uint32_t pid, const kit_stacks& stacks);
  // Makes one of the rows that only stacks tell apart which look the same; after resolve(). What such stacks differ in
  // is shown nowhere: on its way to our program an event passes one function more while others trace it too, and beyond
  // a thread's first function is no frame. `keys(row)` ties what the row is counted by, each with `stacks` and the
  // `pid` they are of; `add(row, other)` adds another's counts.
  template <typename Row, typename Keys, typename Add>
  void unite(std::vector<Row>& rows, const Keys& keys, const Add& add) {
    std::map<std::string, std::size_t> places;
    std::vector<Row> united;
    for (Row& row : rows) {
      std::string whose = std::apply([this](auto&... key) { return (alike_bytes(key) + ...); }, keys(row));
      auto [place, fresh] = places.try_emplace(std::move(whose), united.size());
      if (fresh)
        united.push_back(row);
      else
        add(united[place->second], row);
    }
    rows = std::move(united);
  }
  // Reads these and their names, if they are not known, for of(); what was given before is no longer valid.
  void find(Session& session, const Wanted& wanted);
  // How those that were resolved came out.
  void tally(Report& report) const;

 private:
  struct Address {
    std::uint64_t address;
    std::uint32_t pid;  // KIT_NO_PID: the kernel's
    std::uint32_t zero = 0;
    auto operator<=>(const Address&) const = default;
  };
  struct Id {
    std::uint64_t low, high;
    auto operator<=>(const Id&) const = default;
  };
  // A process of another PID namespace has no number here, and is none that could be asked for names.
  static std::uint32_t user(std::uint32_t pid) { return pid == KIT_NO_PID ? KIT_NO_PID - 1 : pid; }
  static Id id_of(const kit_stack_id& id) { return {id.low, id.high}; }

  // Of the stacks of a process that look the same, those that were asked for first.
  kit_stacks alike(std::uint32_t pid, const kit_stacks& stacks);
  template <typename Key>
  std::string alike_bytes(Key& key) {
    static_assert(std::has_unique_object_representations_v<Key>);
    key.stacks = alike(key.pid, key.stacks);
    return {reinterpret_cast<const char*>(&key), sizeof key};
  }
  void declare_letters(Options& options);
  void leave_all_out(bpf_object* object) const;
  void make_room(bpf_object* object) const;
  void say_room(const Session& session, bpf_object* object) const;
  void follow_mappings(Session& session, bpf_object* object);
  void read_stacks(Report& report);
  void find_one(Session& session, const kit_stack_id& id);
  std::string read_one(const kit_stack_id& id) const;
  void find_missing_names(Session& session, std::map<Address, Stack> missing);
  void forget();
  void collect(std::uint32_t pid, const kit_stack_id& id, std::map<Address, Stack>& into);
  std::vector<RawEntry> find_names(const std::map<Address, Stack>& wanted);
  void keep_names(const std::vector<RawEntry>& entries);
  void count(const Wanted& one);
  void count_walked(std::uint32_t pid, const std::vector<std::uint64_t>& frames, std::uint32_t end);
  bool reaches_beginning(std::uint32_t pid, const std::vector<std::uint64_t>& frames) const;
  void append(Stack& stack, std::uint32_t pid, const kit_stack_id& id) const;
  std::string_view text(std::string_view text);

  Letters letters_;
  bool only_kernel_ = false, only_user_ = false;
  std::optional<std::pair<bool, bool>> asked_;  // the kernel's, user stacks
  bool user_ = false;                           // user stacks are taken
  bpf_object* object_ = nullptr;
  std::uint64_t found_since_ = 0;  // ns since boot
  Number most_{.value = 0, .most = 1 << 24};
  Size memory_{.bytes = std::size_t{256} << 20};
  std::string backend_;
  bool lines_ = true;
  std::unique_ptr<blazesym::Symbolizer> symbolizer_;
  Unwinder unwinder_;
  std::optional<Ring> news_;
  std::unique_ptr<CodeMappings> mappings_;
  unsigned told_ = 0;  // of processes that mapped code, in this second
  // Without the room that they leave. Those of earlier reports, too, which a count may name: a thread sleeps through
  // several. When they are more than twice as many as one report has room for, the longest unused go.
  struct Known {
    std::vector<std::uint64_t> frames;
    std::uint32_t end = 0;   // how its walk ended, a KIT_UNWIND_ word
    std::uint64_t used = 0;  // in which report, from 1
  };
  std::map<Id, Known> known_;
  std::uint64_t report_ = 0;
  bool forgot_ = false;
  std::map<Address, Stack> names_;
  using Whole = std::map<std::pair<std::uint32_t, std::pair<Id, Id>>, Stack>;
  Whole whole_;
  std::unordered_multimap<std::uint64_t, Whole::const_pointer> looks_;  // by a hash of what is seen of them
  std::deque<std::string> texts_;
  std::unordered_set<std::string_view> known_texts_;
  std::uint64_t complete_ = 0, cut_ = 0, broken_ = 0, failed_ = 0;
  // Why stacks are broken, and in which module.
  std::map<std::pair<std::string_view, std::uint32_t>, std::uint64_t> blamed_;
};

}  // namespace kit
