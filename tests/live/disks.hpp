// SPDX-License-Identifier: BSD-2-Clause
// Disks made for a test and unmade in the end: loop devices, partitions of them, zram, device-mapper on top of others.
// By ioctl(2) and sysfs alone, since a guest has no programs for them.
#pragma once

#include <linux/blkpg.h>
#include <linux/dm-ioctl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include <cstdio>

#include "harness.hpp"

namespace live {

// What the kernel counts of a disk (Documentation/block/stat.rst).
struct DiskCounts {
  std::uint64_t reads, read_merges, read_sectors, read_ms, writes, write_merges, write_sectors, write_ms, in_flight,
      busy_ms, waiting_ms, discards, discard_merges, discard_sectors, discard_ms, flushes;
};

class Disk {
 public:
  const std::string& name() const { return name_; }
  std::string path() const { return "/dev/" + node_; }
  DiskCounts counts() const {
    DiskCounts counts{};
    std::ifstream file("/sys/class/block/" + node_ + "/stat");
    for (auto* number = &counts.reads; number <= &counts.flushes; number++) file >> *number;
    return counts;
  }
  dev_t number() const {
    struct stat status {};
    if (stat(path().c_str(), &status) != 0) throw std::runtime_error("there is no " + path());
    return status.st_rdev;
  }

 protected:
  std::string name_;  // as the tools are to show it
  std::string node_;  // of the file in /dev
};

class LoopDisk : public Disk {
 public:
  explicit LoopDisk(std::uint64_t bytes = 64 << 20) {
    std::string file = folder_.path() + "/disk";
    Fd backing(open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (ftruncate(backing.get(), static_cast<off_t>(bytes)) != 0) throw std::runtime_error("no room in " + file);
    // Somebody else may take the one that was free.
    for (int tries = 0; !take(backing); tries++)
      if (errno != EBUSY || tries == 100) throw std::runtime_error("no loop device: " + std::string(strerror(errno)));
    // The kernel takes it back however this ends.
    loop_info64 info{};
    ioctl(disk_.get(), LOOP_GET_STATUS64, &info);
    info.lo_flags |= LO_FLAGS_AUTOCLEAR;
    ioctl(disk_.get(), LOOP_SET_STATUS64, &info);
  }
  ~LoopDisk() {
    // Without its partitions, if it has any.
    blkpg_partition partition{};
    partition.pno = 1;
    blkpg_ioctl_arg remove{.op = BLKPG_DEL_PARTITION, .flags = 0, .datalen = sizeof partition, .data = &partition};
    ioctl(disk_.get(), BLKPG, &remove);
    ioctl(disk_.get(), LOOP_CLR_FD);
  }
  int fd() const { return disk_.get(); }

 private:
  // Locked for as long as it is ours: udev then reads nothing of it (systemd.io/BLOCK_DEVICE_LOCKING).
  bool take(const Fd& backing) {
    Fd control(open("/dev/loop-control", O_RDWR | O_CLOEXEC));
    name_ = node_ = "loop" + std::to_string(ioctl(control.get(), LOOP_CTL_GET_FREE));
    disk_ = Fd(open(path().c_str(), O_RDWR | O_CLOEXEC));
    return flock(disk_.get(), LOCK_EX) == 0 && ioctl(disk_.get(), LOOP_SET_FD, backing.get()) == 0;
  }

  test::TemporaryDirectory folder_;
  Fd disk_;
};

// The only partition of a loop device, from its first MiB on. By a table on the disk, since kernels like 6.1 read that
// again when the disk is opened, and drop what is not in it; by hand where the kernel reads no such tables.
class Partition : public Disk {
 public:
  static constexpr std::uint32_t start = 1 << 20, size = 32 << 20;
  explicit Partition(const LoopDisk& of) {
    unsigned char table[512] = {};
    std::uint32_t place[2] = {start / 512, size / 512};
    table[446 + 4] = 0x83;
    std::memcpy(table + 446 + 8, place, sizeof place);
    table[510] = 0x55;
    table[511] = 0xaa;
    loop_info64 info{};
    bool made = pwrite(of.fd(), table, sizeof table, 0) == sizeof table && fsync(of.fd()) == 0 &&
                ioctl(of.fd(), LOOP_GET_STATUS64, &info) == 0;
    info.lo_flags |= LO_FLAGS_PARTSCAN;
    if (!made || ioctl(of.fd(), LOOP_SET_STATUS64, &info) != 0)
      throw std::runtime_error("no partition: " + std::string(strerror(errno)));
    name_ = node_ = of.name() + "p1";
    if (access(path().c_str(), F_OK) != 0) add(of);
  }

