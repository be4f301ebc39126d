// SPDX-License-Identifier: BSD-2-Clause
#include "kit/elf.hpp"

#include <fcntl.h>
#include <fnmatch.h>
#include <gelf.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>

#include "kit/text.hpp"

namespace kit {
namespace {

// Files of strangers are read, not mapped: one that shrinks meanwhile would end us by SIGBUS.
struct Close {
  void operator()(::Elf* elf) const { elf_end(elf); }
};

std::string_view data_of(Elf_Scn* section) {
  Elf_Data* data = elf_rawdata(section, nullptr);  // no bytes for SHT_NOBITS
  if (!data || !data->d_buf) return {};
  return {static_cast<const char*>(data->d_buf), data->d_size};
}

// The NUL-terminated text at `at`; empty where it does not end.
std::string_view text_at(std::string_view table, std::uint64_t at) {
  if (at >= table.size()) return {};
  std::size_t end = table.find('\0', at);
  return end == table.npos ? std::string_view{} : table.substr(at, end - at);
}

std::string_view without_version(std::string_view name) { return name.substr(0, name.find('@', 1)); }

std::uint32_t word_at(std::string_view bytes, std::size_t at) {
  std::uint32_t word = 0;
  if (at + 4 <= bytes.size()) std::copy_n(bytes.data() + at, 4, reinterpret_cast<char*>(&word));
  return word;
}

std::size_t aligned(std::size_t size, std::size_t to) { return (size + to - 1) / to * to; }

}  // namespace

struct Elf::State {
  std::string path, shown;
  Fd fd;
  std::unique_ptr<::Elf, Close> elf;
  GElf_Ehdr header{};
  FileIdentity identity;

  [[noreturn]] void refuse(std::string_view why) const { throw Failure(Exit::usage, cat(shown, ": ", why)); }

  void open() {
    // Not blocking: a fifo is told, not waited for.
    fd = Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (!fd) refuse(cat(error_text(errno), errno == ENOENT ? "; give the path of a program or library" : ""));
    struct stat status {};
    if (fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) refuse("is no file; give a program or a library");
    identity = {status.st_dev, status.st_ino};
    elf_version(EV_CURRENT);
    elf.reset(elf_begin(fd.get(), ELF_C_READ, nullptr));
    if (!elf || elf_kind(elf.get()) != ELF_K_ELF || !gelf_getehdr(elf.get(), &header))
      refuse("is no ELF file; give a program or a library, not a script");
    if (header.e_ident[EI_DATA] != ELFDATA2LSB) refuse("is for a machine of the other byte order");
  }

  void each_segment(const std::function<void(const GElf_Phdr&)>& each) const;
  void each_section(const std::function<void(Elf_Scn*, const GElf_Shdr&)>& each) const {
    for (Elf_Scn* at = nullptr; (at = elf_nextscn(elf.get(), at));)
      if (GElf_Shdr place; gelf_getshdr(at, &place)) each(at, place);
  }

  void each_named(const std::function<void(Elf_Scn*, const ElfSection&)>& each) const {
    std::size_t names = 0;
    if (elf_getshdrstrndx(elf.get(), &names) != 0) return;
    each_section([&](Elf_Scn* at, const GElf_Shdr& place) {
      const char* name = elf_strptr(elf.get(), names, place.sh_name);
      each(at, {name ? name : "", place.sh_addr, place.sh_offset, place.sh_size, {}});
    });
  }

  std::string_view strings_of(const GElf_Shdr& table) const {
    Elf_Scn* strings = elf_getscn(elf.get(), table.sh_link);
    return strings ? data_of(strings) : std::string_view{};
  }

