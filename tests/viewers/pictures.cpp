// SPDX-License-Identifier: BSD-2-Clause
// Pictures that no recording of the tests holds: of hostile names, and of very many frames. "pictures FOLDER" writes
// hostile.* and large.* there, each kind of file, and to standard output a line of JSON for each: what is in them.
#include "kit/picture.hpp"

#include <algorithm>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>

namespace {

using Json = nlohmann::json;

std::uint32_t add_frame(kit::Picture& picture, std::string name) {
  kit::StackFrame frame;
  frame.name = name;
  frame.module = "/bin/program";
  frame.address = 16 * (picture.frames.size() + 1);
  picture.frames.push_back(kit::picture_frame(frame));
  return static_cast<std::uint32_t>(picture.frames.size() - 1);
}

kit::Picture hostile() {
  kit::Picture picture{.maker = "profile", .title = "</title><script>window.hit=1</script>", .clock = {}};
  const std::string names[] = {"main",
                               "</script><script>window.hit=1</script>",
                               "<img src=x onerror=window.hit=1>",
                               "]]><script>window.hit=1</script>",
                               "<!--<script>",
                               "\"'&amp;&#60;`${window.hit=1}",
                               std::string("\x01\x1b[31m\r\n\t\0zero", 15),
                               "\xff\xfe\xc3(\xed\xa0\x80",
                               "\u2028\u2029\u202e",
                               "operator()<a; b>(int) \\",
                               "searched"};
  for (const std::string& name : names) add_frame(picture, name);
  for (std::uint32_t i = 1; i < picture.frames.size(); i++)
    picture.stacks.push_back({.frames = {0, i, 10}, .pid = 7, .tid = 7, .comm = "<b>&\"'", .weight = i, .count = i});
  picture.stacks.push_back({.frames = {0, 1}, .pid = 7, .tid = 7, .comm = "<b>&\"'", .weight = 45, .count = 45});
  return picture;
}

// A tree of over 50,000 frames: each of its leaves is a way of its own, of a weight of its own.
kit::Picture large() {
  kit::Picture picture{.maker = "profile", .title = "many frames", .clock = {}};
  std::mt19937_64 random(3);
  std::uint32_t root = add_frame(picture, "main");
  for (int i = 0; i < 400; i++) add_frame(picture, "function_" + std::to_string(i));
  for (std::uint32_t i = 0; i < 9000; i++) {
    std::vector<std::uint32_t> frames = {root, 1 + i % 20, 21 + i / 20 % 20, 41 + i / 400};
    for (int depth = 0; depth < 6; depth++) frames.push_back(1 + static_cast<std::uint32_t>(random() % 400));
    std::uint64_t weight = 1 + random() % 5;
    picture.stacks.push_back(
        {.frames = std::move(frames), .pid = 8, .tid = 8, .comm = "large", .weight = weight, .count = weight});
  }
  return picture;
}

void write(const std::string& path, const std::string& bytes) {
  std::ofstream out(path, std::ios::binary);
  if (!(out << bytes).flush()) throw std::runtime_error("cannot write " + path);
}

Json write_all(const kit::Picture& picture, const std::string& path, const std::string& word) {
  write(path + ".svg", kit::write_svg(picture));
  write(path + ".html", kit::write_html(picture));
  write(path + ".folded", kit::write_folded(picture));
  write(path + ".pb.gz", kit::write_pprof(picture));
  write(path + ".json", kit::write_chrome(picture));
  write(path + ".perfetto-trace", kit::write_perfetto(picture));
  write(path + ".firefox.json", kit::write_firefox(picture));
  write(path + ".speedscope.json", kit::write_speedscope(picture));
  write(path + ".perf", kit::write_perf_script(picture));
  Json leaves = Json::object();
  std::uint64_t with_word = 0;
  for (const kit::PictureStack& stack : picture.stacks) {
    std::uint64_t sum = leaves.value(picture.frames[stack.frames.back()].name, std::uint64_t{0});
    leaves[picture.frames[stack.frames.back()].name] = sum + stack.weight;
    auto has_word = [&](std::uint32_t frame) { return picture.frames[frame].name == word; };
    if (std::any_of(stack.frames.begin(), stack.frames.end(), has_word)) with_word += stack.weight;
  }
  return {{"total", picture.total()}, {"leaves", leaves}, {"with_word", with_word}};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 64;
  std::string folder = argv[1];
  std::cout << write_all(hostile(), folder + "/hostile", "searched") << '\n'
            << write_all(large(), folder + "/large", "function_17") << '\n';
}
