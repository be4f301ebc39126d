// SPDX-License-Identifier: BSD-2-Clause
// The frontend's side of bpf/lib/block.bpf.h: how I/O is seen on this kernel, which disks there are, what they are
// called.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kit/attach.hpp"
#include "kit/handle.hpp"
#include "kit/session.hpp"
#include "kit/table.hpp"

namespace kit {

// A disk or a partition, as --disk names it: "sda", "sda1", "/dev/disk/by-label/home", a device-mapper name.
struct Disk {
  std::uint32_t number = 0;  // as the kernel has it: major << 20 | minor; 0: none was named
  std::string name;
};
std::string parse_value(std::string_view text, Disk& value);

// What tools that count I/O have in common: the options that tell it apart, and the keys that these add to histograms.
struct BlockGroups {
  bool per_disk = false, per_operation = false;
  Disk disk;
  void declare(Options& options);
  void add_keys(Histogram::Key& to, const Session& session, std::uint32_t number, std::uint32_t operation) const;
};

// What a tool wants to know of each I/O, besides what, where and how long.
struct BlockNeeds {
  bool process = false;  // who submitted it
  bool thread = true;    // its name is the thread's, not that of the thread's process
  bool latency = true;   // when it was issued; a tool that asks only for sizes costs less
  bool queue = false;    // how long it waited before it was issued: the tool cannot do without
  bool merges = false;   // how many were joined to it
  bool disks = true;     // which disk it is of
  Disk disk;             // only of this one
};

// Sets the knobs of bpf/lib/block.bpf.h and gives the ways in which this kernel may show I/O.
AttachPlan block_plan(bpf_object* object, const Session& session, const BlockNeeds& needs);

// "sda1"; of a device-mapper disk the name that it was given. As the kernel says now, or the capture that is replayed.
Cell disk_cell(const Session& session, std::uint32_t number);

// How the kernel spells an operation and its flags: "R", "WS", "FF" (blk_fill_rwbs() in kernel/trace/blktrace.c).
std::string block_rwbs(std::uint32_t flags);
// The operation alone: "read", "write", "flush", "discard"...
std::string block_operation(std::uint32_t flags);

}  // namespace kit
