// SPDX-License-Identifier: BSD-2-Clause
// Starts tools and triggers, waits for what they say, and gives what was shown. For the live tests alone.
#pragma once

#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstring>
#include <fstream>
#include <functional>
#include <future>
#include <mutex>
#include <nlohmann/json.hpp>
#include <filesystem>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "case.hpp"

// Made in harness.cpp, which saves every test the compiling of it.
extern template class nlohmann::basic_json<>;
template <>
struct Catch::StringMaker<nlohmann::json> {
  static std::string convert(const nlohmann::json& value);
};

namespace live {

using Json = nlohmann::json;
using Words = std::vector<std::string>;
using std::chrono::milliseconds;
// After this long a test gives up: far more than anything takes, on a slow emulated machine too.
constexpr milliseconds patience{180'000};
constexpr int ready_fd = 100;
constexpr unsigned nobody = 65534;

inline Words operator+(Words left, const Words& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

// Whether this is a slow guest, where each start of a tool counts and one of several like cases stands for them.
inline bool brief() { return std::getenv("COREKIT_BRIEF"); }
// What loads this machine's dynamic programs, if it has glibc; a guest has it.
#ifdef __aarch64__
constexpr const char* loader = "/lib/ld-linux-aarch64.so.1";
#else
constexpr const char* loader = "/lib64/ld-linux-x86-64.so.2";
#endif
// The size of a load that is large for its own sake.
inline std::uint64_t heavy(std::uint64_t size) { return brief() ? size / 20 : size; }

class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  Fd(Fd&& from) noexcept : fd_(std::exchange(from.fd_, -1)) {}
  Fd& operator=(Fd&& from) noexcept {
    std::swap(fd_, from.fd_);
    return *this;
  }
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }
  void reset() { Fd().swap(*this); }

 private:
  void swap(Fd& other) { std::swap(fd_, other.fd_); }
  int fd_;
};

struct Pipe {
  Fd read, write;
  Pipe();
};

// What comes out of a pipe, taken by a thread so that the writer never waits.
class Pump {
 public:
  explicit Pump(Fd from);
  ~Pump();
  std::string text();
  // Waits for `enough` of the text; false if it ended, or patience did, before.
  bool wait(const std::function<bool(std::string_view)>& enough);
  void wait_end();
  // Closes our end of the pipe, as `head -1` does.
  void close();

 private:
  void run();

  Fd from_;
  Pipe end_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string text_;
  bool ended_ = false;
  std::thread thread_;
};

// How a process is started, besides its words.
struct Setup {
  std::function<void()> inside = {};  // done by the child before it becomes the program
  int out = -1;                       // its standard output, if not a pipe to us
  bool gated = false;                 // it becomes the program only after go()
  bool json = true;                   // of a tool: `-o json`
};

class Process {
 public:
  explicit Process(const Words& words, const Setup& setup = {});
  Process(const Process&) = delete;
  ~Process();

  int pid() const { return pid_; }
  std::string number() const { return std::to_string(pid_); }
  // A byte for its standard input, which a gated process and some triggers wait for.
  void go() { write("x"); }
  void close_input() { in_.reset(); }
  void write(std::string_view text);
  void send(int signal) { kill(pid_, signal); }
  Pump& out() { return out_; }
  Pump& err() { return err_; }

  bool ended(milliseconds within);
  // Its status as a shell has it: 128 + N for signal N.
  int wait();
  // Waits for a line on its standard output and gives its first word.
  std::string says();

 protected:
  // Ready, or ended before.
  void await_ready();

 private:
  Process(const Words& words, const Setup& setup, Pipe in, Pipe out, Pipe err, Pipe ready);

  static int start(const Words& words, const Setup& setup, Pipe& in, Pipe& out, Pipe& err, Pipe& ready);

  std::string name_;
  int pid_;
  std::optional<int> status_;
  Fd pidfd_, in_, ready_;
  Pump out_, err_;
};

// What a tool has shown.
struct Result {
  int status = 0;
  std::string out, err;

