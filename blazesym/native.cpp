// SPDX-License-Identifier: BSD-2-Clause
// The backend that is always there: /proc/kallsyms, ELF symbols, DWARF through libdw, perf maps.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <map>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "backend.hpp"
#include "demangle.hpp"
#include "dwarf_index.hpp"
#include "elf_symbols.hpp"
#include "files.hpp"
#include "kallsyms.hpp"
#include "processes.hpp"
#include "texts.hpp"

namespace blazesym {
namespace {

constexpr std::size_t most_text = std::size_t{256} << 20;  // bytes of a perf map that are read

// Whether a symbol is what compilers call a copy of this function, as f.constprop.0 and f.part.0 of f: it goes by
// the name in the source. What was split off of it as seldom run keeps its own: f.cold.
bool is_copy(std::string_view symbol, std::string_view function) {
  return !function.empty() && symbol.size() > function.size() && symbol.starts_with(function) &&
         symbol[function.size()] == '.' && symbol.find(".cold", function.size()) == symbol.npos;
}

// What was made of a file; dropped when memory is short and made again.
struct Index {
  ElfFile debug;
  FunctionIndex functions;
  std::unique_ptr<DwarfIndex> dwarf;
  std::unordered_map<const char*, std::string_view> names;  // of symbols that were asked of, demangled
  std::uint64_t used = 0;                                   // when it was last asked
  std::size_t memory() const {
    return functions.memory() + (dwarf ? dwarf->memory() : 0) + names.size() * 48 + sizeof *this;
  }
};

struct LoadedFile {
  Module module;
  ElfFile file;
  std::string root;  // where its debug files are looked for first
  Reason wrong = Reason::none;
  std::unique_ptr<Index> index;
};

struct FileKey {
  dev_t device;
  ino_t inode;
  std::int64_t changed;
  auto operator<=>(const FileKey&) const = default;
};

struct MappedRange {
  MappedFile at;
  LoadedFile* file = nullptr;
  Reason wrong = Reason::none;

  bool overlaps(const MappedRange& other) const { return at.start < other.at.end && other.at.start < at.end; }
  // Whether an address that lies in both is the same place of the same file.
  bool agrees(const MappedRange& other) const {
    return at.inode == other.at.inode && at.path == other.at.path &&
           at.start - at.offset == other.at.start - other.at.offset;
  }
};

struct SeenProcess {
  std::vector<MappedRange> ranges;
  std::vector<JitFunction> jit;
  Reason wrong = Reason::none;
  bool ended = false;  // when forget() was called the last time
};

constexpr std::size_t most_files = 512;  // that are kept open, when no process has them mapped

class Native : public Symbolizer {
 public:
  explicit Native(const Settings& settings) : settings_(settings) {}

  std::vector<Symbol> kernel(std::span<const std::uint64_t> addresses) override {
    if (!kernel_read_) kernel_ = KernelSymbols::read();
    kernel_read_ = true;
    std::vector<Symbol> answers;
    for (std::uint64_t address : addresses) {
      Symbol& answer = answers.emplace_back();
      answer.address = address;
      KernelSymbols::Found found;
      if (kernel_.find(address, found)) {
        answer.module = kernel_module(found.module);
        answer.frames.push_back({.name = texts_.keep(found.name), .offset = found.offset, .file = {}});
      } else {
        answer.module = kernel_module({});
        answer.frames.emplace_back();
        answer.reason = kernel_.hidden() || kernel_.empty() ? Reason::denied : Reason::no_symbol;
      }
    }
    return answers;
  }

  void see(std::uint32_t pid) override {
    std::string folder = "/proc/" + std::to_string(pid);
    std::string maps = read_text(folder + "/maps", most_text);
    SeenProcess& seen = processes_[pid];
    if (maps.empty()) {
      // A kernel thread's are empty, as are those of one that has ended but was not waited for yet; one that has ended
      // keeps what was seen of it.
      int again = ::open((folder + "/maps").c_str(), O_RDONLY | O_CLOEXEC);
      bool denied = again < 0 && (errno == EACCES || errno == EPERM);
      if (again >= 0) ::close(again);
      if (seen.ranges.empty()) seen.wrong = denied ? Reason::denied : Reason::gone;
      return;
    }
    seen.wrong = Reason::none;
    std::vector<MappedRange> ranges;
    for (MappedFile& mapped : parse_maps(maps)) {
      MappedRange range{.at = std::move(mapped)};
      auto before = std::find_if(seen.ranges.begin(), seen.ranges.end(), [&](const MappedRange& old) {
        return old.file && old.at.start == range.at.start && old.at.inode == range.at.inode &&
               old.at.offset == range.at.offset && old.at.path == range.at.path;
      });
      if (before != seen.ranges.end())
        range.file = before->file;
      else
        open_mapped(folder, range);
      // Samples of before and after an exec cannot be told apart here.
      bool other = before != seen.ranges.end() && before->wrong == Reason::replaced;
      for (const MappedRange& old : seen.ranges)
        other |= old.at.inode != 0 && old.overlaps(range) && !old.agrees(range);
      if (other) range.wrong = Reason::replaced;
      ranges.push_back(std::move(range));
    }
    keep_old(seen.ranges, ranges);
    seen.ranges = std::move(ranges);
    read_jit(folder, seen);
  }

