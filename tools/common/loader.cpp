// SPDX-License-Identifier: BSD-2-Clause
//
// libbpf reads the kernel's types whole, 130,000 of them, for CO-RE and again for each program that attaches by type.
// Both are spared it, and with that half of a tool's start: CO-RE is given a file in memory with only the types that
// the object mentions (btf_custom_path), and typed programs have a handler of ours for their sections, which looks
// their targets up. To libbpf such a program is a raw tracepoint until it is loaded, so that it does not ask for the
// types.
#include "loader.hpp"

#include <bpf/bpf.h>
#include <linux/btf.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <future>
#include <map>
#include <set>
#include <thread>
#include <vector>

#include "kernel_types.hpp"
#include "kit/fetch.h"
#include "kit/handle.hpp"
#include "kit/kernel.hpp"
#include "kit/text.hpp"
#include "threads.hpp"

namespace kit {
namespace {

// How libbpf opens and loads this process's objects.
struct Loading {
  std::string types_path;            // for CO-RE; empty: libbpf is to look for itself
  Fd cut;                            // the file in memory, unless --btf names one
  std::set<std::string> core_types;  // what is to be in it
  std::set<const bpf_map*> asked;    // by ask_for_room()
};

Loading& loading() {
  static Loading one;
  return one;
}

bool kernel_has_types() { return access("/sys/kernel/btf/vmlinux", R_OK) == 0; }

// Puts NAME_first into each map of maps (bpf/lib/swap.bpf.h). It is there at once, but the kernel lets such a call
// return only when no program may use what was there before, some 10 ms later, and that was nothing: nobody waits for
// it.
class FirstMaps {
 public:
  explicit FirstMaps(bpf_object* object) : object_(object) {}
  // When the maps are there; a second time it does nothing.
  void begin() {
    if (std::exchange(begun_, true)) return;
    NoSignals none;
    bpf_map* map;
    bpf_object__for_each_map(map, object_) {
      int slot = bpf_map__fd(map);
      bpf_map* first = bpf_object__find_map_by_name(object_, cat(bpf_map__name(map), "_first").c_str());
      if (bpf_map__type(map) != BPF_MAP_TYPE_ARRAY_OF_MAPS || slot < 0 || !first) continue;
      slots_.emplace_back(slot, calls().size());
      calls().push_back(std::async(thread_if_any, [slot, fd = bpf_map__fd(first)] {
        int zero = 0;
        return bpf_map_update_elem(slot, &zero, &fd, BPF_ANY);
      }));
    }
  }
  // When all are there: 0, or what the kernel refused one with.
  int end() {
    int error = 0;
    for (auto [slot, call] : slots_) error = std::min(error, see(slot, calls()[call]));
    return error;
  }

 private:
  static int see(int slot, std::future<int>& call) {
    std::uint32_t zero = 0, id = 0;
    while (bpf_map_lookup_elem(slot, &zero, &id) != 0) {
      if (call.wait_for(std::chrono::seconds(0)) != std::future_status::timeout) return call.get();
      std::this_thread::yield();
    }
    return 0;
  }
  // They end by themselves, at the latest when we do.
  static std::vector<std::future<int>>& calls() {
    static std::vector<std::future<int>> all;
    return all;
  }

