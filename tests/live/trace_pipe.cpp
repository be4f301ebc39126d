// SPDX-License-Identifier: BSD-2-Clause
// Nothing of ours reads trace_pipe: tools and a foreign reader of it run at once, and each gets all that is its own.
#include "harness.hpp"

using live::Words;

namespace {

// A tracing instance's files, by tracefs mounted for this test alone, where nobody else sees it.
class Tracefs {
 public:
  Tracefs() {
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("tracefs", folder_.path().c_str(), "tracefs", 0, nullptr) != 0)
      throw std::runtime_error("tracefs cannot be mounted");
  }
  ~Tracefs() { umount2(folder_.path().c_str(), MNT_DETACH); }
  std::string path(const std::string& name) const { return folder_.path() + "/" + name; }
  bool write(const std::string& name, const std::string& text) const {
    return static_cast<bool>(std::ofstream(path(name)) << text << std::flush);
  }

 private:
  test::TemporaryDirectory folder_;
};

std::size_t count_of(std::string_view text, std::string_view part) {
  std::size_t count = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != text.npos; at += part.size()) count++;
  return count;
}

}  // namespace

TEST_CASE("two tools and a foreign reader of trace_pipe see all that is theirs") {
  NEEDS("root");
  NEEDS("tracefs");
  Tracefs tracefs;
  constexpr std::size_t made = 200;
  REQUIRE(tracefs.write("trace", ""));
  // Not by cat: where that is busybox's it splices, and of Linux 7 gets nothing so.
  live::Process foreign({"dd", "if=" + tracefs.path("trace_pipe"), "bs=4k", "status=none"});
  live::File file;
  live::Process opener(live::trigger("opens", {std::to_string(made), file.path()}), {.gated = true});
  live::Tool opensnoop("opensnoop", {"-p", opener.number()});
  live::Tool hello("hello", {"--tree", std::to_string(getpid())});
  // What a tracer of another's writes to the pipe, between what our tools see.
  auto mark = [&](std::size_t i) { return tracefs.write("trace_marker", "foreign mark " + std::to_string(i) + ";\n"); };
  for (std::size_t i = 0; i < made / 2; i++) REQUIRE(mark(i));
  opener.go();
  CHECK(opener.wait() == 0);
  CHECK(live::Process(live::trigger("forks", {"50"})).wait() == 0);
  for (std::size_t i = made / 2; i < made; i++) REQUIRE(mark(i));
  CHECK(foreign.out().wait([&](std::string_view text) { return count_of(text, "foreign mark ") == made; }));
  live::Result opens = opensnoop.stop(), forks = hello.stop();
  INFO(opens.err << forks.err);
  CHECK(opens.rows({{"path", file.path()}}).size() == made);
  CHECK(opens.lost() == 0);
  CHECK(forks.rows({{"comm", "forks"}}).size() == 50);
  CHECK(forks.lost() == 0);
  // Each mark once, and nothing that our tools have caused; nobody was refused: EBUSY is what a second reader gets.
  std::string seen = foreign.out().text();
  for (std::size_t i = 0; i < made; i++) CHECK(count_of(seen, "foreign mark " + std::to_string(i) + ";") == 1);
  CHECK(foreign.err().text().empty());
  CHECK_FALSE(foreign.ended(live::milliseconds(0)));
}