  std::vector<Symbol> process(std::uint32_t pid, std::span<const std::uint64_t> addresses) override {
    if (!processes_.contains(pid)) see(pid);
    const SeenProcess& seen = processes_[pid];
    std::vector<Symbol> answers(addresses.size());
    std::map<LoadedFile*, std::vector<std::size_t>> by_file;
    for (std::size_t i = 0; i < addresses.size(); i++) {
      Symbol& answer = answers[i];
      answer.address = addresses[i];
      const MappedRange* range = range_of(seen, addresses[i]);
      if (!range) {
        answer.frames.emplace_back();
        answer.reason = seen.wrong != Reason::none ? seen.wrong : Reason::unmapped;
      } else if (range->wrong == Reason::replaced) {
        answer.frames.emplace_back();
        answer.reason = range->wrong;
      } else if (!range->file) {
        unnamed(seen, *range, answer);
      } else {
        std::uint64_t offset = addresses[i] - range->at.start + range->at.offset;
        answer.module = &range->file->module;
        if (!range->file->file.address_of(offset, answer.module_offset)) answer.module_offset = offset;
        by_file[range->file].push_back(i);
      }
    }
    for (auto& [file, which] : by_file) name_all(*file, std::move(which), answers);
    return answers;
  }

  std::vector<Symbol> file(const std::string& path, std::span<const std::uint64_t> addresses) override {
    LoadedFile* file = load(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK), path, "");
    std::vector<Symbol> answers(addresses.size());
    std::vector<std::size_t> which;
    for (std::size_t i = 0; i < addresses.size(); i++) {
      answers[i].address = answers[i].module_offset = addresses[i];
      answers[i].module = file ? &file->module : nullptr;
      answers[i].reason = file ? Reason::none : Reason::no_file;
      which.push_back(i);
    }
    if (file) name_all(*file, std::move(which), answers);
    return answers;
  }

  void forget() override {
    forget_ended();
    if (files_.size() > most_files) forget_files();
    if (memory() <= settings_.memory) return;
    for (auto& [key, file] : files_) file.index.reset();
    for (auto& [key, file] : vdsos_) file.index.reset();
    texts_.clear();
  }

  std::size_t memory() const override {
    std::size_t sum = texts_.memory();
    for (const auto& [key, file] : files_) sum += file.index ? file.index->memory() : 0;
    for (const auto& [key, file] : vdsos_) sum += file.index ? file.index->memory() : 0;
    return sum;
  }

 private:
  // What was counted of a process before it ended may be asked of once more.
  void forget_ended() {
    for (auto at = processes_.begin(); at != processes_.end();) {
      bool ended = access(("/proc/" + std::to_string(at->first)).c_str(), F_OK) != 0;
      at = std::exchange(at->second.ended, ended) && ended ? processes_.erase(at) : std::next(at);
    }
  }

  void forget_files() {
    std::unordered_set<const LoadedFile*> mapped;
    for (const auto& [pid, process] : processes_)
      for (const MappedRange& range : process.ranges) mapped.insert(range.file);
    std::erase_if(files_, [&](const auto& file) { return !mapped.contains(&file.second); });
  }

  const Module* kernel_module(std::string_view name) {
    auto [found, fresh] = kernel_modules_.try_emplace(std::string(name));
    if (fresh) {
      found->second.kind = name.empty()    ? ModuleKind::kernel
                           : name == "bpf" ? ModuleKind::bpf
                                           : ModuleKind::kernel_module;
      found->second.path = name.empty() ? "[kernel]" : "[" + std::string(name) + "]";
      found->second.number = ++modules_;
    }
    return &found->second;
  }

  // Mappings that are no longer there, where nothing else is now, keep their names: samples from before may be there.
  static void keep_old(const std::vector<MappedRange>& old, std::vector<MappedRange>& now) {
    std::size_t count = now.size();
    for (const MappedRange& one : old) {
      bool taken = std::any_of(now.begin(), now.begin() + static_cast<std::ptrdiff_t>(count),
                               [&](const MappedRange& other) { return one.overlaps(other); });
      if (!taken) now.push_back(one);
    }
    std::sort(now.begin(), now.end(),
              [](const MappedRange& a, const MappedRange& b) { return a.at.start < b.at.start; });
  }

