// SPDX-License-Identifier: BSD-2-Clause
// BPF programs inside a tool, compressed by scripts/pack-skeleton.
#pragma once

#include <cstddef>
#include <string_view>

namespace kit {

// Inflates gzip data of `size` bytes; `*unpacked_size` is set to `unpacked`, the size it must come out at. The bytes
// stay until drop_unpacked(). Throws Failure if they are not what was packed.
const void* unpack(const unsigned char* packed, std::size_t size, std::size_t unpacked, std::size_t* unpacked_size);

// What was inflated last; empty if nothing was since drop_unpacked().
std::string_view unpacked();

// libbpf has copied what it needs when an object is open.
void drop_unpacked();

}  // namespace kit
