// SPDX-License-Identifier: BSD-2-Clause
#include "harness.hpp"

template class nlohmann::basic_json<>;
std::string Catch::StringMaker<nlohmann::json>::convert(const nlohmann::json& value) { return value.dump(); }

namespace live {

Pipe::Pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  read = Fd(ends[0]);
  write = Fd(ends[1]);
}

Pump::Pump(Fd from) : from_(std::move(from)), thread_([this] { run(); }) {}

Pump::~Pump() {
  end_.write.reset();
  thread_.join();
}

std::string Pump::text() {
  std::lock_guard lock(mutex_);
  return text_;
}

bool Pump::wait(const std::function<bool(std::string_view)>& enough) {
  std::unique_lock lock(mutex_);
  auto until = std::chrono::steady_clock::now() + patience;
  while (!enough(text_)) {
    if (ended_ || changed_.wait_until(lock, until) == std::cv_status::timeout) return enough(text_);
  }
  return true;
}

void Pump::wait_end() {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, patience, [this] { return ended_; });
}

void Pump::close() {
  end_.write.reset();
  wait_end();
}

void Pump::run() {
  char block[65536];
  pollfd waits[] = {{.fd = from_.get(), .events = POLLIN, .revents = 0},
                    {.fd = end_.read.get(), .events = POLLIN, .revents = 0}};
  for (;;) {
    poll(waits, 2, -1);
    if (waits[1].revents) break;
    ssize_t size = read(from_.get(), block, sizeof block);
    if (size <= 0) break;
    std::lock_guard lock(mutex_);
    text_.append(block, static_cast<std::size_t>(size));
    changed_.notify_all();
  }
  from_.reset();
  std::lock_guard lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

Process::~Process() {
  if (status_) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void Process::write(std::string_view text) {
  if (::write(in_.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    throw std::runtime_error(name_ + " reads nothing");
}

bool Process::ended(milliseconds within) {
  pollfd wait{.fd = pidfd_.get(), .events = POLLIN, .revents = 0};
  return status_ || poll(&wait, 1, static_cast<int>(within.count())) > 0;
}

int Process::wait() {
  if (status_) return *status_;
  if (!ended(patience)) throw std::runtime_error(name_ + " did not end");
  int status = 0;
  waitpid(pid_, &status, 0);
  status_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return *status_;
}

std::string Process::says() {
  auto line = [](std::string_view text) { return text.find_first_of("\nx") != text.npos; };
  if (!out_.wait(line)) throw std::runtime_error(name_ + " said nothing");
  std::istringstream words(out_.text());
  std::string word;
  words >> word;
  return word;
}

void Process::await_ready() {
  pollfd waits[] = {{.fd = ready_.get(), .events = POLLIN, .revents = 0},
                    {.fd = pidfd_.get(), .events = POLLIN, .revents = 0}};
  if (poll(waits, 2, patience.count()) == 0) throw std::runtime_error(name_ + " does not become ready");
  char byte;
  if ((waits[0].revents & POLLIN) && read(ready_.get(), &byte, 1) == 1) return;
  wait();
  err_.wait_end();
  throw std::runtime_error(name_ + " ended before it was ready: " + err_.text());
}

int Process::start(const Words& words, const Setup& setup, Pipe& in, Pipe& out, Pipe& err, Pipe& ready) {
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  pid_t child = fork();
  if (child != 0) {
    for (Pipe* pipe : {&out, &err, &ready}) pipe->write.reset();
    return child;
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  signal(SIGPIPE, SIG_DFL);
  dup2(in.read.get(), 0);
  dup2(setup.out >= 0 ? setup.out : out.write.get(), 1);
  dup2(err.write.get(), 2);
  dup2(ready.write.get(), ready_fd);
  syscall(SYS_close_range, 3, ready_fd - 1, 0);  // of other processes' pipes
  syscall(SYS_close_range, ready_fd + 1, ~0u, 0);
  char byte;
  if (setup.gated && read(0, &byte, 1) != 1) _exit(127);
  if (setup.inside) setup.inside();
  execvp(arguments[0], arguments.data());
  _exit(127);
}

Process::Process(const Words& words, const Setup& setup) : Process(words, setup, Pipe(), Pipe(), Pipe(), Pipe()) {}

Process::Process(const Words& words, const Setup& setup, Pipe in, Pipe out, Pipe err, Pipe ready)
    : name_(words.at(0)),
      pid_(start(words, setup, in, out, err, ready)),
      pidfd_(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0))),
      in_(std::move(in.write)),
      ready_(std::move(ready.read)),
      out_(std::move(out.read)),
      err_(std::move(err.read)) {}

std::vector<std::string> Result::lines() const {
  std::vector<std::string> all;
  std::istringstream text(out);
  for (std::string line; std::getline(text, line);) all.push_back(line);
  return all;
}

Json Result::start() const {
  Json first = lines().empty() ? Json() : Json::parse(lines().front());
  if (first.value("type", "") != "start") throw std::runtime_error("there is no start line: " + out + err);
  return first;
}

Json Result::end() const {
  std::size_t begin = out.size() < 2 ? 0 : out.rfind('\n', out.size() - 2) + 1;
  Json last = Json::parse(out.substr(begin), nullptr, false);
  if (!last.is_object() || last.value("type", "") != "end")
    throw std::runtime_error("there is no end line: " + out.substr(begin) + err);
  return last;
}

namespace {

// The lines of a type that have these values, or whose member `in` has them.
std::vector<Json> alike(const Result& result, const std::string& type, const char* in, const Json& like) {
  std::vector<Json> found;
  for (const std::string& line : result.lines()) {
    if (!line.starts_with("{\"type\":\"" + type + '"')) continue;
    Json one = Json::parse(line);
    const Json& of = in ? one[in] : one;
    auto has = [&](const auto& wanted) { return of.contains(wanted.key()) && of[wanted.key()] == wanted.value(); };
    auto wanted = like.items();
    if (std::all_of(wanted.begin(), wanted.end(), has)) found.push_back(std::move(one));
  }
  return found;
}

}  // namespace

std::vector<Json> Result::rows(const Json& like) const { return alike(*this, "row", nullptr, like); }
std::vector<Json> Result::histograms(const Json& like) const { return alike(*this, "histogram", "key", like); }

Json Result::row(const Json& like) const {
  auto found = rows(like);
  if (found.size() != 1)
    throw std::runtime_error(std::to_string(found.size()) + " rows are like " + like.dump() + ":\n" + out + err);
  return found[0];
}

std::size_t Result::lines_of(const std::string& type) const {
  std::string begin = "{\"type\":\"" + type + '"';
  std::size_t count = out.starts_with(begin);
  for (std::size_t at = 0; (at = out.find('\n' + begin, at)) != out.npos; at++) count++;
  return count;
}

std::uint64_t Result::lost() const {
  std::uint64_t sum = 0;
  Json lost = end()["lost"];
  // What the kernel did not tell of is not lost by the tool; such kernels are about (see Subject::untold).
  for (const auto& [name, count] : lost.items())
    sum += count.is_null() || name == "return_unseen" ? 0 : count.get<std::uint64_t>();
  return sum;
}

std::uint64_t Result::skipped() const {
  Json count = end()["lost"]["skipped"];
  return count.is_number() ? count.get<std::uint64_t>() : 0;
}

Tool::Tool(const std::string& name, const Words& arguments, const Setup& setup)
    : Process(words(name, setup) + Words{"--ready-fd=" + std::to_string(ready_fd)} + arguments, setup) {
  await_ready();
}

Words Tool::words(const std::string& name, const Setup& setup) {
  Words all = {test::tool_path(name)};
  return setup.json ? all + Words{"-o", "json"} : all;
}

Result Tool::finish() {
  Result result;
  result.status = wait();
  out().wait_end();
  err().wait_end();
  result.out = out().text();
  result.err = err().text();
  return result;
}

Result run(const std::string& name, const Words& arguments, const Setup& setup) {
  Process process(Tool::words(name, setup) + arguments, setup);
  Result result;
  process.close_input();
  result.status = process.wait();
  process.out().wait_end();
  process.err().wait_end();
  result.out = process.out().text();
  result.err = process.err().text();
  return result;
}

std::string from_base64(const std::string& text) {
  static const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  unsigned bits = 0, have = 0;
  for (char digit : text) {
    std::size_t value = digits.find(digit);
    if (value == digits.npos) break;
    bits = bits << 6 | static_cast<unsigned>(value);
    if ((have += 6) < 8) continue;
    have -= 8;
    bytes += static_cast<char>(bits >> have & 255);
  }
  return bytes;
}

void become_nobody(const std::vector<int>& capabilities) {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct data[2] = {};
  for (int capability : capabilities) data[capability / 32].permitted |= 1u << capability % 32;
  for (auto& part : data) part.effective = part.inheritable = part.permitted;
  bool done = prctl(PR_SET_KEEPCAPS, 1) == 0 && syscall(SYS_setgroups, 0, nullptr) == 0 &&
              syscall(SYS_setresgid, nobody, nobody, nobody) == 0 &&
              syscall(SYS_setresuid, nobody, nobody, nobody) == 0 && syscall(SYS_capset, &header, data) == 0;
  for (int capability : capabilities) done = done && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) == 0;
  if (!done) _exit(126);
}

void refused(const std::string& tool, const Words& words, const std::string& says, int status) {
  Result result = run(tool, words);
  INFO(tool << ' ' << Json(words).dump() << ": " << result.err);
  CHECK(result.status == status);
  CHECK(result.out.empty());
  CHECK(count_lines(result.err) == 1);
  CHECK(result.err.find(says) != std::string::npos);
}

void enter_pid_namespace() {
  if (unshare(CLONE_NEWPID | CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    _exit(126);
  pid_t first = fork();
  if (first != 0) {
    int status = 0;
    waitpid(first, &status, 0);
    _exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (mount("proc", "/proc", "proc", 0, nullptr) != 0) _exit(126);
}

std::string compile(const std::string& folder, const std::string& name, const std::string& source, const Words& flags) {
  std::string made = folder + "/" + name;
  std::ofstream(made + ".c") << source;
  if (!std::filesystem::exists("/usr/bin/gcc")) return "";
  Words words = Words{"gcc", "-I", test::source_dir() + "/tests/trigger", "-o", made, made + ".c"} + flags;
  return test::run(words).status == 0 ? made : "";
}

File::File(const std::string& name) : path_(folder_.path() + "/" + name) {
  chmod(folder_.path().c_str(), 0755);
  std::ofstream(path_) << "text\n";
  chmod(path_.c_str(), 0666);
}

std::string nested(const std::string& folder, int count) {
  std::string path = folder;
  for (int i = 0; i < count; i++) path += "/" + std::string(3, static_cast<char>('a' + i % 26));
  std::filesystem::create_directories(path);
  return path;
}

void Cgroup::take(int pid) const {
  std::ofstream processes(path_ + "/cgroup.procs");
  if (!(processes << pid << std::flush)) throw std::runtime_error("cannot move into " + path_);
}

Cgroup::Cgroup(const std::string& above, const std::string& name) : path_(above + "/" + name) {
  if (mkdir(path_.c_str(), 0755) != 0) throw std::runtime_error("cannot make " + path_);
}

std::string Cgroup::root() {
  std::ifstream mounts("/proc/self/mounts");
  std::string device, place, type, rest;
  while (mounts >> device >> place >> type && std::getline(mounts, rest))
    if (type == "cgroup2") return place;
  throw std::runtime_error("no cgroup v2 tree");
}

}  // namespace live