  std::vector<std::string> lines() const;
  Json start() const;
  Json end() const;
  // The rows that have these values, in order.
  std::vector<Json> rows(const Json& like = Json::object()) const;
  // The histograms whose keys have these values, in order.
  std::vector<Json> histograms(const Json& like = Json::object()) const;
  // The one row like this.
  Json row(const Json& like) const;
  std::size_t lines_of(const std::string& type) const;
  std::size_t row_lines() const { return lines_of("row"); }
  std::uint64_t lost() const;
  // Runs that the kernel skipped: where programs preempt each other, as in some guests, those for others' doings, too.
  std::uint64_t skipped() const;
};

// A tool that traces; the constructor returns when it is ready.
class Tool : public Process {
 public:
  Tool(const std::string& name, const Words& arguments, const Setup& setup = {});
  static Words words(const std::string& name, const Setup& setup);

  Result finish();
  Result stop(int signal = SIGINT) {
    send(signal);
    return finish();
  }
  bool shows(const std::string& text) {
    return out().wait([&](std::string_view all) { return all.find(text) != all.npos; });
  }
};

// A tool from start to end, ready or not.
Result run(const std::string& name, const Words& arguments, const Setup& setup = {});

// What `ask` gives for each, some at once: most of a run is waiting. CHECK is for one thread, so not for `ask`.
template <class Each, class Ask>
auto at_once(const std::vector<Each>& all, const Ask& ask) {
  constexpr std::size_t width = 4;
  std::vector<decltype(ask(all[0]))> given;
  for (std::size_t first = 0; first < all.size(); first += width) {
    std::vector<std::future<decltype(ask(all[0]))>> asked;
    for (std::size_t i = first; i < std::min(first + width, all.size()); i++)
      asked.push_back(std::async(brief() ? std::launch::deferred : std::launch::async, ask, std::cref(all[i])));
    for (auto& one : asked) given.push_back(one.get());
  }
  return given;
}

// The words that start a trigger.
inline Words trigger(const std::string& name, const Words& arguments = {}) {
  return Words{test::trigger_path(name)} + arguments;
}

// Compiles C in a folder to a program or library, with tests/trigger's headers; empty where there is no compiler, as in
// a guest, or not for these flags.
std::string compile(const std::string& folder, const std::string& name, const std::string& source, const Words& flags);

// A tool that runs a trigger itself.
inline Result trace(const std::string& name, const Words& arguments, const Words& command, const Setup& setup = {}) {
  return run(name, arguments + Words{"--"} + command, setup);
}

// The 64 digits of base64, the other way round.
std::string from_base64(const std::string& text);

// The text's lines.
inline std::size_t count_lines(const std::string& text) { return std::count(text.begin(), text.end(), '\n'); }

// A file to be opened, removed in the end.
class File {
 public:
  explicit File(const std::string& name = "file");
  const std::string& path() const { return path_; }
  const std::string& folder() const { return folder_.path(); }

 private:
  test::TemporaryDirectory folder_;
  std::string path_;
};

// Makes `count` directories, one in another, with names of three letters. Returns the innermost.
std::string nested(const std::string& folder, int count);

// For Setup::inside: another user, with these capabilities and no other. Raw calls, since glibc's speak to all threads.
void become_nobody(const std::vector<int>& capabilities = {});

// Of what is wrong: one line, nothing on standard output, and what the line must say.
void refused(const std::string& tool, const Words& words, const std::string& says, int status = 64);

// For Setup::inside: a PID namespace with a /proc of its own, of which the program becomes the first process.
void enter_pid_namespace();

// A cgroup of the version 2 tree, with others beneath it, removed in the end.
class Cgroup {
 public:
  explicit Cgroup(const std::string& name) : Cgroup(root(), name + "-" + std::to_string(getpid())) {}
  Cgroup(const Cgroup& above, const std::string& name) : Cgroup(above.path_, name) {}
  ~Cgroup() { rmdir(path_.c_str()); }
  const std::string& path() const { return path_; }
  void take(int pid) const;

 private:
  Cgroup(const std::string& above, const std::string& name);
  static std::string root();
  std::string path_;
};

}  // namespace live
