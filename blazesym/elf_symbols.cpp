// SPDX-License-Identifier: BSD-2-Clause
#include "elf_symbols.hpp"

#include <fcntl.h>
#include <gelf.h>
#include <lzma.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>

#include "files.hpp"

namespace blazesym {
namespace {

constexpr std::size_t most_unpacked = 256 << 20;  // bytes; a small file may claim to hold anything

// Calls each(section, header) until it returns true.
template <typename Each>
bool each_section(Elf* elf, Each each) {
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(elf, section));) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) && each(section, header)) return true;
  }
  return false;
}

const char* section_name(Elf* elf, const GElf_Shdr& header) {
  std::size_t strings = 0;
  if (elf_getshdrstrndx(elf, &strings) != 0) return "";
  const char* name = elf_strptr(elf, strings, header.sh_name);
  return name ? name : "";
}

// Whether libelf has mapped the file, as it mostly does, and not read it.
bool is_mapping_of(const char* start, ino_t inode) {
  Lines maps("/proc/self/maps");
  for (std::string line; maps.next(line);) {
    unsigned long long first = 0, number = 0;
    if (std::sscanf(line.c_str(), "%llx-%*x %*s %*x %*s %llu", &first, &number) == 2 &&
        first == reinterpret_cast<std::uintptr_t>(start))
      return number == inode;
  }
  return false;
}

// Without a version ("read@@GLIBC_2.2.5"), and without the number that tells functions of one name apart when a program
// is optimized as a whole ("parse.lto_priv.0", "parse.lto_priv.0.cold").
void append_name(std::string& names, std::string_view name) {
  name = name.substr(0, name.find('@', 1));
  constexpr std::string_view mark = ".lto_priv.";
  if (std::size_t at = name.find(mark); at != name.npos && at > 0) {
    names.append(name.substr(0, at));
    std::size_t end = name.find_first_not_of("0123456789", at + mark.size());
    name = end == name.npos ? std::string_view() : name.substr(end);
  }
  names.append(name).push_back('\0');
}

std::string hexadecimal(std::string_view bytes) {
  std::string out;
  for (unsigned char byte : bytes) {
    out += "0123456789abcdef"[byte >> 4];
    out += "0123456789abcdef"[byte & 15];
  }
  return out;
}

}  // namespace

ElfFile::ElfFile(int fd) : fd_(fd) {
  elf_version(EV_CURRENT);
  struct stat status {};
  // libelf maps the file: one that is no regular file could grow beneath it or never end.
  if (fd_ < 0 || fstat(fd_, &status) != 0 || !S_ISREG(status.st_mode)) return;
  elf_ = elf_begin(fd_, ELF_C_READ_MMAP, nullptr);
  if (elf_ && elf_kind(elf_) != ELF_K_ELF) {
    elf_end(elf_);
    elf_ = nullptr;
  }
}

ElfFile::ElfFile(std::string image) : image_(std::move(image)) {
  elf_version(EV_CURRENT);
  elf_ = elf_memory(image_.data(), image_.size());
  if (elf_ && elf_kind(elf_) != ELF_K_ELF) {
    elf_end(elf_);
    elf_ = nullptr;
  }
}

ElfFile::ElfFile(ElfFile&& other) noexcept { *this = std::move(other); }

ElfFile& ElfFile::operator=(ElfFile&& other) noexcept {
  // A short image lives inside the string, so it is not moved: libelf points to it. ELF images are never that short.
  std::swap(fd_, other.fd_);
  std::swap(image_, other.image_);
  std::swap(elf_, other.elf_);
  return *this;
}

ElfFile::~ElfFile() {
  if (elf_) elf_end(elf_);
  if (fd_ >= 0) close(fd_);
}

std::size_t ElfFile::size() const {
  std::size_t size = 0;
  if (elf_) elf_rawfile(elf_, &size);
  return size;
}

void ElfFile::forget_pages() const {
  std::size_t size = 0;
  char* start = elf_ && fd_ >= 0 ? elf_rawfile(elf_, &size) : nullptr;
  struct stat status {};
  if (!start || reinterpret_cast<std::uintptr_t>(start) % static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE)) != 0)
    return;
  // Whether libelf has it mapped, or else copied to memory, is asked once.
  static const bool maps = fstat(fd_, &status) == 0 && is_mapping_of(start, status.st_ino);
  if (maps) madvise(start, size, MADV_DONTNEED);
}

