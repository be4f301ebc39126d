// SPDX-License-Identifier: BSD-2-Clause
#include "kit/maps.hpp"

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <string_view>

#include "kit/kernel.hpp"
#include "kit/text.hpp"
#include "loader.hpp"

namespace kit {
namespace {

// Calls each(section, variable's name, offset, size) for every global variable; it returns true to stop.
template <typename Each>
void each_global(bpf_object* object, Each each) {
  btf* types = bpf_object__btf(object);
  if (!types) return;
  for (__u32 id = 1; id < btf__type_cnt(types); id++) {
    const btf_type* type = btf__type_by_id(types, id);
    if (!btf_is_datasec(type)) continue;
    const char* section = btf__name_by_offset(types, type->name_off);
    const btf_var_secinfo* variable = btf_var_secinfos(type);
    for (int i = 0; i < btf_vlen(type); i++, variable++) {
      const btf_type* of = btf__type_by_id(types, variable->type);
      if (each(section, btf__name_by_offset(types, of->name_off), variable->offset, variable->size)) return;
    }
  }
}

bpf_map* section_map(bpf_object* object, std::string_view section) {
  bpf_map* map;
  bpf_object__for_each_map(map, object) {
    std::string_view name = bpf_map__name(map);
    // libbpf calls ".bss" and the like "OBJECT.bss", and every other section by its own name.
    if (name == section || (name.ends_with(section) && section.find('.', 1) == section.npos)) return map;
  }
  return nullptr;
}

std::byte* section_data(bpf_object* object, const char* section) {
  bpf_map* map = section_map(object, section);
  std::size_t size = 0;
  return map ? static_cast<std::byte*>(const_cast<void*>(bpf_map__initial_value(map, &size))) : nullptr;
}

class Fnv {
 public:
  void add(std::uint64_t number) {
    for (int i = 0; i < 8; i++) byte(static_cast<unsigned char>(number >> (8 * i)));
  }
  void add(std::string_view text) {
    for (char c : text) byte(static_cast<unsigned char>(c));
    byte(0);
  }
  std::uint64_t value() const { return hash_; }

