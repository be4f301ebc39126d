// SPDX-License-Identifier: BSD-2-Clause
// The lines of standard input, as many at a time as are there: who writes one and waits for its answer gets it, and a
// long list is answered in few steps.
#pragma once

#include <string>
#include <vector>

namespace kit {

class InputLines {
 public:
  // Waits for a line. False at the end.
  bool take(std::vector<std::string>& lines);

 private:
  void read(std::vector<std::string>& lines);
  std::string rest_;  // the beginning of a line
  bool over_ = false;
};

}  // namespace kit
