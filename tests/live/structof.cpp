// SPDX-License-Identifier: BSD-2-Clause
// structof: layouts as the compiler has them, and as pahole finds them in the kernel's own types.
#include <random>
#include <regex>
#include <sstream>

#include "harness.hpp"

using live::Json;
using live::Words;
using live::operator+;

namespace {

constexpr const char* kernel = "/sys/kernel/btf/vmlinux";

live::Result ask(const Words& words) { return live::run("structof", words); }

// A member by its last name, offset, first bit (-1: no bit-field) and size.
std::string member(const std::string& name, long offset, long bit, long size) {
  return name + " " + std::to_string(offset) + ":" + std::to_string(bit) + " " + std::to_string(size);
}
struct Shape {
  long size = 0;
  std::multiset<std::string> members;
};

Shape ours(const std::string& type) {
  Shape shape;
  for (const Json& row : ask({"struct " + type}).rows()) {
    if (row["kind"] == "type") shape.size = row["size"];
    if (row["kind"] != "member") continue;
    std::string name = row["name"].is_null() ? "" : row["name"].get<std::string>();
    shape.members.insert(member(name.substr(name.rfind('.') + 1), row["offset"],
                                row["bits"].is_null() ? -1 : row["bit"].get<long>(), row["size"]));
  }
  return shape;
}

// "	unsigned int               b:3;    /*     0: 8  4 */": what is declared, and where.
std::string declared_name(std::string text) {
  static const std::regex attribute("__attribute__\\(\\((?:[^()]|\\([^()]*\\))*\\)\\)"),
      function("\\(\\*+ *(?:const +)?(\\w+)[^)]*\\)"), last("(\\w+)(?:\\[\\d*\\])*(?::\\d+)?\\s*;?\\s*$");
  text = std::regex_replace(text, attribute, "");
  std::smatch found;
  if (std::regex_search(text, found, function)) return found[1];
  return std::regex_search(text, found, last) ? found[1].str() : "";
}

std::map<std::string, Shape> theirs(const Words& types) {
  std::string list;
  for (const std::string& type : types) list += (list.empty() ? "" : ",") + type;
  std::istringstream lines(test::run({"pahole", "-C", list, kernel}).out);
  static const std::regex place("/\\*\\s+(\\d+)(?::\\s*(\\d+))?\\s+(\\d+)\\s+\\*/"), size("/\\* size: (\\d+)"),
      opens("^\\s+(?:struct|union)\\b.*\\{"), closes("^\\s+\\}"), pointer("^\\s+\\}[^/]*\\*[^/]*;");
  std::map<std::string, Shape> all;
  Shape* shape = nullptr;
  std::vector<std::multiset<std::string>> outer;  // the members around each unnamed structure that is open
  for (std::string line; std::getline(lines, line);) {
    std::smatch found;
    if (line.starts_with("struct ") && line.ends_with("{")) shape = &all[line.substr(7, line.size() - 9)];
    if (!shape) continue;
    if (std::regex_search(line, opens)) outer.push_back(shape->members);
    if (std::regex_search(line, closes) && !outer.empty()) {
      // What is pointed at lies elsewhere.
      if (std::regex_search(line, pointer)) shape->members = outer.back();
      outer.pop_back();
    }
    if (std::regex_search(line, found, size)) shape->size = std::stol(found[1]);
    if (std::regex_search(line, found, place))
      shape->members.insert(member(declared_name(found.prefix()), std::stol(found[1]),
                                   found[2].matched ? std::stol(found[2]) : -1, std::stol(found[3])));
  }
  return all;
}

// The kernel's structures that one name tells, the largest first.
Words kernel_structures() {
  std::map<std::string, int> seen;
  Words all, once;
  for (const Json& row : ask({"--sizes"}).rows()) {
    std::string name = row["in"];
    if (!name.starts_with("struct ")) continue;
    all.push_back(name.substr(7));
    seen[all.back()]++;
  }
  for (const std::string& name : all)
    if (seen[name] == 1) once.push_back(name);
  return once;
}

}  // namespace

