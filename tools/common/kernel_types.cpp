// SPDX-License-Identifier: BSD-2-Clause
#include "kernel_types.hpp"

#include <fcntl.h>
#include <gelf.h>
#include <linux/btf.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <future>
#include <memory>

#include "kit/handle.hpp"
#include "threads.hpp"

namespace kit {
namespace {

template <typename T>
T read_as(std::string_view data, std::size_t at = 0) {
  T value{};
  if (at + sizeof value <= data.size()) std::memcpy(&value, data.data() + at, sizeof value);
  return value;
}

// How many bytes follow a type's fixed part: some for its kind, and so many for each of its parts.
struct Extra {
  std::uint8_t fixed = 0, each = 0;
};
constexpr auto extras = [] {
  std::array<Extra, BTF_INFO_KIND(~0U) + 1> all{};
  all[BTF_KIND_INT] = all[BTF_KIND_VAR] = all[BTF_KIND_DECL_TAG] = {4, 0};
  all[BTF_KIND_ARRAY] = {sizeof(struct btf_array), 0};
  all[BTF_KIND_STRUCT] = all[BTF_KIND_UNION] = {0, sizeof(struct btf_member)};
  all[BTF_KIND_ENUM] = {0, sizeof(struct btf_enum)};
  all[BTF_KIND_FUNC_PROTO] = {0, sizeof(struct btf_param)};
  all[BTF_KIND_DATASEC] = {0, sizeof(struct btf_var_secinfo)};
  all[BTF_KIND_ENUM64] = {0, sizeof(struct btf_enum64)};
  return all;
}();

std::size_t record_bytes(const btf_type& type) {
  Extra extra = extras[BTF_INFO_KIND(type.info)];
  return sizeof type + extra.fixed + std::size_t{BTF_INFO_VLEN(type.info)} * extra.each;
}

// Calls `name(place)` for each reference to a string in a record, `type(id)` for each to a type that it contains; both
// may change what they are given.
template <typename Name, typename Type>
void each_reference(std::string& record, Name name, Type type) {
  auto* head = reinterpret_cast<btf_type*>(record.data());
  char* rest = record.data() + sizeof *head;
  auto count = BTF_INFO_VLEN(head->info);
  name(head->name_off);
  switch (BTF_INFO_KIND(head->info)) {
    case BTF_KIND_PTR: head->type = 0; break;
    case BTF_KIND_TYPEDEF:
    case BTF_KIND_VOLATILE:
    case BTF_KIND_CONST:
    case BTF_KIND_RESTRICT:
    case BTF_KIND_TYPE_TAG: type(head->type); break;
    case BTF_KIND_ARRAY: {
      auto* array = reinterpret_cast<struct btf_array*>(rest);
      type(array->type);
      type(array->index_type);
      break;
    }
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION:
      for (auto* member = reinterpret_cast<struct btf_member*>(rest); count--; member++)
        name(member->name_off), type(member->type);
      break;
    case BTF_KIND_ENUM:
      for (auto* value = reinterpret_cast<struct btf_enum*>(rest); count--; value++) name(value->name_off);
      break;
    case BTF_KIND_ENUM64:
      for (auto* value = reinterpret_cast<struct btf_enum64*>(rest); count--; value++) name(value->name_off);
      break;
    default: break;
  }
}

// Whether CO-RE may look for a type of this kind; behind the others (FUNC_PROTO, DATASEC...) it never goes.
bool is_data(std::uint32_t kind) {
  switch (kind) {
    case BTF_KIND_INT:
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION:
    case BTF_KIND_ENUM:
    case BTF_KIND_ENUM64:
    case BTF_KIND_TYPEDEF: return true;
    default: return false;
  }
}

// A mark of a name, made of its first 16 bytes, of which there are so many to read. Without a branch: where names end
// nobody can foresee.
std::uint16_t mark_of(const char* name) {
  constexpr std::uint64_t ones = ~std::uint64_t{} / 0xff, spread = 0x9e3779b97f4a7c15;  // 2^64 over the golden ratio
  std::uint64_t words[2], ends[2];
  std::memcpy(words, name, sizeof words);
  for (int i = 0; i < 2; i++) {
    // The lowest bit is that of the first NUL, as strlen() finds it; what is behind does not count.
    ends[i] = (words[i] - ones) & ~words[i] & ones << 7;
    words[i] &= (ends[i] & -ends[i]) - 1;
  }
  words[1] &= ends[0] ? 0 : ~std::uint64_t{};
  return static_cast<std::uint16_t>((words[0] * spread ^ words[1]) * spread >> 48);
}

// One that ends in a NUL within the size.
std::uint16_t mark_of(std::string_view name) {
  if (name.size() >= 16) return mark_of(name.data());
  char copy[16] = {};
  std::copy(name.begin(), name.end(), copy);
  return mark_of(copy);
}

// BTF data that grows by types taken out of another.
class Cutting {
 public:
  explicit Cutting(std::string_view strings) : old_strings_(strings) {}

