// SPDX-License-Identifier: BSD-2-Clause
#include "unwind_modules.hpp"

#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>

#include "kit/text.hpp"

namespace kit {
namespace {

constexpr std::uint64_t page_size = 4096;

// A build id alone is what the file claims.
std::string key_of(const Elf& file, const std::vector<CallFrames>& frames) {
  std::string key = file.build_id();
  for (const CallFrames& section : frames)
    key += cat(' ', section.bytes.size(), ' ', std::hash<std::string>()(section.bytes));
  for (const ElfSegment& part : file.segments())
    if (part.executable) key += cat(' ', part.address, ' ', part.offset);
  return key;
}

std::int64_t micros(std::chrono::steady_clock::duration time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time).count();
}

// Adds one that may be larger than the kernel's form of it can tell.
void add_range(std::uint64_t start, std::uint64_t end, std::uint64_t delta, std::uint16_t piece,
               std::vector<kit_unwind_range>& ranges) {
  constexpr std::uint64_t most = std::uint64_t{UINT16_MAX} * page_size;
  for (std::uint64_t at = start; at < end; at += most) {
    std::uint64_t pages = (std::min(end - at, most) + page_size - 1) / page_size;
    ranges.push_back({at, static_cast<std::uint32_t>(delta + (at - start)), static_cast<std::uint16_t>(pages), piece});
  }
}

}  // namespace

void add_ranges(const MappedCode& code, std::vector<kit_unwind_range>& ranges) {
  if (!code.module || code.module->pieces.empty()) {
    add_range(code.start, code.end, 0, code.jit ? KIT_UNWIND_JIT : KIT_UNWIND_NO_TABLE, ranges);
    return;
  }
  const UnwindModule& module = *code.module;
  for (const ElfSegment& part : module.code) {
    // Mappings begin and end at pages, segments need not.
    std::uint64_t begin = part.offset / page_size * page_size;
    if (code.offset < begin || code.offset - begin >= part.file_size + (part.offset - begin)) continue;
    std::uint64_t here = code.offset - part.offset + part.address;  // what code.start is in the file's terms
    std::uint64_t behind = here + (code.end - code.start);
    for (std::size_t i = 0; i < module.pieces.size(); i++) {
      std::uint64_t from = std::max(here, module.pieces[i].start);
      std::uint64_t to = i + 1 < module.pieces.size() ? std::min(behind, module.pieces[i + 1].start) : behind;
      if (from < to)
        add_range(code.start + (from - here), code.start + (to - here), from - module.pieces[i].start,
                  module.pieces[i].number, ranges);
    }
    return;
  }
  add_range(code.start, code.end, 0, KIT_UNWIND_NO_TABLE, ranges);
}

// A table for which there was no room may have some now.
bool UnwindModules::is_current(const HeldModule& module) const {
  return module && !(module->lacking && pools_.has_room(module->lacking));
}

HeldModule UnwindModules::of_file(Fd file, const std::string& path) {
  struct stat status {};
  if (!file || fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) return nullptr;
  auto changed = status.st_mtim.tv_sec * std::int64_t{1'000'000'000} + status.st_mtim.tv_nsec;
  FileKey key{status.st_dev, status.st_ino, changed};
  Seen& seen = files_[key];
  HeldModule module = seen.module.lock();
  if (seen.none || is_current(module)) return module;
  module = read(file, path);
  files_[key] = {module, !module};
  return module;
}

HeldModule UnwindModules::of_image(const std::string& image, const std::string& path) {
  HeldModule module = images_[image].lock();
  if (is_current(module)) return module;
  Fd file(memfd_create("image", MFD_CLOEXEC));
  if (file && write(file.get(), image.data(), image.size()) == static_cast<ssize_t>(image.size()))
    module = read(file, path);
  images_[image] = module;
  return module;
}

void UnwindModules::let_go() {
  std::vector<UnwindPiece> pieces;
  std::erase_if(builds_, [&](const auto& one) {
    if (one.second.use_count() > 1) return false;
    pieces.insert(pieces.end(), one.second->pieces.begin(), one.second->pieces.end());
    freed_ += !one.second->pieces.empty();
    return true;
  });
  std::erase_if(files_, [](const auto& one) { return one.second.module.expired(); });
  std::erase_if(images_, [](const auto& one) { return one.second.expired(); });
  pools_.free(pieces);
}

void UnwindModules::put(const UnwindTable& table, UnwindModule& module, std::uint64_t lowest) {
  auto pieces = pools_.put(table, lowest);
  if (!pieces) {
    forget_();
    let_go();
    pieces = pools_.put(table, lowest);
  }
  if (pieces) {
    module.pieces = std::move(*pieces);
    module.bytes = table.rows.size() * sizeof(kit_unwind_row);
  } else {
    module.lacking = 1 + std::min<std::uint32_t>(unwind_pages(table), KIT_UNWIND_PAGES - 1);
    roomless_.insert(module.path);
  }
}

HeldModule UnwindModules::read(const Fd& file, const std::string& path) try {
  // Of programs that end soon, as those of a build, there may be any number in time.
  constexpr std::size_t most = 16384;
  if (builds_.size() >= most || files_.size() >= 2 * most) {
    forget_();
    let_go();
  }
  auto begin = std::chrono::steady_clock::now();
  Elf elf(cat("/proc/self/fd/", file.get()), path);
  std::vector<CallFrames> frames = call_frames(elf);
  std::string key = key_of(elf, frames);
  if (auto found = builds_.find(key); found != builds_.end() && is_current(found->second)) return found->second;
  auto module = std::make_shared<UnwindModule>();
  module->path = path;
  module->build_id = elf.build_id();
  std::uint64_t lowest = UINT64_MAX;
  for (const ElfSegment& part : elf.segments()) {
    if (!part.executable) continue;
    module->code.push_back(part);
    lowest = std::min(lowest, part.address / page_size * page_size);
  }
  UnwindTable table = make_unwind_table(frames);
  module->whole = table.whole;
  if (!table.whole) cut_.insert(path);
  module->rows = table.rows.size();
  module->unsupported = table.unsupported();
  if (!table.rows.empty()) put(table, *module, lowest);
  module->made_us = static_cast<std::size_t>(micros(std::chrono::steady_clock::now() - begin));
  builds_[key] = module;
  return module;
} catch (const Failure&) {
  return nullptr;  // no ELF file
}

}  // namespace kit
