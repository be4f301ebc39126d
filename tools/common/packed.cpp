// SPDX-License-Identifier: BSD-2-Clause
#include "kit/packed.hpp"

#include <zlib.h>

#include <vector>

#include "kit/failure.hpp"

namespace kit {
namespace {

std::vector<unsigned char>& unpacked_bytes() {
  static std::vector<unsigned char> bytes;
  return bytes;
}

}  // namespace

const void* unpack(const unsigned char* packed, std::size_t size, std::size_t unpacked, std::size_t* unpacked_size) {
  std::vector<unsigned char>& bytes = unpacked_bytes();
  bytes.resize(unpacked);
  z_stream stream{};
  stream.next_in = const_cast<unsigned char*>(packed);
  stream.avail_in = static_cast<unsigned>(size);
  stream.next_out = bytes.data();
  stream.avail_out = static_cast<unsigned>(unpacked);
  constexpr int gzip_window = 15 + 16;
  bool whole = inflateInit2(&stream, gzip_window) == Z_OK && inflate(&stream, Z_FINISH) == Z_STREAM_END &&
               stream.total_out == unpacked;
  inflateEnd(&stream);
  if (!whole) throw Failure(Exit::failed, "the built-in BPF program is damaged; build or install the tool again");
  *unpacked_size = unpacked;
  return bytes.data();
}

std::string_view unpacked() {
  std::vector<unsigned char>& bytes = unpacked_bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void drop_unpacked() { std::vector<unsigned char>().swap(unpacked_bytes()); }

}  // namespace kit
