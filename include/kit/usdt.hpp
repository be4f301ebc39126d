// SPDX-License-Identifier: BSD-2-Clause
// USDT probes: places that a program's authors have marked, with their arguments, as its ELF notes tell them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kit/elf.hpp"
#include "kit/fetch.h"

namespace kit {

// Where an argument is when the probe is hit, as the assembler saw it: "-4@%edi", "8@-8(%rbp)", "4@[sp, 12]", "4@$5".
struct UsdtArgument {
  std::string text;
  int bits = 64;
  bool is_signed = false;
  std::vector<fetch_step> steps;
  std::string refused;  // why it cannot be fetched; empty: it can
};

// One place. A probe of one name may be in many.
struct UsdtProbe {
  std::string provider, name;
  std::uint64_t address = 0, offset = 0;  // where it is: the file's own address, and in the file
  std::uint64_t semaphore = 0;            // in the file; 0: it has none
  std::vector<UsdtArgument> arguments;
};

// All that the file has, sorted by provider, name and place. What is damaged is left out.
std::vector<UsdtProbe> usdt_probes(const Elf& elf);
// Arguments apart: on arm64 there are blanks within brackets.
std::vector<std::string_view> split_usdt_arguments(std::string_view text);
// `address` is the probe's, `symbol_address` says where a symbol is, for "4@counter(%rip)".
UsdtArgument parse_usdt_argument(std::string_view text, unsigned machine, std::uint64_t address,
                                 const std::function<std::optional<std::uint64_t>(std::string_view)>& symbol_address);

}  // namespace kit
