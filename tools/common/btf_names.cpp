// SPDX-License-Identifier: BSD-2-Clause
#include "btf_names.hpp"

#include <fcntl.h>
#include <linux/btf.h>
#include <sys/stat.h>

#include <cstring>
#include <utility>

#include "kit/handle.hpp"

namespace kit {
namespace {

// How many bytes follow a type's fixed part.
std::size_t extra_bytes(const btf_type& type) {
  std::size_t count = BTF_INFO_VLEN(type.info);
  switch (BTF_INFO_KIND(type.info)) {
    case BTF_KIND_INT:
    case BTF_KIND_VAR:
    case BTF_KIND_DECL_TAG: return 4;
    case BTF_KIND_ARRAY: return sizeof(struct btf_array);
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION: return count * sizeof(struct btf_member);
    case BTF_KIND_ENUM: return count * sizeof(struct btf_enum);
    case BTF_KIND_FUNC_PROTO: return count * sizeof(struct btf_param);
    case BTF_KIND_DATASEC: return count * sizeof(struct btf_var_secinfo);
    case BTF_KIND_ENUM64: return count * 12;
    default: return 0;
  }
}

}  // namespace

BtfNames BtfNames::of_kernel() {
  Fd file(open("/sys/kernel/btf/vmlinux", O_RDONLY | O_CLOEXEC));
  struct stat status {};
  std::string data;
  if (!file || fstat(file.get(), &status) != 0) return BtfNames(data);
  data.resize(static_cast<std::size_t>(status.st_size));
  // A page at a time is all that the kernel gives.
  std::size_t have = 0;
  while (have < data.size()) {
    ssize_t size = read(file.get(), data.data() + have, data.size() - have);
    if (size <= 0) return BtfNames(std::string());
    have += static_cast<std::size_t>(size);
  }
  return BtfNames(std::move(data));
}

BtfNames::BtfNames(std::string data) : data_(std::move(data)) {
  btf_header header;
  if (data_.size() < sizeof header) return;
  std::memcpy(&header, data_.data(), sizeof header);
  std::string_view rest = data_;
  if (header.magic != BTF_MAGIC || header.hdr_len > rest.size()) return;
  rest.remove_prefix(header.hdr_len);
  auto inside = [&](std::uint64_t at, std::uint64_t size) { return at + size <= rest.size(); };
  if (!inside(header.type_off, header.type_len) || !inside(header.str_off, header.str_len)) return;
  types_ = rest.substr(header.type_off, header.type_len);
  strings_ = rest.substr(header.str_off, header.str_len);
}

std::uint32_t BtfNames::find(std::string_view name, std::uint32_t kind) const {
  // Every string stands once, between NULs; types refer to it by its place.
  std::string wanted = '\0' + std::string(name) + '\0';
  std::size_t place = strings_.find(wanted);
  if (place == strings_.npos) return 0;
  std::string_view left = types_;
  for (std::uint32_t id = 1; left.size() >= sizeof(struct btf_type); id++) {
    btf_type type;
    std::memcpy(&type, left.data(), sizeof type);
    if (type.name_off == place + 1 && BTF_INFO_KIND(type.info) == kind) return id;
    std::size_t size = sizeof type + extra_bytes(type);
    if (size > left.size()) return 0;
    left.remove_prefix(size);
  }
  return 0;
}

}  // namespace kit
