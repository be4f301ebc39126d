// SPDX-License-Identifier: BSD-2-Clause
// Variables and maps of a BPF object, by name.
#pragma once

#include <cstddef>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "kit/failure.hpp"
#include "kit/handle.hpp"
#include "kit/mapping.hpp"
#include "kit/sink.hpp"

namespace kit {

// Where a global variable of the object stands: knobs before load, counters after. nullptr if there is none of that
// name and size.
void* find_global(bpf_object* object, const char* name, std::size_t size);

// Sets a read-only knob, before load. An object without the knob is a mistake in its program.
template <typename Value>
void set_knob(bpf_object* object, const char* name, const Value& value) {
  void* place = find_global(object, name, sizeof(Value));
  if (!place) throw Failure(Exit::failed, std::string("the built-in BPF program has no knob ") + name);
  std::memcpy(place, &value, sizeof(Value));
}

// Adds all counters of LOST_COUNTER to `lost`: "lost_map_full__start" under "map_full.start".
void read_losses(bpf_object* object, Losses& lost);
// How many times something happened; nothing where the kernel keeps no count of it.
using Count = std::optional<std::uint64_t>;
Count operator+(Count one, Count other);
// Runs that the kernel skipped because the program, or one like it, was already running there: of a program, by its
// descriptor, or of all of an object that are loaded. It counts those of tracing programs (recursion_misses, since
// 9ed9e9ba2337, 5.12) and of programs at kprobes and tracepoints (dd8657894c11, 6.7), not those at perf events.
Count skipped_runs(int program);
Count skipped_runs(bpf_object* object);
// Hits that a kprobe or return probe missed before any program was asked (6.7), by its link's descriptor; else 0.
std::uint64_t missed_hits(int link);

// Since 6.1 a growing hash map takes its entries from a store on each CPU, which begins with only one where entries are
// large and is refilled when interrupts are next let in: too late for the second of a moment's two stacks. One entry
// put in and taken out fills it. After load, before programs are attached.
void fill_stores(bpf_object* object);

// Leaves out maps that the programs, as their knobs are set, do not use. They take no time and no memory then.
void leave_out(bool unused, std::initializer_list<bpf_map*> maps);

// A fingerprint of the layouts of the types whose names begin with `prefix`, and of kit_head: which records a capture
// holds. FNV-1a over names, offsets, sizes and kinds, as the object's BTF has them.
std::uint64_t layout_hash(bpf_object* object, const std::string& prefix);

// An entry of a map as bytes: the key, then the value, one of them for each CPU where the map is per CPU.
struct RawEntry {
  std::vector<std::byte> key, values;
};

// One of the two maps of a slot is in use, the other is the reader's.
class SwappedPair {
 public:
  // `name` is the name of the slot; its two maps are name_first and name_second. A Failure if there is no such slot.
  SwappedPair(bpf_object* object, const std::string& name);
  // Puts the other map in the slot, and returns the index of the one that no program uses any more.
  int swap();
  bpf_map* map(int index) const { return maps_[index]; }

 private:
  bpf_map* slot_;
  bpf_map* maps_[2];
  int active_ = 0;
};

// The places of SWAPPED_PLACES, which are arrays of an owner's number and a value.
class SwappedPlaces {
 public:
  SwappedPlaces(bpf_object* object, const std::string& name);
  // What was counted in places since the last call: each owner's number, and its value.
  void take(std::vector<RawEntry>& into);

 private:
  std::byte* place(int map, std::size_t index) const;
  SwappedPair pair_;
  std::size_t step_, value_, count_;
  Mapping mapped_[2];
};

// Takes everything out of a swapped map (bpf/lib/swap.bpf.h), so that nothing counted meanwhile is lost: what is
// counted from now on belongs to the next call. With places before it a key may come twice.
class SwappedMap {
 public:
  SwappedMap(bpf_object* object, const std::string& name);
  std::vector<RawEntry> take();
  std::size_t value_size() const;

 private:
  SwappedPair pair_;
  std::optional<SwappedPlaces> places_;
};

// An array whose values are 64-bit counters that only grow, per CPU or not: gives what was added since the last call.
// Narrower counters are told by `width`, in bytes.
class GrowingArray {
 public:
  GrowingArray(bpf_object* object, const std::string& name, std::size_t width);
  // Only entries to which anything was added; one value each, the CPUs summed up.
  std::vector<RawEntry> take();

 private:
  void sum(const std::vector<std::byte>& values, std::vector<std::byte>& into) const;
  bpf_map* map_;
  std::size_t width_, value_, cpus_;
  std::vector<std::vector<std::byte>> seen_;
};

}  // namespace kit