  void symbols_of(std::uint32_t type, const std::function<void(const ElfSymbol&)>& each) const;
  void relocations_of(Elf_Scn* section, const GElf_Shdr& place, std::vector<ElfRelocation>& all) const;
};

Elf::Elf(std::string path, std::string shown) : state_(std::make_unique<State>()) {
  state_->shown = shown.empty() ? path : std::move(shown);
  state_->path = std::move(path);
  state_->open();
}
Elf::Elf(Elf&&) noexcept = default;
Elf& Elf::operator=(Elf&&) noexcept = default;
Elf::~Elf() = default;

const std::string& Elf::path() const { return state_->path; }
const std::string& Elf::shown() const { return state_->shown; }
FileIdentity Elf::identity() const { return state_->identity; }
int Elf::bits() const { return state_->header.e_ident[EI_CLASS] == ELFCLASS32 ? 32 : 64; }
unsigned Elf::machine() const { return state_->header.e_machine; }
bool Elf::moved() const { return state_->header.e_type == ET_DYN; }

void Elf::State::each_segment(const std::function<void(const GElf_Phdr&)>& each) const {
  std::size_t count = 0;
  if (elf_getphdrnum(elf.get(), &count) != 0) return;
  for (std::size_t i = 0; i < count; i++)
    if (GElf_Phdr part; gelf_getphdr(elf.get(), static_cast<int>(i), &part)) each(part);
}

namespace {

ElfSegment segment_of(const GElf_Phdr& part) {
  return {
      part.p_vaddr, part.p_offset, part.p_filesz, part.p_memsz, (part.p_flags & PF_W) != 0, (part.p_flags & PF_X) != 0};
}

}  // namespace

std::vector<ElfSegment> Elf::segments() const {
  std::vector<ElfSegment> all;
  state_->each_segment([&](const GElf_Phdr& part) {
    if (part.p_type == PT_LOAD) all.push_back(segment_of(part));
  });
  return all;
}

std::optional<ElfSegment> Elf::segment(std::uint32_t type) const {
  std::optional<ElfSegment> found;
  state_->each_segment([&](const GElf_Phdr& part) {
    if (part.p_type == type && !found) found = segment_of(part);
  });
  return found;
}

std::string Elf::interpreter() const {
  auto part = segment(PT_INTERP);
  if (!part) return {};
  std::string text(std::min<std::uint64_t>(part->file_size, 4096), '\0');
  ssize_t got = pread(state_->fd.get(), text.data(), text.size(), static_cast<off_t>(part->offset));
  return std::string(text_at(std::string_view(text).substr(0, got > 0 ? static_cast<std::size_t>(got) : 0), 0));
}

std::vector<ElfSection> Elf::sections() const {
  std::vector<ElfSection> all;
  state_->each_named([&](Elf_Scn*, const ElfSection& one) { all.push_back(one); });
  return all;
}

std::optional<ElfSection> Elf::section(std::string_view name) const {
  std::optional<ElfSection> found;
  state_->each_named([&](Elf_Scn* at, const ElfSection& one) {
    if (found || one.name != name) return;
    found = one;
    found->bytes = data_of(at);
  });
  return found;
}

std::vector<ElfNote> Elf::notes() const {
  std::vector<ElfNote> all;
  state_->each_section([&](Elf_Scn* at, const GElf_Shdr& place) {
    if (place.sh_type != SHT_NOTE) return;
    std::string_view bytes = data_of(at);
    std::size_t align = place.sh_addralign == 8 ? 8 : 4;
    // Each: the sizes of the owner's name and of the description, the type, then both, padded.
    for (std::size_t i = 0; i + 12 <= bytes.size();) {
      std::size_t name = word_at(bytes, i), size = word_at(bytes, i + 4), begin = i + 12;
      std::size_t description = begin + aligned(name, align);
      if (name > bytes.size() - begin || description > bytes.size() || size > bytes.size() - description) break;
      all.push_back({text_at(bytes.substr(begin, name), 0), bytes.substr(description, size), word_at(bytes, i + 8)});
      i = description + aligned(size, align);
    }
  });
  return all;
}

std::string Elf::build_id() const {
  constexpr char digits[] = "0123456789abcdef";
  std::string id;
  for (const ElfNote& note : notes()) {
    if (note.owner != "GNU" || note.type != NT_GNU_BUILD_ID) continue;
    for (unsigned char byte : note.description) (id += digits[byte >> 4]) += digits[byte & 15];
    break;
  }
  return id;
}

void Elf::State::symbols_of(std::uint32_t type, const std::function<void(const ElfSymbol&)>& each) const {
  each_section([&](Elf_Scn* at, const GElf_Shdr& place) {
    if (place.sh_type != type) return;
    Elf_Data* data = elf_getdata(at, nullptr);
    std::string_view names = strings_of(place);
    GElf_Sym symbol;
    for (int i = 1; data && gelf_getsym(data, i, &symbol); i++) {
      std::string_view name = text_at(names, symbol.st_name);
      if (name.empty()) continue;
      unsigned kind = GELF_ST_TYPE(symbol.st_info);
      each({without_version(name), symbol.st_value, symbol.st_size, kind == STT_FUNC || kind == STT_GNU_IFUNC,
            kind == STT_GNU_IFUNC, symbol.st_shndx != SHN_UNDEF, GELF_ST_BIND(symbol.st_info) != STB_LOCAL});
    }
  });
}

void Elf::each_symbol(const std::function<void(const ElfSymbol&)>& each) const {
  state_->symbols_of(SHT_SYMTAB, each);
  state_->symbols_of(SHT_DYNSYM, each);
}

bool Elf::stripped() const {
  bool has = false;
  state_->each_section([&](Elf_Scn*, const GElf_Shdr& place) { has |= place.sh_type == SHT_SYMTAB; });
  return !has;
}

void Elf::State::relocations_of(Elf_Scn* section, const GElf_Shdr& place, std::vector<ElfRelocation>& all) const {
  Elf_Data* data = elf_getdata(section, nullptr);
  Elf_Scn* table = elf_getscn(elf.get(), place.sh_link);
  Elf_Data* symbols = table ? elf_getdata(table, nullptr) : nullptr;
  GElf_Shdr symbols_place{};
  if (table) gelf_getshdr(table, &symbols_place);
  std::string_view names = symbols ? strings_of(symbols_place) : std::string_view{};
  for (int i = 0; data; i++) {
    GElf_Rela entry{};
    if (place.sh_type == SHT_RELA) {
      if (!gelf_getrela(data, i, &entry)) return;
    } else if (GElf_Rel plain; gelf_getrel(data, i, &plain)) {
      entry = {plain.r_offset, plain.r_info, 0};
    } else {
      return;
    }
    GElf_Sym symbol;
    int index = static_cast<int>(GELF_R_SYM(entry.r_info));
    bool named = index > 0 && symbols && gelf_getsym(symbols, index, &symbol);
    all.push_back({entry.r_offset, entry.r_addend, static_cast<std::uint32_t>(GELF_R_TYPE(entry.r_info)),
                   named ? without_version(text_at(names, symbol.st_name)) : std::string_view{}});
  }
}

std::vector<ElfRelocation> Elf::relocations() const {
  std::vector<ElfRelocation> all;
  state_->each_section([&](Elf_Scn* at, const GElf_Shdr& place) {
    if (place.sh_type == SHT_RELA || place.sh_type == SHT_REL) state_->relocations_of(at, place, all);
  });
  return all;
}

std::vector<std::string> Elf::needed() const {
  std::vector<std::string> all;
  state_->each_section([&](Elf_Scn* at, const GElf_Shdr& place) {
    if (place.sh_type != SHT_DYNAMIC) return;
    Elf_Data* data = elf_getdata(at, nullptr);
    GElf_Shdr names_place{};
    Elf_Scn* names = elf_getscn(state_->elf.get(), place.sh_link);
    if (!names || !gelf_getshdr(names, &names_place)) return;
    GElf_Dyn entry;
    for (int i = 0; data && gelf_getdyn(data, i, &entry); i++)
      if (entry.d_tag == DT_NEEDED) all.emplace_back(text_at(data_of(names), entry.d_un.d_val));
  });
  return all;
}

std::vector<ElfSymbol> Elf::functions(std::string_view glob) const {
  std::map<std::uint64_t, ElfSymbol> by_address;
  bool plain = !is_glob(glob);
  each_symbol([&](const ElfSymbol& symbol) {
    if (!symbol.function || !symbol.defined) return;
    if (plain ? symbol.name != glob : !glob_matches(glob, symbol.name)) return;
    by_address.emplace(symbol.address, symbol);
  });
  std::vector<ElfSymbol> all;
  for (const auto& [address, symbol] : by_address) all.push_back(symbol);
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return all;
}

ElfSymbol Elf::function(std::string_view name) const {
  if (auto found = functions(name); !found.empty()) return found.front();
  std::vector<std::string> names;
  bool any = false;
  each_symbol([&](const ElfSymbol& symbol) {
    if (!symbol.function || !symbol.defined) return;
    any = true;
    // Only what is near in length can be near at all.
    if (symbol.name.size() <= name.size() + 3 && symbol.name.size() + 3 >= name.size()) names.emplace_back(symbol.name);
  });
  if (!any) state_->refuse(cat("has no symbols of functions (stripped); give an address, or its debugging file"));
  state_->refuse(cat("has no function ", name, suggestion(name, names),
                     stripped() ? " (stripped: only exported ones have names)" : ""));
}

std::optional<std::uint64_t> Elf::offset_of(std::uint64_t address) const {
  for (const ElfSegment& part : segments())
    if (address >= part.address && address - part.address < part.file_size) return address - part.address + part.offset;
  return {};
}

std::optional<std::uint64_t> Elf::address_of(std::uint64_t offset) const {
  std::optional<std::uint64_t> data;
  for (const ElfSegment& part : segments()) {
    if (offset < part.offset || offset - part.offset >= part.file_size) continue;
    std::uint64_t address = offset - part.offset + part.address;
    if (part.executable) return address;
    if (!data) data = address;
  }
  return data;
}

std::string Elf::bytes_at(std::uint64_t address, std::size_t size) const {
  auto offset = offset_of(address);
  if (!offset) return {};
  std::string bytes(std::min<std::size_t>(size, 1 << 26), '\0');
  ssize_t got = pread(state_->fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(*offset));
  bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return bytes;
}

FileIdentity identity_of(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 ? FileIdentity{status.st_dev, status.st_ino} : FileIdentity{};
}

bool is_glob(std::string_view text) { return text.find_first_of("*?[") != text.npos; }

bool glob_matches(std::string_view glob, std::string_view text) {
  return fnmatch(std::string(glob).c_str(), std::string(text).c_str(), 0) == 0;
}

}  // namespace kit