  // The new id of an old one; those not seen before wait to be added.
  std::uint32_t id(std::uint32_t old) {
    if (old == 0) return 0;
    auto [found, is_new] = ids_.try_emplace(old, static_cast<std::uint32_t>(ids_.size() + 1));
    if (is_new) waiting_.push_back(old);
    return found->second;
  }

  template <typename Record>
  std::string finish(Record record) {
    for (; !waiting_.empty(); waiting_.pop_front()) {
      std::string one(record(waiting_.front()));
      each_reference(
          one, [&](std::uint32_t& name) { name = string(name); }, [&](std::uint32_t& type) { type = id(type); });
      types_ += one;
    }
    btf_header header{};
    header.magic = BTF_MAGIC;
    header.version = BTF_VERSION;
    header.hdr_len = sizeof header;
    header.type_len = header.str_off = static_cast<std::uint32_t>(types_.size());
    header.str_len = static_cast<std::uint32_t>(strings_.size());
    return std::string(reinterpret_cast<const char*>(&header), sizeof header) + types_ + strings_;
  }

 private:
  std::uint32_t string(std::uint32_t old) {
    auto [found, is_new] = names_.try_emplace(old, static_cast<std::uint32_t>(strings_.size()));
    if (is_new && old < old_strings_.size()) strings_.append(old_strings_.data() + old).push_back('\0');
    return found->second;
  }

  std::string_view old_strings_;
  std::string types_, strings_ = std::string(1, '\0');
  std::map<std::uint32_t, std::uint32_t> ids_, names_ = {{0, 0}};
  std::deque<std::uint32_t> waiting_;
};

}  // namespace

Types::Types(std::string_view data) {
  auto header = read_as<btf_header>(data);
  if (data.size() < sizeof header || header.magic != BTF_MAGIC || header.hdr_len > data.size()) return;
  data.remove_prefix(header.hdr_len);
  auto inside = [&](std::uint64_t at, std::uint64_t size) { return at + size <= data.size(); };
  if (!inside(header.type_off, header.type_len) || !inside(header.str_off, header.str_len)) return;
  types_ = data.substr(header.type_off, header.type_len);
  strings_ = data.substr(header.str_off, header.str_len);
  if (strings_.empty() || strings_.back() != '\0') types_ = {};
}

std::string_view Types::record(std::size_t at) const {
  std::size_t size = record_bytes(read_as<btf_type>(types_, at));
  return at + size <= types_.size() ? types_.substr(at, size) : std::string_view();
}

std::string_view Types::string(std::uint32_t place) const {
  return place < strings_.size() ? std::string_view(strings_.data() + place) : std::string_view();
}

const std::vector<std::uint32_t>& Types::places() const {
  if (places_.empty()) index();
  return places_;
}

void Types::index() const {
  std::vector<std::uint32_t> places;
  std::vector<std::uint16_t> marks;
  places.reserve(types_.size() / 16);
  marks.reserve(types_.size() / 16);
  for (std::size_t at = 0, next; at + sizeof(btf_type) <= types_.size(); at = next) {
    btf_type type;
    std::memcpy(&type, types_.data() + at, sizeof type);
    next = at + record_bytes(type);
    if (next > types_.size()) break;
    places.push_back(static_cast<std::uint32_t>(at));
    bool known = type.name_off + std::size_t{16} <= strings_.size();
    marks.push_back(known ? mark_of(strings_.data() + type.name_off) : mark_of(string(type.name_off)));
  }
  places_ = std::move(places);
  marks_ = std::move(marks);
}

template <typename Kind, typename Found>
void Types::search(const std::set<std::string>& names, Kind is_kind, Found found) const {
  std::vector<bool> wanted(1 << 16);
  for (const std::string& name : names) wanted[mark_of(std::string_view(name))] = !name.empty();
  for (std::uint32_t id = 1; id <= places().size(); id++) {
    if (!wanted[marks_[id - 1]]) continue;
    auto type = read_as<btf_type>(types_, places()[id - 1]);
    if (is_kind(BTF_INFO_KIND(type.info)) && names.contains(std::string(string(type.name_off))) && found(id)) return;
  }
}

std::uint32_t Types::find(std::string_view name, std::uint32_t kind) const {
  std::uint32_t id = 0;
  search(
      {std::string(name)}, [&](std::uint32_t one) { return one == kind; },
      [&](std::uint32_t one) { return (id = one) != 0; });
  return id;
}

std::string_view Types::name(std::uint32_t id) const {
  if (id == 0 || id > places().size()) return {};
  return string(read_as<btf_type>(types_, places()[id - 1]).name_off);
}

std::uint32_t Types::tracepoint_arguments(std::string_view tracepoint) const {
  std::uint32_t id = find("btf_trace_" + std::string(tracepoint), BTF_KIND_TYPEDEF);
  // A typedef of a pointer to a function, whose own first argument is what the kernel keeps for itself.
  for (int step = 0; step < 3 && id && id <= places().size(); step++) {
    auto type = read_as<btf_type>(types_, places()[id - 1]);
    if (BTF_INFO_KIND(type.info) == BTF_KIND_FUNC_PROTO)
      return std::max<std::uint32_t>(BTF_INFO_VLEN(type.info), 1) - 1;
    id = type.type;
  }
  return 0;
}

std::string Types::cut(const std::set<std::string>& names) const {
  Cutting cutting(strings_);
  search(names, is_data, [&](std::uint32_t id) { return cutting.id(id) == 0; });
  return cutting.finish(
      [&](std::uint32_t id) { return id <= places().size() ? record(places()[id - 1]) : std::string_view(); });
}

namespace {

// A file's bytes, mapped (since 6.16) or, where it cannot be, read: a page at a time is all that older
// kernels give.
class FileBytes {
 public:
  explicit FileBytes(const char* path) {
    Fd file(open(path, O_RDONLY | O_CLOEXEC));
    struct stat status {};
    if (!file || fstat(file.get(), &status) != 0) return;
    auto size = static_cast<std::size_t>(status.st_size);
    mapped_ = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
    if (mapped_ != MAP_FAILED) {
      bytes_ = {static_cast<const char*>(mapped_), size};
      return;
    }
    read_.resize(size);
    std::size_t have = 0;
    for (ssize_t got; have < size && (got = read(file.get(), read_.data() + have, size - have)) > 0;)
      have += static_cast<std::size_t>(got);
    bytes_ = std::string_view(read_).substr(0, have);
  }
  FileBytes(const FileBytes&) = delete;
  ~FileBytes() {
    if (mapped_ != MAP_FAILED) munmap(mapped_, bytes_.size());
  }
  std::string_view bytes() const { return bytes_; }

