// SPDX-License-Identifier: BSD-2-Clause
// Brings a BPF object into the kernel: against which types, and what of it must be other on an older kernel.
#pragma once

#include <bpf/libbpf.h>

#include <string>

namespace kit {

// Where programs are opened next, their types come from this file (--btf) rather than from the running kernel. If none
// is named and the kernel offers none, from RELEASE.btf of the directory COREKIT_BTF_DIR, if it is there.
void use_types_of(const std::string& file);
// Throws where there are no types to be had.
void require_types();

// Puts the wanted types together, suits maps to the kernel and loads. Returns 0 or what libbpf returned.
int load_object(bpf_object* object, bpf_object_skeleton* skeleton);
// Whether maps count as locked memory here (before 5.11, with struct bpf_map_memory), of which there is a limit.
bool locks_memory();

}  // namespace kit