bool ElfFile::address_of(std::uint64_t offset, std::uint64_t& address) const {
  std::size_t count = 0;
  if (!elf_ || elf_getphdrnum(elf_, &count) != 0) return false;
  for (std::size_t i = 0; i < count; i++) {
    GElf_Phdr header;
    if (!gelf_getphdr(elf_, static_cast<int>(i), &header) || header.p_type != PT_LOAD || !(header.p_flags & PF_X))
      continue;
    // Mappings begin and end at pages, segments need not.
    std::uint64_t begin = header.p_offset & ~std::uint64_t{4095};
    if (offset < begin || offset - begin >= header.p_filesz + (header.p_offset - begin)) continue;
    address = offset - header.p_offset + header.p_vaddr;
    return true;
  }
  return false;
}

std::string ElfFile::build_id() const {
  std::string found;
  if (!elf_) return found;
  each_section(elf_, [&](Elf_Scn* section, const GElf_Shdr& header) {
    Elf_Data* data = header.sh_type == SHT_NOTE ? elf_getdata(section, nullptr) : nullptr;
    if (!data) return false;
    GElf_Nhdr note;
    std::size_t name = 0, content = 0;
    for (std::size_t at = 0; at < data->d_size && (at = gelf_getnote(data, at, &note, &name, &content)) > 0;) {
      const char* bytes = static_cast<const char*>(data->d_buf);
      if (note.n_type != NT_GNU_BUILD_ID || note.n_namesz != 4 || std::memcmp(bytes + name, "GNU", 4) != 0) continue;
      found = hexadecimal({bytes + content, note.n_descsz});
      return true;
    }
    return false;
  });
  return found;
}

std::string_view ElfFile::section(const char* wanted) const {
  std::string_view found;
  if (!elf_) return found;
  each_section(elf_, [&](Elf_Scn* section, const GElf_Shdr& header) {
    if (header.sh_type == SHT_NOBITS || std::strcmp(section_name(elf_, header), wanted) != 0) return false;
    Elf_Data* data = elf_rawdata(section, nullptr);
    if (data && data->d_buf) found = {static_cast<const char*>(data->d_buf), data->d_size};
    return true;
  });
  return found;
}

std::string ElfFile::debug_link() const {
  std::string_view bytes = section(".gnu_debuglink");
  return std::string(bytes.substr(0, bytes.find('\0')));
}

bool ElfFile::has_dwarf() const { return !section(".debug_info").empty() || !section(".zdebug_info").empty(); }

void ElfFile::hide(const char* unwanted) const {
  each_section(elf_, [&](Elf_Scn* section, GElf_Shdr header) {
    if (std::strcmp(section_name(elf_, header), unwanted) != 0) return false;
    header.sh_type = SHT_NOBITS;
    gelf_update_shdr(section, &header);  // of libelf's copy
    return true;
  });
}

FunctionIndex::FunctionIndex(const ElfFile& file, const ElfFile& debug) {
  bool whole = add(file, SHT_SYMTAB);
  if (!whole && debug) whole = add(debug, SHT_SYMTAB);
  if (!whole) {
    add(file, SHT_DYNSYM);
    if (ElfFile packed = unpack_debugdata(file)) add(packed, SHT_SYMTAB);
  }
  finish();
}

bool FunctionIndex::add(const ElfFile& file, std::uint32_t section_type) {
  std::size_t before = functions_.size();
  Elf* elf = file.get();
  if (!elf) return false;
  GElf_Ehdr elf_header;
  bool relocatable = gelf_getehdr(elf, &elf_header) && elf_header.e_type == ET_REL;
  each_section(elf, [&](Elf_Scn* section, const GElf_Shdr& header) {
    Elf_Data* data = header.sh_type == section_type && header.sh_entsize ? elf_getdata(section, nullptr) : nullptr;
    if (!data || relocatable) return false;
    int count = static_cast<int>(std::min<std::uint64_t>(data->d_size / header.sh_entsize, INT32_MAX));
    for (int i = 0; i < count; i++) {
      GElf_Sym symbol;
      if (!gelf_getsym(data, i, &symbol) || symbol.st_shndx == SHN_UNDEF || symbol.st_value == 0) continue;
      int type = GELF_ST_TYPE(symbol.st_info), binding = GELF_ST_BIND(symbol.st_info);
      bool code = type == STT_FUNC || type == STT_GNU_IFUNC;
      if (!code && type == STT_NOTYPE && symbol.st_shndx < SHN_LORESERVE) {
        GElf_Shdr of;  // what assembler code does not declare as a function
        Elf_Scn* in = elf_getscn(elf, symbol.st_shndx);
        code = in && gelf_getshdr(in, &of) && (of.sh_flags & SHF_EXECINSTR);
      }
      const char* name = code ? elf_strptr(elf, header.sh_link, symbol.st_name) : nullptr;
      if (!name || !*name || *name == '$') continue;
      auto rank = static_cast<std::uint8_t>((type == STT_NOTYPE ? 4 : 0) + (binding == STB_GLOBAL ? 0
                                                                            : binding == STB_WEAK ? 1
                                                                                                  : 2));
      functions_.push_back({symbol.st_value,
                            static_cast<std::uint32_t>(std::min<std::uint64_t>(symbol.st_size, UINT32_MAX)),
                            static_cast<std::uint32_t>(names_.size()), rank});
      append_name(names_, name);
    }
    return false;
  });
  return functions_.size() > before;
}

