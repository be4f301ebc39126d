// SPDX-License-Identifier: BSD-2-Clause
// What the trials of programs and those of rights share.
#pragma once

#include <linux/bpf.h>

#include <string>

#include "kit/handle.hpp"
#include "kit/trials.hpp"

namespace kit {

// "root, or CAP_BPF": what gives the missing capabilities. Empty if none that all programs need is missing.
std::string missing_rights();
// Whether programs of this type may call a helper (BPF_FUNC_...): the verifier says so before it looks at arguments.
bool may_call(bpf_prog_type type, std::int32_t helper);
// Whether security modules of BPF are run, not only taken.
Trial try_lsm();

inline Trial works(std::string what, std::string found = {}) { return {std::move(what), true, std::move(found), {}}; }
inline Trial fails(std::string what, std::string found, std::string remedy) {
  return {std::move(what), false, std::move(found), std::move(remedy)};
}

}  // namespace kit