 private:
  static void add(const LoopDisk& of) {
    blkpg_partition partition{};
    partition.start = start;
    partition.length = size;
    partition.pno = 1;
    blkpg_ioctl_arg argument{.op = BLKPG_ADD_PARTITION, .flags = 0, .datalen = sizeof partition, .data = &partition};
    if (ioctl(of.fd(), BLKPG, &argument) != 0)
      throw std::runtime_error("no partition: " + std::string(strerror(errno)));
  }
};

// Compressed memory: a disk that takes bios as they are.
class ZramDisk : public Disk {
 public:
  ZramDisk() {
    int number = -1;
    std::ifstream("/sys/class/zram-control/hot_add") >> number;
    if (number < 0) throw std::runtime_error("no zram device");
    name_ = node_ = "zram" + std::to_string(number);
    if (!(std::ofstream("/sys/block/" + node_ + "/disksize") << "32M" << std::flush))
      throw std::runtime_error("no size of " + node_);
  }
  ~ZramDisk() {
    std::ofstream("/sys/block/" + node_ + "/reset") << "1";
    std::ofstream("/sys/class/zram-control/hot_remove") << node_.substr(4);
  }
};

// Device-mapper's linear target: another disk under a name of its own.
class MappedDisk : public Disk {
 public:
  MappedDisk(const std::string& name, const Disk& beneath, std::uint64_t sectors) {
    name_ = name;
    control_ = Fd(open("/dev/mapper/control", O_RDWR | O_CLOEXEC));
    Request create = request(), load = request(), resume = request();
    call(DM_DEV_CREATE, create);
    node_ = "dm-" + std::to_string(minor(static_cast<dev_t>(create.head.dev)));
    load.head.target_count = 1;
    load.target.length = sectors;
    std::strcpy(load.target.target_type, "linear");
    dev_t number = beneath.number();
    std::snprintf(load.parameters, sizeof load.parameters, "%u:%u 0", major(number), minor(number));
    call(DM_TABLE_LOAD, load);
    call(DM_DEV_SUSPEND, resume);
  }
  ~MappedDisk() {
    Request remove = request();
    ioctl(control_.get(), DM_DEV_REMOVE, &remove);
  }
  // I/O that is submitted from now on waits for resume().
  void suspend() {
    Request suspend = request();
    suspend.head.flags |= DM_SUSPEND_FLAG | DM_SKIP_LOCKFS_FLAG | DM_NOFLUSH_FLAG;
    call(DM_DEV_SUSPEND, suspend);
  }
  void resume() {
    Request resume = request();
    call(DM_DEV_SUSPEND, resume);
  }

 private:
  struct Request {
    dm_ioctl head;
    dm_target_spec target;
    char parameters[64];
  };
  Request request() const {
    Request one{};
    one.head.version[0] = 4;
    one.head.data_size = sizeof one;
    one.head.data_start = offsetof(Request, target);
    std::snprintf(one.head.name, sizeof one.head.name, "%s", name_.c_str());
    return one;
  }
  void call(unsigned long what, Request& request) {
    if (ioctl(control_.get(), what, &request) != 0)
      throw std::runtime_error("device-mapper: " + std::string(strerror(errno)));
  }
  Fd control_;
};

}  // namespace live