  static const MappedRange* range_of(const SeenProcess& seen, std::uint64_t address) {
    auto after = std::upper_bound(seen.ranges.begin(), seen.ranges.end(), address,
                                  [](std::uint64_t wanted, const MappedRange& r) { return wanted < r.at.start; });
    if (after == seen.ranges.begin() || address >= (after - 1)->at.end) return nullptr;
    return &*(after - 1);
  }

  // By what the mapping itself leads to, which is right for deleted and replaced files; else by its path, which asks no
  // privilege. Which inode it is is compared where the file system shows the same one in both places.
  void open_mapped(const std::string& folder, MappedRange& range) {
    if (range.at.path == "[vdso]") {
      range.file = vdso(folder, range.at);
      return;
    }
    if (range.at.inode == 0 || !range.at.path.starts_with('/')) return;
    char name[64];
    std::snprintf(name, sizeof name, "/map_files/%llx-%llx", static_cast<unsigned long long>(range.at.start),
                  static_cast<unsigned long long>(range.at.end));
    std::string root = folder + "/root";
    int fd = ::open((folder + name).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) fd = ::open((root + range.at.path).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    range.file = load(fd, range.at.path, root);
    if (!range.file) range.wrong = errno == EACCES || errno == EPERM ? Reason::denied : Reason::no_file;
  }

  // Takes the descriptor over; none if it is none.
  LoadedFile* load(int fd, const std::string& path, const std::string& root) {
    struct stat status {};
    if (fd < 0) return nullptr;
    if (fstat(fd, &status) != 0) {
      close(fd);
      return nullptr;
    }
    FileKey key{status.st_dev, status.st_ino, status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec};
    auto [found, fresh] = files_.try_emplace(key);
    if (!fresh) {
      close(fd);
      return &found->second;
    }
    take(found->second, ElfFile(fd), path, root);
    return &found->second;
  }

  void take(LoadedFile& loaded, ElfFile file, const std::string& path, const std::string& root) {
    loaded.file = std::move(file);
    loaded.root = root;
    loaded.module.path = path;
    loaded.module.number = ++modules_;
    if (!loaded.file) {
      loaded.wrong = Reason::broken_file;
      return;
    }
    loaded.module.build_id = loaded.file.build_id();
    loaded.file.forget_pages();  // until a name is asked for
  }

  // One image for all processes of one kind: told apart by its build id.
  LoadedFile* vdso(const std::string& folder, const MappedFile& at) {
    int memory = ::open((folder + "/mem").c_str(), O_RDONLY | O_CLOEXEC);
    std::string image(std::min<std::uint64_t>(at.end - at.start, 1 << 20), '\0');
    ssize_t size = memory >= 0 ? pread(memory, image.data(), image.size(), static_cast<off_t>(at.start)) : -1;
    if (memory >= 0) close(memory);
    if (size <= 0) return nullptr;
    image.resize(static_cast<std::size_t>(size));
    ElfFile file(std::move(image));
    std::string id = file ? file.build_id() : std::string();
    auto [found, fresh] = vdsos_.try_emplace(id);
    if (fresh) {
      take(found->second, std::move(file), "[vdso]", "");
      found->second.module.kind = ModuleKind::vdso;
    }
    return &found->second;
  }

  // Runtimes write under the PID of their own namespace, and to its own /tmp.
  void read_jit(const std::string& folder, SeenProcess& seen) {
    bool any = std::any_of(seen.ranges.begin(), seen.ranges.end(), [](const MappedRange& r) { return !r.file; });
    if (!any) return;
    std::string status = read_text(folder + "/status"), inner;
    if (std::size_t at = status.find("\nNSpid:"); at != status.npos) {
      std::size_t end = status.find('\n', at + 1);
      inner = status.substr(at + 1, end - at - 1);
      inner = inner.substr(inner.find_last_of(" \t") + 1);
    }
    std::string text = read_text(folder + "/root/tmp/perf-" + inner + ".map", most_text);
    if (!text.empty()) seen.jit = parse_perf_map(text);
  }

  // Of no file: code made at run time.
  void unnamed(const SeenProcess& seen, const MappedRange& range, Symbol& answer) {
    Frame& frame = answer.frames.emplace_back();
    if (range.at.inode != 0) {
      answer.reason = range.wrong;
      return;
    }
    answer.module = &jit_;
    answer.reason = Reason::jit;
    auto after = std::upper_bound(seen.jit.begin(), seen.jit.end(), answer.address,
                                  [](std::uint64_t wanted, const JitFunction& f) { return wanted < f.start; });
    if (after == seen.jit.begin() || answer.address - (after - 1)->start >= (after - 1)->size) return;
    frame.name = texts_.demangled((after - 1)->name);
    frame.offset = answer.address - (after - 1)->start;
    answer.reason = Reason::none;
  }

  Index& index_of(LoadedFile& file) {
    if (!file.index) {
      file.index = std::make_unique<Index>();
      Index& index = *file.index;
      if (!file.file.has_dwarf() || file.file.section(".symtab").empty())
        index.debug = find_debug_file(file.file, file.module.path, file.root, settings_.debug_directories);
      index.functions = FunctionIndex(file.file, index.debug);
      const ElfFile& with_dwarf = file.file.has_dwarf() ? file.file : index.debug;
      if (settings_.lines && with_dwarf && with_dwarf.has_dwarf())
        index.dwarf = std::make_unique<DwarfIndex>(with_dwarf, texts_);
    }
    file.index->used = ++clock_;
    return *file.index;
  }

  void name_all(LoadedFile& file, std::vector<std::size_t> which, std::vector<Symbol>& answers) {
    if (file.wrong != Reason::none) {
      for (std::size_t i : which) answers[i].frames.emplace_back(), answers[i].reason = file.wrong;
      return;
    }
    Index& index = index_of(file);
    if (index.dwarf) {
      std::vector<std::uint64_t> addresses;
      for (std::size_t i : which) addresses.push_back(answers[i].module_offset);
      index.dwarf->prepare(std::move(addresses));
    }
    // By address: what is looked up next lies near what was looked up last, also in memory.
    std::sort(which.begin(), which.end(),
              [&](std::size_t a, std::size_t b) { return answers[a].module_offset < answers[b].module_offset; });
    for (std::size_t i : which) name(index, answers[i]);
    trim(&file);
  }

  void name(Index& index, Symbol& answer) {
    FunctionIndex::Found found{};
    bool known = index.functions.find(answer.module_offset, found);
    if (index.dwarf)
      index.dwarf->find(answer.module_offset, levels_);
    else
      levels_.clear();
    answer.frames.reserve(std::max<std::size_t>(levels_.size(), 1));
    for (const DwarfIndex::Level& level : levels_) {
      Frame& frame = answer.frames.emplace_back();
      frame.name = level.name;
      frame.file = level.file;
      frame.line = level.line;
      frame.inlined = level.inlined;
      if (!level.inlined) frame.offset = answer.module_offset - level.start;
    }
    if (answer.frames.empty() || answer.frames.back().inlined) answer.frames.emplace_back();
    Frame& last = answer.frames.back();
    std::string_view of_source = levels_.empty() || levels_.back().inlined ? "" : levels_.back().mangled;
    if (known) {
      if (!is_copy(found.name, of_source)) last.name = plain_name(index, found.name);
      last.offset = found.offset;
    }
    if (last.name.empty()) answer.reason = index.functions.empty() ? Reason::stripped : Reason::no_symbol;
  }

  // Each symbol's is demangled once.
  std::string_view plain_name(Index& index, std::string_view symbol) {
    auto [known, fresh] = index.names.try_emplace(symbol.data());
    if (fresh) known->second = texts_.demangled(symbol);
    return known->second;
  }

  // Drops what was longest unused, but for the one in use, until the rest fits.
  void trim(const LoadedFile* in_use) {
    for (;;) {
      std::size_t sum = texts_.memory();
      LoadedFile* oldest = nullptr;
      auto look = [&](LoadedFile& file) {
        if (!file.index) return;
        sum += file.index->memory();
        if (&file != in_use && (!oldest || file.index->used < oldest->index->used)) oldest = &file;
      };
      for (auto& [key, file] : files_) look(file);
      for (auto& [key, file] : vdsos_) look(file);
      if (sum <= settings_.memory || !oldest) return;
      oldest->index.reset();
    }
  }

  Settings settings_;
  Texts texts_;
  KernelSymbols kernel_;
  bool kernel_read_ = false;
  std::map<std::string, Module> kernel_modules_;
  std::map<FileKey, LoadedFile> files_;
  std::map<std::string, LoadedFile> vdsos_;
  std::map<std::uint32_t, SeenProcess> processes_;
  Module jit_{.kind = ModuleKind::jit, .path = "[jit]", .build_id = {}, .number = 1};
  std::uint64_t modules_ = 1, clock_ = 0;
  std::vector<DwarfIndex::Level> levels_;
};

}  // namespace

std::unique_ptr<Symbolizer> make_native(const Settings& settings) { return std::make_unique<Native>(settings); }

std::vector<Backend>& all_backends() {
  static std::vector<Backend> all = {{"native", make_native}};
  return all;
}

}  // namespace blazesym
