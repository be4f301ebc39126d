// SPDX-License-Identifier: BSD-2-Clause
#include "kit/suite.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "kit/handle.hpp"
#include "kit/sink.hpp"
#include "kit/text.hpp"

namespace kit {
namespace {

bool one_file = false;

// This tool's own file bears its name ("corekit-doctor"): that part is exchanged.
std::string file_of(const std::string& name, const std::string& self) {
  std::error_code none;
  std::filesystem::path own = std::filesystem::read_symlink("/proc/self/exe", none);
  if (one_file) return own;
  std::string file = own.filename();
  if (std::size_t at = file.rfind(self); at != file.npos) file.replace(at, self.size(), name);
  return own.parent_path() / file;
}

// What a program writes to its standard output and error, and its status.
struct Told {
  std::string text;
  int status = 0;
};

Told listen(const std::string& file, const std::string& name) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw Failure(Exit::failed, cat("cannot create a pipe: ", error_text(errno)));
  Fd read_end(ends[0]), write_end(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDERR_FILENO);
  std::string option = "--explain";
  char* words[] = {const_cast<char*>(name.c_str()), option.data(), nullptr};
  pid_t child = 0;
  int error = posix_spawn(&child, file.c_str(), &actions, nullptr, words, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error) return {error == ENOENT ? cat("is not installed: ", file) : error_text(error), -1};
  write_end.reset();
  Told told;
  char block[4096];
  for (ssize_t size; (size = read(read_end.get(), block, sizeof block)) > 0;) told.text.append(block, size);
  waitpid(child, &told.status, 0);
  return told;
}

}  // namespace

const std::vector<std::string>& suite_tools() {
  static const std::vector<std::string> all = {
#define BOX_TOOL(name) #name,
#include "box_tools.inc"
#undef BOX_TOOL
  };
  return all;
}

void tools_share_one_file() { one_file = true; }

ToolVerdict ask_tool(const std::string& name, const std::string& self) {
  Told told = listen(file_of(name, self), name);
  ToolVerdict verdict = parse_explanation(told.text);
  if (verdict.form.empty()) verdict.lack = {told.text.substr(0, told.text.find('\n'))};
  return verdict;
}

// "EVENT: WAY", then its lines, which begin with two blanks and a word; last "form: FORM".
ToolVerdict parse_explanation(const std::string& text) {
  constexpr std::size_t word_width = 11;  // "  misses   "
  ToolVerdict verdict;
  std::string event, way;
  for (std::string_view part : split(text, '\n')) {
    std::string line(part), rest = line.substr(std::min(line.size(), word_width));
    if (line.starts_with("form: ")) {
      verdict.form = line.substr(6);
    } else if (line.starts_with("  misses ")) {
      verdict.lack.push_back(rest);
    } else if (line.starts_with("  refused ")) {
      verdict.why.push_back(rest);
    } else if (std::size_t colon = line.find(": "); !line.starts_with(' ') && colon != line.npos) {
      event = line.substr(0, colon);
      way = line.substr(colon + 2);
      if (way == no_way_text)
        verdict.lack.push_back(cat(event, " ", way));
      else
        verdict.sees += cat(verdict.sees.empty() ? "" : ", ", event, " by ", way);
    }
  }
  return verdict;
}

}  // namespace kit