  bpf_object* object_;
  bool begun_ = false;
  std::vector<std::pair<int, std::size_t>> slots_;  // with the call of each
};
// Of the object that is being loaded.
FirstMaps* first_maps = nullptr;

void begin_first_maps() {
  if (first_maps) first_maps->begin();
}

// Whether the kernel's interface has this, of what is asked for: one search through its types tells of all.
bool interface_has(const std::string& name) {
  static const std::string types = KernelTypes::get().cut({"bpf_func_id", "bpf_link_info"});
  return types.find('\0' + name + '\0') != types.npos;
}

// Before 5.13 (69c087ba6225) the kernel refuses the address of a function wherever it stands, in code that is not
// reached there, too. It is a number then.
void suit_function_addresses(bpf_program* program) {
  auto* instructions = const_cast<bpf_insn*>(bpf_program__insns(program));
  for (std::size_t i = 0; i < bpf_program__insn_cnt(program); i++) {
    bpf_insn& one = instructions[i];
    if (one.code == (BPF_LD | BPF_IMM | BPF_DW) && one.src_reg == BPF_PSEUDO_FUNC &&
        !interface_has("BPF_FUNC_for_each_map_elem"))
      one.src_reg = 0;
  }
}

// Called by libbpf when it is about to load a program whose section says all.
int prepare_plain(bpf_program* program, bpf_prog_load_opts*, long) {
  begin_first_maps();
  suit_function_addresses(program);
  return 0;
}

struct PlainSection {
  const char* name;
  bpf_prog_type type;
};
constexpr PlainSection plain_sections[] = {
    {"perf_event", BPF_PROG_TYPE_PERF_EVENT},
    {"tp+", BPF_PROG_TYPE_TRACEPOINT},
    {"raw_tp+", BPF_PROG_TYPE_RAW_TRACEPOINT},
};

struct TypedSection {
  const char* name;
  bpf_attach_type attach_type;
  const char* prefix;  // of the target's name among the types
  std::uint32_t kind;
};
constexpr TypedSection typed_sections[] = {
    {"tp_btf+", BPF_TRACE_RAW_TP, "btf_trace_", BTF_KIND_TYPEDEF},
    {"fentry+", BPF_TRACE_FENTRY, "", BTF_KIND_FUNC},
    {"fexit+", BPF_TRACE_FEXIT, "", BTF_KIND_FUNC},
};

// Called by libbpf when it is about to load a program of typed_sections[which].
int prepare_typed(bpf_program* program, bpf_prog_load_opts* options, long which) {
  begin_first_maps();
  suit_function_addresses(program);
  const TypedSection& section = typed_sections[which];
  Hook hook = parse_hook(bpf_program__section_name(program));
  std::uint32_t id = KernelTypes::get().find(section.prefix + hook.target, section.kind);
  if (!id) return -ESRCH;
  options->attach_btf_id = id;
  options->expected_attach_type = section.attach_type;
  return bpf_program__set_type(program, BPF_PROG_TYPE_TRACING);
}

// The programs of bpf/lib/hit.bpf.h and of what is loaded for each of its places.
struct HitSection {
  const char* name;
  bpf_prog_type type;
  int attach_type;
};
constexpr int trace_uprobe_multi = 48;    // BPF_TRACE_UPROBE_MULTI, 6.6
constexpr int trace_kprobe_session = 56;  // BPF_TRACE_KPROBE_SESSION, 6.10
constexpr HitSection hit_sections[] = {
    {"hit/probe", BPF_PROG_TYPE_KPROBE, 0},
    {"hit/kprobe_multi", BPF_PROG_TYPE_KPROBE, BPF_TRACE_KPROBE_MULTI},
    {"hit/kprobe_session", BPF_PROG_TYPE_KPROBE, trace_kprobe_session},
    {"hit/uprobe_multi", BPF_PROG_TYPE_KPROBE, trace_uprobe_multi},
    {"hit/tracepoint", BPF_PROG_TYPE_TRACEPOINT, 0},
    {"hit/perf_event", BPF_PROG_TYPE_PERF_EVENT, 0},
    {"hit/raw", BPF_PROG_TYPE_RAW_TRACEPOINT, 0},
    {"hit/fentry", BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY},
    {"hit/fexit", BPF_PROG_TYPE_TRACING, BPF_TRACE_FEXIT},
    {"hit/fmod_ret", BPF_PROG_TYPE_TRACING, BPF_MODIFY_RETURN},
    {"hit/lsm", BPF_PROG_TYPE_LSM, BPF_LSM_MAC},
    {"hit/override", BPF_PROG_TYPE_KPROBE, 0},
};

// What it takes to load a program again: its instructions as libbpf made them for this kernel, and what it says of
// their functions, which the verifier asks for. The object stays open, and so do the descriptors in them.
struct ProgramImage {
  bpf_prog_type type{};
  std::vector<bpf_insn> instructions;
  std::string functions;
  bpf_prog_load_opts options{};
  ProgramCopy first;
};

std::map<const bpf_program*, ProgramImage>& images() {
  static std::map<const bpf_program*, ProgramImage> all;
  return all;
}

// Puts the cookie where the program asks for its own: a 64-bit constant is two instructions.
void put_cookie(bpf_insn* instructions, std::size_t count, std::uint64_t cookie) {
  constexpr std::uint64_t marker = FETCH_COOKIE;
  for (std::size_t i = 0; cookie != marker && i + 1 < count; i++) {
    bpf_insn &low = instructions[i], &high = instructions[i + 1];
    if (low.code != (BPF_LD | BPF_IMM | BPF_DW) || low.src_reg != 0) continue;
    if (static_cast<__u32>(low.imm) != static_cast<__u32>(marker)) continue;
    if (static_cast<__u32>(high.imm) != marker >> 32) continue;
    low.imm = static_cast<__s32>(cookie);
    high.imm = static_cast<__s32>(cookie >> 32);
  }
}

void put_session_call(bpf_insn* instructions, std::size_t count) {
  for (std::size_t i = 0; i < count; i++) {
    bpf_insn& call = instructions[i];
    if (call.code != (BPF_JMP | BPF_CALL) || (call.imm != SESSION_IS_RETURN && call.imm != SESSION_COOKIE)) continue;
    const char* name = call.imm == SESSION_COOKIE ? "bpf_session_cookie" : "bpf_session_is_return";
    call.src_reg = BPF_PSEUDO_KFUNC_CALL;
    call.imm = static_cast<__s32>(KernelTypes::get().find(name, BTF_KIND_FUNC));
  }
}

// Called by libbpf when it is about to load one of them.
int prepare_hit(bpf_program* program, bpf_prog_load_opts* options, long which) {
  begin_first_maps();
  const HitSection& section = hit_sections[which];
  ProgramImage& image = images()[program];
  auto* instructions = const_cast<bpf_insn*>(bpf_program__insns(program));
  std::size_t count = bpf_program__insn_cnt(program);
  options->expected_attach_type = static_cast<bpf_attach_type>(section.attach_type);
  if (section.attach_type == trace_kprobe_session) put_session_call(instructions, count);
  image.type = section.type;
  image.instructions.assign(instructions, instructions + count);
  image.functions.assign(static_cast<const char*>(options->func_info),
                         options->func_info ? std::size_t{options->func_info_cnt} * options->func_info_rec_size : 0);
  image.options = *options;
  image.options.func_info = image.functions.data();
  image.options.line_info = nullptr;
  image.options.line_info_cnt = image.options.line_info_rec_size = 0;
  image.options.log_buf = nullptr;
  image.options.log_size = image.options.log_level = 0;
  options->attach_btf_id = image.first.type_id;
  put_cookie(instructions, count, image.first.cookie);
  return bpf_program__set_type(program, section.type);
}

void take_hit_sections() {
  for (long which = 0; which < std::ssize(hit_sections); which++) {
    LIBBPF_OPTS(libbpf_prog_handler_opts, handler);
    handler.cookie = which;
    handler.prog_prepare_load_fn = prepare_hit;
    libbpf_register_prog_handler(hit_sections[which].name, BPF_PROG_TYPE_KPROBE, bpf_attach_type{}, &handler);
  }
}

void take_plain_sections() {
  for (const PlainSection& section : plain_sections) {
    LIBBPF_OPTS(libbpf_prog_handler_opts, handler);
    handler.prog_prepare_load_fn = prepare_plain;
    libbpf_register_prog_handler(section.name, section.type, bpf_attach_type{}, &handler);
  }
}

void take_sections() {
  static bool taken = false;
  if (std::exchange(taken, true)) return;
  for (long which = 0; which < std::ssize(typed_sections); which++) {
    LIBBPF_OPTS(libbpf_prog_handler_opts, handler);
    handler.cookie = which;
    handler.prog_prepare_load_fn = prepare_typed;
    const TypedSection& section = typed_sections[which];
    libbpf_register_prog_handler(section.name, BPF_PROG_TYPE_RAW_TRACEPOINT, section.attach_type, &handler);
  }
  take_hit_sections();
  take_plain_sections();
}

void write_core_types() {
  Loading& l = loading();
  if (!l.cut) return;
  std::string types = KernelTypes::get().cut(l.core_types);
  if (ftruncate(l.cut.get(), 0) != 0 || pwrite(l.cut.get(), types.data(), types.size(), 0) != ssize_t(types.size()))
    throw Failure(Exit::failed, cat("cannot keep the kernel's types in memory: ", error_text(errno)));
}

// Bytes of values of one map; of one for which room was asked for.
constexpr std::size_t most_preallocated = 16 << 20, most_asked = 64 << 20;

void preallocate(bpf_map* map) {
  if (!map || bpf_map__type(map) != BPF_MAP_TYPE_HASH || !(bpf_map__map_flags(map) & BPF_F_NO_PREALLOC)) return;
  bpf_map__set_map_flags(map, bpf_map__map_flags(map) & ~BPF_F_NO_PREALLOC);
  std::size_t bytes = loading().asked.contains(map) ? most_asked : most_preallocated;
  std::size_t most = std::max<std::size_t>(bytes / bpf_map__value_size(map), 1);
  if (bpf_map__max_entries(map) > most) bpf_map__set_max_entries(map, static_cast<__u32>(most));
}

// Before 6.1, where there is no struct bpf_mem_alloc, a hash map that grows allocates wherever the program happens to
// run, which may be inside the allocator; the kernel warns of it in its log. There all entries are made beforehand.
void suit_maps(bpf_object* object) {
  bpf_map* map;
  if (KernelTypes::get().find("bpf_mem_alloc", BTF_KIND_STRUCT)) return;
  bpf_object__for_each_map(map, object) {
    preallocate(map);
    preallocate(bpf_map__inner_map(map));
  }
}

}  // namespace

void use_types_of(const std::string& file) {
  Loading& l = loading();
  l.types_path = file;
  l.cut.reset();
  const char* folder = std::getenv("COREKIT_BTF_DIR");
  if (std::string path = cat(folder ? folder : "", "/", kernel_release(), ".btf");
      file.empty() && folder && !kernel_has_types() && access(path.c_str(), R_OK) == 0)
    l.types_path = path;
  if (!l.types_path.empty()) KernelTypes::use(l.types_path);
}

std::string kernel_types_file() {
  return loading().types_path.empty() ? "/sys/kernel/btf/vmlinux" : loading().types_path;
}

void require_types() {
  if (!loading().types_path.empty() || kernel_has_types()) return;
  throw Failure(
      Exit::unsupported,
      cat("this kernel offers no BTF (CONFIG_DEBUG_INFO_BTF): name a file of its types by --btf, or have one at "
          "$COREKIT_BTF_DIR/",
          kernel_release(), ".btf"));
}

const bpf_object_open_opts* open_options() {
  static bpf_object_open_opts options{};
  Loading& l = loading();
  take_sections();
  if (l.types_path.empty() && kernel_has_types()) {
    l.cut = Fd(memfd_create("types", MFD_CLOEXEC));
    std::string path = cat("/proc/self/fd/", l.cut.get());
    if (access(path.c_str(), R_OK) == 0)
      l.types_path = path;
    else
      l.cut.reset();  // without /proc, libbpf reads them all
  }
  options.sz = sizeof options;
  options.btf_custom_path = l.types_path.empty() ? nullptr : l.types_path.c_str();
  return &options;
}

void want_types_of(std::string_view object) {
  if (loading().cut) loading().core_types.merge(core_types(object));
}

void ask_for_room(bpf_map* map, std::uint32_t entries) {
  bpf_map__set_max_entries(map, entries);
  loading().asked.insert(map);
}

bool locks_memory() {
  rlimit limit{};
  return getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
         KernelTypes::get().find("bpf_map_memory", BTF_KIND_STRUCT);
}

bool counts_skips_of_events() { return interface_has("missed"); }

int load_object(bpf_object* object, bpf_object_skeleton* skeleton) {
  write_core_types();
  suit_maps(object);
  FirstMaps maps(object);
  first_maps = &maps;
  int error = bpf_object__load_skeleton(skeleton);
  if (!error) maps.begin();
  first_maps = nullptr;
  if (int refused = maps.end(); !error) error = refused;
  counts_skips_of_events();
  KernelTypes::forget();
  return error;
}

void set_first_copy(const bpf_program* program, const ProgramCopy& copy) { images()[program].first = copy; }

int load_copy(const bpf_program* program, const ProgramCopy& copy) {
  ProgramImage& image = images()[program];
  bpf_prog_load_opts options = image.options;
  options.attach_btf_id = copy.type_id;
  std::vector<bpf_insn> instructions = image.instructions;
  put_cookie(instructions.data(), instructions.size(), copy.cookie);
  int fd = bpf_prog_load(image.type, bpf_program__name(program), "Dual BSD/GPL", instructions.data(),
                         instructions.size(), &options);
  return fd >= 0 ? fd : (errno = -fd, -1);
}

}  // namespace kit
