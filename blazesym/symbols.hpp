// SPDX-License-Identifier: BSD-2-Clause
// Names for addresses: the seam between tools and whatever knows symbols. A batch of addresses goes in, an answer for
// each comes out, in order: frames, with inlined functions nested, or the reason why there is no name.
//
// For each file an index is made once, when it is first asked of, and kept: nothing is searched from end to end for one
// address. What indexes take up is bounded (Settings::memory); the longest unused is dropped and, if asked of again,
// made again.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace blazesym {

// Why an address has no name, or less of one.
enum class Reason : std::uint8_t {
  none,         // it has a name
  unmapped,     // no mapping of the process was there when it was looked at
  gone,         // the process had ended before its mappings could be read
  replaced,     // another file was mapped there before, as by exec, and which of the two it was is not known
  denied,       // not permitted: /proc/kallsyms shows no addresses, /proc/PID/maps belongs to someone else
  no_file,      // the mapped file cannot be opened
  broken_file,  // it is no ELF file, or a damaged one
  stripped,     // it has no symbols, and no debug file was found
  no_symbol,    // it has symbols, but none at this place
  jit,          // code that was made at run time, with no /tmp/perf-PID.map that names it
};
const char* reason_text(Reason reason);

enum class ModuleKind : std::uint8_t { kernel, kernel_module, bpf, file, vdso, jit };

// Where an address lies. Kept until Symbolizer::forget().
struct Module {
  ModuleKind kind = ModuleKind::file;
  std::string path;          // "[kernel]", "[module]", "[bpf]", "[vdso]", or a path as the process has it
  std::string build_id;      // hexadecimal; empty: none
  std::uint64_t number = 0;  // of its own, from 1
};

// Text lives until Symbolizer::forget().
struct Frame {
  std::string_view name;     // demangled; empty: none
  std::uint64_t offset = 0;  // from the function's beginning; of an inlined one always 0
  std::string_view file;     // of the source; empty: not known
  std::uint32_t line = 0;    // 0: not known
  bool inlined = false;
};

struct Symbol {
  std::uint64_t address = 0;     // as it was asked
  std::vector<Frame> frames;     // innermost first: inlined functions, then the one they were inlined into
  Reason reason = Reason::none;  // why the last frame has no name
  const Module* module = nullptr;
  std::uint64_t module_offset = 0;  // of a file: the address in its symbols' terms
};

struct Settings {
  std::size_t memory = std::size_t{256} << 20;  // bytes for indexes and texts
  bool lines = true;                            // inlined functions and source lines, where there is DWARF
  std::string backend;                          // empty: the best there is
  std::vector<std::string> debug_directories = {"/usr/lib/debug"};
};

class Symbolizer {
 public:
  virtual ~Symbolizer() = default;
  virtual std::vector<Symbol> kernel(std::span<const std::uint64_t> addresses) = 0;
  // Of a process as see() found it; it is seen now if it was not. Of a return address, as all but the first of a stack
  // are, the caller asks for the byte before: that belongs to the call.
  virtual std::vector<Symbol> process(std::uint32_t pid, std::span<const std::uint64_t> addresses) = 0;
  // Of a file, in its own terms (as nm and readelf show them).
  virtual std::vector<Symbol> file(const std::string& path, std::span<const std::uint64_t> addresses) = 0;
  // Reads a process's mappings and opens what is mapped, so that it keeps its names when it ends. Again when it may
  // have loaded more.
  virtual void see(std::uint32_t pid) = 0;
  // The answers so far are no longer used: lets go of processes that had ended when this was called the last time, of
  // files when there are many that no process has mapped, and of texts where these, which go together, are too many.
  virtual void forget() = 0;
  // Bytes of indexes and texts that are kept.
  virtual std::size_t memory() const = 0;
};

// The backends that this build has, best first.
std::vector<std::string> backends();
// Throws std::runtime_error for a backend that there is not.
std::unique_ptr<Symbolizer> make_symbolizer(const Settings& settings);

}  // namespace blazesym