void FunctionIndex::finish() {
  std::sort(functions_.begin(), functions_.end(), [](const Function& a, const Function& b) {
    return a.start != b.start ? a.start < b.start : a.rank != b.rank ? a.rank < b.rank : a.name < b.name;
  });
  // Of several names of one place one is kept, with the longest size.
  std::size_t kept = 0;
  for (const Function& one : functions_) {
    if (kept && functions_[kept - 1].start == one.start)
      functions_[kept - 1].size = std::max(functions_[kept - 1].size, one.size);
    else
      functions_[kept++] = one;
  }
  functions_.resize(kept);
  functions_.shrink_to_fit();
  names_.shrink_to_fit();
}

bool FunctionIndex::find(std::uint64_t address, Found& found) const {
  auto after = std::upper_bound(functions_.begin(), functions_.end(), address,
                                [](std::uint64_t wanted, const Function& f) { return wanted < f.start; });
  // A function may have others inside of it, so a few are looked at; one without a size goes to the next.
  for (int tries = 0; after != functions_.begin() && tries < 16; tries++) {
    --after;
    std::uint64_t offset = address - after->start;
    if (after->size ? offset >= after->size : tries > 0) continue;
    found = {names_.c_str() + after->name, offset};
    return true;
  }
  return false;
}

ElfFile unpack_debugdata(const ElfFile& file) {
  std::string_view packed = file.section(".gnu_debugdata");
  if (packed.empty()) return {};
  lzma_stream stream = LZMA_STREAM_INIT;
  if (lzma_stream_decoder(&stream, most_unpacked, 0) != LZMA_OK) return {};
  std::string image;
  stream.next_in = reinterpret_cast<const std::uint8_t*>(packed.data());
  stream.avail_in = packed.size();
  lzma_ret status = LZMA_OK;
  while (status == LZMA_OK && image.size() < most_unpacked) {
    std::size_t have = image.size();
    image.resize(std::max<std::size_t>(have * 2, 1 << 16));
    stream.next_out = reinterpret_cast<std::uint8_t*>(image.data() + have);
    stream.avail_out = image.size() - have;
    status = lzma_code(&stream, LZMA_FINISH);
    image.resize(image.size() - stream.avail_out);
  }
  lzma_end(&stream);
  return status == LZMA_STREAM_END ? ElfFile(std::move(image)) : ElfFile();
}

ElfFile find_debug_file(const ElfFile& file, const std::string& path, const std::string& root,
                        const std::vector<std::string>& debug_directories) {
  std::string id = file.build_id(), link = file.debug_link(), folder = path.substr(0, path.rfind('/') + 1);
  std::vector<std::string> places;
  for (const std::string& base : debug_directories)
    if (id.size() > 2) places.push_back(base + "/.build-id/" + id.substr(0, 2) + "/" + id.substr(2) + ".debug");
  if (!link.empty() && link.find('/') == link.npos) {
    places.push_back(folder + link);
    places.push_back(folder + ".debug/" + link);
    for (const std::string& base : debug_directories) places.push_back(base + folder + link);
  }
  for (const std::string& prefix : {root, std::string()}) {
    for (const std::string& place : places) {
      ElfFile debug(open((prefix + place).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
      if (debug && (id.empty() || debug.build_id() == id) && (prefix + place) != path) return debug;
    }
    if (root.empty()) break;
  }
  return {};
}

}  // namespace blazesym