TEST_CASE("members are where the compiler put them, by DWARF") {
  live::Result result = ask({"shapes", "--expand", "--file", test::trigger_path("shapes")});
  INFO(result.out << result.err);
  std::istringstream truth(test::run({test::trigger_path("shapes")}).out);
  std::string name;
  std::size_t lines = 0;
  for (std::uint64_t offset, size; truth >> name >> offset >> size; lines++) {
    INFO(name);
    Json like = name == "-" ? Json{{"kind", "type"}} : Json{{"name", name}};
    Json row = result.row(like);
    CHECK(row["offset"] == offset);
    CHECK(row["size"] == size);
  }
  CHECK(lines == 14);
  CHECK(result.row({{"name", "high"}})["bits"] == 20);
  CHECK(result.row({{"name", "high"}})["bit"] == 40);
  CHECK(result.row({{"name", "rest"}})["size"] == 0);
  CHECK(result.row({{"name", "call"}})["type"] == "int (*)(const char *, struct shapes *)");
  CHECK(result.row({{"name", "pairs"}})["type"] == "pair_t[2][3]");
  // After `first`, and before the word of each struct inner.
  CHECK(result.rows({{"kind", "hole"}, {"offset", 1}, {"size", 3}}).size() == 1);
  CHECK(ask({"pair_t", "--file", test::trigger_path("shapes")}).row({{"kind", "type"}})["size"] == 4);
}

TEST_CASE("members that match a glob, and who contains a type") {
  std::string file = test::trigger_path("shapes");
  auto names = [&](const Words& words) {
    std::multiset<std::string> all;
    for (const Json& row : ask(words + Words{"--file", file}).rows())
      all.insert(row["in"].get<std::string>() + " " + row["name"].get<std::string>());
    return all;
  };
  CHECK(names({"shapes", "--member", "sec*"}) == std::multiset<std::string>{"struct shapes second"});
  CHECK(names({"--contains", "struct inner"}) ==
        std::multiset<std::string>{"struct shapes inner", "struct shapes many"});
  CHECK(names({"--member", "call"}).contains("struct shapes call"));
}

TEST_CASE("a thousand of the kernel's structures and the 50 largest are as pahole has them") {
  NEEDS("btf");
  NEEDS("pahole");
  Words all = kernel_structures(), picked(all.begin(), all.begin() + 50);
  REQUIRE(all.size() > 2000);
  unsigned seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  std::sample(all.begin() + 50, all.end(), std::back_inserter(picked), 1000, random);
  std::size_t members = 0;
  for (const auto& [name, shape] : theirs(picked)) {
    INFO(name);
    Shape mine = ours(name);
    CHECK(mine.size == shape.size);
    CHECK(mine.members == shape.members);
    members += mine.members.size();
  }
  CHECK(members > 5000);
}

TEST_CASE("who embeds a structure: all that pahole names, and arrays and unnamed ones besides") {
  NEEDS("btf");
  NEEDS("pahole");
  for (const char* type : {"list_head", "rb_node", "mutex", "file"}) {
    INFO(type);
    std::set<std::string> mine, direct;
    for (const Json& row : ask({"--contains", std::string("struct ") + type}).rows()) {
      std::string in = row["in"], of = row["type"];
      mine.insert(in.substr(in.find(' ') + 1));
      // Within no other, and no array.
      if (of.find('[') == of.npos) direct.insert(in.substr(in.find(' ') + 1));
    }
    std::istringstream lines(test::run({"pahole", "-i", type, kernel}).out);
    std::set<std::string> named;
    for (std::string name; lines >> name;) named.insert(name);
    CHECK(named.size() > 0);
    for (const std::string& name : named) CHECK(mine.contains(name));
    CHECK(direct.size() >= named.size());
  }
}

TEST_CASE("what differs between two files", "[any-kernel]") {
  NEEDS("btf");
  std::string file = test::trigger_path("shapes");
  CHECK(ask({"file", "--diff", kernel}).rows().empty());
  live::Result result = ask({"--file", file, "--diff", kernel, "shapes"});
  CHECK(result.status == 64);
  // Nothing of the kernel's is in the program.
  Json row = ask({"--file", file, "--diff", kernel}).row({{"in", "struct shapes"}});
  CHECK(row["change"] == "added");
  CHECK(row["size"].get<int>() > 0);
}

TEST_CASE("nobody needs root for it, and mistakes are told in one line") {
  NEEDS("btf");
  CHECK(live::run("structof", {"file"}, {.inside = [] { live::become_nobody(); }}).status == 0);
  auto wrong = [](const Words& words, const char* says) {
    live::Result result = ask(words);
    INFO(result.err);
    CHECK(result.status == 64);
    CHECK(live::count_lines(result.err) == 1);
    CHECK(result.err.find(says) != result.err.npos);
  };
  wrong({"task_strukt"}, "did you mean task_struct?");
  wrong({"struct nothing_like_it_at_all"}, "there is no structure struct nothing_like_it_at_all");
  wrong({}, "expects a TYPE");
  wrong({"file", "inode"}, "one TYPE at a time");
  wrong({"--sizes", "--contains", "file"}, "exclude each other");
  wrong({"file", "--file", "/etc/hostname"}, "neither BTF nor DWARF");
  wrong({"file", "--file", "/nonexistent"}, "cannot read /nonexistent");
  wrong({"file", "-m", "no_such_module"}, "no types of a module no_such_module");
}
