// SPDX-License-Identifier: BSD-2-Clause
// Brings a BPF object into the kernel: against which types, and what of it must be other on an older kernel.
#pragma once

#include <bpf/libbpf.h>

#include <string>

namespace kit {

// Where programs are opened next, their types come from this file (--btf) rather than from the running kernel.
void use_types_of(const std::string& file);

// Puts the wanted types together, suits maps to the kernel and loads. Returns 0 or what libbpf returned.
int load_object(bpf_object* object, bpf_object_skeleton* skeleton);

}  // namespace kit