 private:
  void* mapped_ = MAP_FAILED;
  std::string read_;
  std::string_view bytes_;
};

std::string& types_file() {
  static std::string path = "/sys/kernel/btf/vmlinux";
  return path;
}

struct Loaded {
  FileBytes file{types_file().c_str()};
  Types types{file.bytes()};
};

std::unique_ptr<Loaded> load_types() {
  auto all = std::make_unique<Loaded>();
  all->types.index();
  return all;
}

std::unique_ptr<Loaded>& loaded() {
  static std::unique_ptr<Loaded> one;
  return one;
}

std::future<std::unique_ptr<Loaded>>& loading_types() {
  static std::future<std::unique_ptr<Loaded>> one;
  return one;
}

// A section of an ELF file in memory; empty if there is none.
std::string_view section(Elf* elf, std::string_view wanted) {
  std::size_t names = 0;
  if (!elf || elf_getshdrstrndx(elf, &names) != 0) return {};
  for (Elf_Scn* one = nullptr; (one = elf_nextscn(elf, one));) {
    GElf_Shdr header;
    if (!gelf_getshdr(one, &header)) continue;
    const char* name = elf_strptr(elf, names, header.sh_name);
    if (!name || wanted != name) continue;
    Elf_Data* data = elf_rawdata(one, nullptr);
    return data ? std::string_view(static_cast<const char*>(data->d_buf), data->d_size) : std::string_view();
  }
  return {};
}

// .BTF.ext, of which no header of the kernel's tells: a header of 32-bit numbers, among them where the CO-RE
// relocations are; those are the size of one, then for each of the program's sections its name, how many, and they.
constexpr std::size_t core_at_word = 6, core_size_word = 7;

}  // namespace

void KernelTypes::begin() {
  if (loaded() || loading_types().valid()) return;
  NoSignals none;
  loading_types() = std::async(thread_if_any, load_types);
}

const Types& KernelTypes::get() {
  if (!loaded()) loaded() = loading_types().valid() ? loading_types().get() : load_types();
  return loaded()->types;
}

void KernelTypes::use(const std::string& file) {
  forget();
  types_file() = file;
}

void KernelTypes::forget() {
  if (loading_types().valid()) loading_types().get();
  loaded().reset();
}

std::set<std::string> core_types(std::string_view object) {
  std::set<std::string> names;
  elf_version(EV_CURRENT);
  std::unique_ptr<Elf, decltype(&elf_end)> elf(elf_memory(const_cast<char*>(object.data()), object.size()), elf_end);
  Types types(section(elf.get(), ".BTF"));
  std::string_view rest = section(elf.get(), ".BTF.ext");
  auto word = [&](std::size_t at) { return read_as<std::uint32_t>(rest, at * 4); };
  std::size_t begin = word(1) + word(core_at_word), size = word(core_size_word);
  if (begin > rest.size()) return names;
  rest = rest.substr(begin, size);
  std::size_t step = word(0);
  if (!rest.empty()) rest.remove_prefix(4);
  while (step && rest.size() >= 8) {
    std::size_t count = word(1);
    rest.remove_prefix(8);
    for (; count && rest.size() >= step; count--, rest.remove_prefix(step)) {
      // Past "___" a name tells apart the program's own versions of a type, which are one in the kernel.
      std::string_view name = types.name(word(1));
      names.emplace(name.substr(0, name.find("___")));
    }
  }
  return names;
}

}  // namespace kit
