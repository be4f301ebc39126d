// SPDX-License-Identifier: BSD-2-Clause
// Files of text, as those of /proc and /sys, which do not know their size. Not by the C++ library's streams: with these
// come half a megabyte of locales, into each tool.
#pragma once

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

namespace blazesym {

// All of a file, but at most about so many bytes; nothing where it cannot be read.
std::string read_text(const std::string& path, std::size_t most = std::size_t{1} << 24);

// The lines of a file, one after the other; none where it cannot be read.
class Lines {
 public:
  explicit Lines(const std::string& path) : file_(std::fopen(path.c_str(), "re")) {}
  Lines(const Lines&) = delete;
  ~Lines() { std::free(line_); }
  // Gives the next one, without its end. False behind the last.
  bool next(std::string& line);

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::unique_ptr<std::FILE, Close> file_;
  char* line_ = nullptr;  // getline(3)'s
  std::size_t size_ = 0;
};

}  // namespace blazesym
