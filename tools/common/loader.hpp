// SPDX-License-Identifier: BSD-2-Clause
// Brings a BPF object into the kernel: against which types, and what of it must be other on an older kernel.
#pragma once

#include <bpf/libbpf.h>

#include <cstdint>
#include <string>

#include "kit/fetch.h"

namespace kit {

// Where programs are opened next, their types come from this file (--btf) rather than from the running kernel. If none
// is named and the kernel offers none, from RELEASE.btf of the directory COREKIT_BTF_DIR, if it is there.
void use_types_of(const std::string& file);
// Where the kernel's types are: that file, or what the kernel offers.
std::string kernel_types_file();
// Throws where there are no types to be had.
void require_types();

// Since 6.7, with which links tell what they missed (e2b2cd592a9f), as the type of what is told of a link shows:
// whether the kernel counts which runs of programs at kprobes and tracepoints it skips.
bool counts_skips_of_events();

// Puts the wanted types together, suits maps to the kernel and loads. Returns 0 or what libbpf returned.
int load_object(bpf_object* object, bpf_object_skeleton* skeleton);
// Before load: room for so many entries, as far as a kernel before 6.1, where all are made beforehand, gives it for 64
// MiB; a map that nobody asked about has 16 there.
void ask_for_room(bpf_map* map, std::uint32_t entries);
// Whether maps count as locked memory here (before 5.11, with struct bpf_map_memory), of which there is a limit.
bool locks_memory();

// A program of bpf/lib/hit.bpf.h is loaded by libbpf once, and by us once more for each place where the kernel does not
// tell which place was hit (`cookie`) or where it attaches by the program's own type (`type_id`, among the kernel's).
struct ProgramCopy {
  std::uint64_t cookie = FETCH_COOKIE;  // that: none, the kernel tells it
  std::uint32_t type_id = 0;
};
// Before load: what the program that libbpf loads is to be, for libbpf cannot load one of no type.
void set_first_copy(const bpf_program* program, const ProgramCopy& copy);
// After load. Returns -1 and errno where the kernel refuses.
int load_copy(const bpf_program* program, const ProgramCopy& copy);

}  // namespace kit
