// SPDX-License-Identifier: BSD-2-Clause
// Files that a tool writes besides its rows, in the end: which were asked for, and that they can be written.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "kit/options.hpp"
#include "kit/session.hpp"

namespace kit {

// Text that others chose, for a picture: no control bytes, no bytes that are not UTF-8, nothing that ends a line.
std::string picture_text(std::string_view text);

// The bytes of a file that can be read.
std::string read_file_of(const std::string& path);

class PictureFiles {
 public:
  using Content = std::function<std::string(const std::string& path)>;
  // An option that names such a file. `check` may say what is wrong with the name.
  void declare(Options& options, const char* name, const char* about, Content content,
               std::string (*check)(std::string_view path) = nullptr);
  bool wanted() const { return !wanted_.empty(); }
  bool wanted(std::string_view option) const;
  // After the command line was read: refuses two outputs on standard output, and looks whether files can be written.
  void begin(Session& session) const;
  void write() const;

 private:
  struct File {
    const char* option;
    std::string path;
    Content content;
  };
  std::vector<File> wanted_;
};

}  // namespace kit