 private:
  void byte(unsigned char byte) { hash_ = (hash_ ^ byte) * 0x100000001b3; }
  std::uint64_t hash_ = 0xcbf29ce484222325;
};

void add_layout(const btf* types, const btf_type* type, Fnv& hash) {
  hash.add(btf__name_by_offset(types, type->name_off));
  hash.add(type->size);
  const btf_member* member = btf_members(type);
  for (int i = 0; i < btf_vlen(type); i++, member++) {
    hash.add(btf__name_by_offset(types, member->name_off));
    hash.add(member->offset);
    hash.add(static_cast<std::uint64_t>(btf__resolve_size(types, member->type)));
  }
}

}  // namespace

void* find_global(bpf_object* object, const char* name, std::size_t size) {
  std::byte* place = nullptr;
  each_global(object, [&](const char* section, const char* variable, __u32 offset, __u32 has) {
    if (std::string_view(variable) != name || has != size) return false;
    if (std::byte* data = section_data(object, section)) place = data + offset;
    return true;
  });
  return place;
}

void read_losses(bpf_object* object, Losses& lost) {
  each_global(object, [&](const char* section, const char* variable, __u32 offset, __u32) {
    std::string_view given = variable;
    if (std::string_view(section) != ".data.lost" || !given.starts_with("lost_")) return false;
    given.remove_prefix(5);
    std::size_t mark = given.find("__");
    std::string name =
        mark == given.npos ? std::string(given) : cat(given.substr(0, mark), '.', given.substr(mark + 2));
    std::byte* data = section_data(object, section);
    std::uint64_t count = data ? *reinterpret_cast<volatile std::uint64_t*>(data + offset) : 0;
    lost[name] = lost[name].value_or(0) + count;
    return false;
  });
}

Count operator+(Count one, Count other) {
  if (!one || !other) return std::nullopt;
  return *one + *other;
}

Count skipped_runs(int program) {
  bpf_prog_info info{};
  __u32 size = sizeof info;
  if (bpf_obj_get_info_by_fd(program, &info, &size) != 0) return std::nullopt;
  if (size < offsetof(bpf_prog_info, recursion_misses) + sizeof info.recursion_misses) return std::nullopt;
  bool of_event = info.type == BPF_PROG_TYPE_KPROBE || info.type == BPF_PROG_TYPE_TRACEPOINT;
  if (info.type == BPF_PROG_TYPE_PERF_EVENT || (of_event && !counts_skips_of_events())) return std::nullopt;
  return info.recursion_misses;
}

Count skipped_runs(bpf_object* object) {
  Count sum = 0;
  bpf_program* program;
  bpf_object__for_each_program(program, object) {
    if (int fd = bpf_program__fd(program); fd >= 0) sum = sum + skipped_runs(fd);
  }
  return sum;
}

std::uint64_t missed_hits(int link) {
  // The part of struct bpf_link_info that tells of these, which libbpf 1.1's headers lack.
  struct {
    std::uint32_t type, id, program, hole;
    union {
      struct {
        std::uint64_t addresses;
        std::uint32_t count, flags;
        std::uint64_t missed;
      } many;
      struct {
        std::uint32_t kind, hole;
        std::uint64_t name;
        std::uint32_t name_size, offset;
        std::uint64_t address, missed;
      } event;
      char rest[128];
    };
  } info{};
  constexpr std::uint32_t link_event = 7, link_many = 8, kprobe = 3, kretprobe = 4;  // BPF_LINK_TYPE_, BPF_PERF_EVENT_
  __u32 size = sizeof info;
  if (bpf_obj_get_info_by_fd(link, &info, &size) != 0) return 0;
  if (info.type == link_many) return info.many.missed;
  bool function = info.event.kind == kprobe || info.event.kind == kretprobe;
  return info.type == link_event && function ? info.event.missed : 0;
}

void leave_out(bool unused, std::initializer_list<bpf_map*> maps) {
  for (bpf_map* map : maps)
    if (unused && map) bpf_map__set_autocreate(map, false);
}

void fill_stores(bpf_object* object) {
  constexpr std::uint32_t large = 256;  // bytes, from which a store begins with one entry (prefill_mem_cache())
  cpu_set_t before, one;
  if (sched_getaffinity(0, sizeof before, &before) != 0) return;
  std::vector<bpf_map*> growing;
  bpf_map* map;
  bpf_object__for_each_map(map, object) {
    if (bpf_map__type(map) == BPF_MAP_TYPE_HASH && bpf_map__autocreate(map) &&
        (bpf_map__map_flags(map) & BPF_F_NO_PREALLOC) && bpf_map__key_size(map) + bpf_map__value_size(map) > large)
      growing.push_back(map);
  }
  for (int cpu : online_cpus()) {
    if (growing.empty() || cpu >= CPU_SETSIZE) break;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    if (sched_setaffinity(0, sizeof one, &one) != 0) continue;
    for (bpf_map* each : growing) {
      std::vector<std::byte> key(bpf_map__key_size(each)), value(bpf_map__value_size(each));
      if (bpf_map_update_elem(bpf_map__fd(each), key.data(), value.data(), BPF_ANY) == 0)
        bpf_map_delete_elem(bpf_map__fd(each), key.data());
    }
  }
  sched_setaffinity(0, sizeof before, &before);
}

std::uint64_t layout_hash(bpf_object* object, const std::string& prefix) {
  // By name: in which order a compiler tells of types is its own affair.
  std::map<std::string_view, const btf_type*> records;
  const btf* types = bpf_object__btf(object);
  for (__u32 id = 1; types && id < btf__type_cnt(types); id++) {
    const btf_type* type = btf__type_by_id(types, id);
    if (!btf_is_struct(type)) continue;
    std::string_view name = btf__name_by_offset(types, type->name_off);
    if (name.starts_with(prefix) || name == "kit_head") records[name] = type;
  }
  Fnv hash;
  for (const auto& [name, type] : records) add_layout(types, type, hash);
  return hash.value();
}

SwappedPair::SwappedPair(bpf_object* object, const std::string& name)
    : slot_(bpf_object__find_map_by_name(object, name.c_str())),
      maps_{bpf_object__find_map_by_name(object, (name + "_first").c_str()),
            bpf_object__find_map_by_name(object, (name + "_second").c_str())} {
  if (!slot_ || !maps_[0] || !maps_[1]) throw Failure(Exit::failed, cat("the built-in BPF program has no map ", name));
}

int SwappedPair::swap() {
  int full = active_, slot = 0;
  active_ ^= 1;
  int empty = bpf_map__fd(maps_[active_]);
  // Returns when no program uses the full one any more.
  if (bpf_map_update_elem(bpf_map__fd(slot_), &slot, &empty, BPF_ANY) != 0)
    throw Failure(Exit::failed, cat("cannot swap a map: ", error_text(errno)));
  return full;
}

namespace {

constexpr std::size_t owner_size = sizeof(std::uint64_t);

bool all_zero(const std::byte* bytes, std::size_t size) {
  return std::all_of(bytes, bytes + size, [](std::byte byte) { return byte == std::byte{0}; });
}

}  // namespace

SwappedPlaces::SwappedPlaces(bpf_object* object, const std::string& name)
    : pair_(object, name),
      step_((bpf_map__value_size(pair_.map(0)) + 7) / 8 * 8),
      value_(bpf_map__value_size(pair_.map(0)) - owner_size),
      count_(bpf_map__max_entries(pair_.map(0))) {
  auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  for (int map : {0, 1})
    mapped_[map] = Mapping(bpf_map__fd(pair_.map(map)), 0, (step_ * count_ + page - 1) / page * page, true);
}

std::byte* SwappedPlaces::place(int map, std::size_t index) const {
  return reinterpret_cast<std::byte*>(mapped_[map].get()) + index * step_;
}

void SwappedPlaces::take(std::vector<RawEntry>& into) {
  int full = pair_.swap();
  for (std::size_t index = 0; index < count_; index++) {
    std::byte *here = place(full, index), *value = here + owner_size;
    if (all_zero(here, owner_size)) continue;
    // For the programs, too, who owns it: a place has one owner for ever.
    std::memcpy(place(full ^ 1, index), here, owner_size);
    if (all_zero(value, value_)) continue;
    into.push_back({{here, here + owner_size}, {value, value + value_}});
    std::memset(value, 0, value_);
  }
}

SwappedMap::SwappedMap(bpf_object* object, const std::string& name) : pair_(object, name) {
  std::string places = name + "_places";
  if (bpf_object__find_map_by_name(object, places.c_str())) places_.emplace(object, places);
}

std::size_t SwappedMap::value_size() const {
  std::size_t size = bpf_map__value_size(pair_.map(0));
  bool per_cpu = bpf_map__type(pair_.map(0)) == BPF_MAP_TYPE_PERCPU_HASH;
  return per_cpu ? (size + 7) / 8 * 8 * static_cast<std::size_t>(libbpf_num_possible_cpus()) : size;
}

std::vector<RawEntry> SwappedMap::take() {
  std::vector<RawEntry> entries;
  if (places_) places_->take(entries);
  bpf_map* map = pair_.map(pair_.swap());
  int full = bpf_map__fd(map);
  RawEntry entry{std::vector<std::byte>(bpf_map__key_size(map)), std::vector<std::byte>(value_size())};
  while (bpf_map_get_next_key(full, nullptr, entry.key.data()) == 0) {
    if (bpf_map_lookup_elem(full, entry.key.data(), entry.values.data()) == 0) entries.push_back(entry);
    bpf_map_delete_elem(full, entry.key.data());
  }
  return entries;
}

namespace {

// Calls change(a's counter, b's counter) for each pair of counters of this width.
template <typename Number, typename Change>
void each_counter(std::byte* a, const std::byte* b, std::size_t size, Change change) {
  for (std::size_t at = 0; at + sizeof(Number) <= size; at += sizeof(Number)) {
    Number left, right;
    std::memcpy(&left, a + at, sizeof left);
    std::memcpy(&right, b + at, sizeof right);
    left = static_cast<Number>(change(left, right));
    std::memcpy(a + at, &left, sizeof left);
  }
}

// a = a + b or a = a - b, counter by counter.
void add_counters(std::byte* a, const std::byte* b, std::size_t size, std::size_t width, bool subtract) {
  auto change = [subtract](auto left, auto right) { return subtract ? left - right : left + right; };
  if (width == 4)
    each_counter<std::uint32_t>(a, b, size, change);
  else
    each_counter<std::uint64_t>(a, b, size, change);
}

}  // namespace

GrowingArray::GrowingArray(bpf_object* object, const std::string& name, std::size_t width)
    : map_(bpf_object__find_map_by_name(object, name.c_str())), width_(width) {
  if (!map_) throw Failure(Exit::failed, cat("the built-in BPF program has no map ", name));
  value_ = (bpf_map__value_size(map_) + 7) / 8 * 8;
  cpus_ = bpf_map__type(map_) == BPF_MAP_TYPE_PERCPU_ARRAY ? static_cast<std::size_t>(libbpf_num_possible_cpus()) : 1;
  seen_.resize(bpf_map__max_entries(map_));
}

void GrowingArray::sum(const std::vector<std::byte>& values, std::vector<std::byte>& into) const {
  into.assign(value_, std::byte{0});
  for (std::size_t cpu = 0; cpu < cpus_; cpu++)
    add_counters(into.data(), values.data() + cpu * value_, value_, width_, false);
}

std::vector<RawEntry> GrowingArray::take() {
  std::vector<RawEntry> entries;
  std::vector<std::byte> values(value_ * cpus_), now, none(value_);
  for (std::uint32_t index = 0; index < seen_.size(); index++) {
    if (bpf_map_lookup_elem(bpf_map__fd(map_), &index, values.data()) != 0) continue;
    sum(values, now);
    std::vector<std::byte>& before = seen_[index];
    if (now == (before.empty() ? none : before)) continue;
    RawEntry entry{std::vector<std::byte>(sizeof index), now};
    std::memcpy(entry.key.data(), &index, sizeof index);
    if (!before.empty()) add_counters(entry.values.data(), before.data(), value_, width_, true);
    before = now;
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace kit
