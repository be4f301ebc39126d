// SPDX-License-Identifier: BSD-2-Clause
// Flame graphs: an SVG that stands as a picture and can be clicked and searched in a browser, and a page that draws
// only what is seen, for those with very many frames. Both work without a network.
#include <algorithm>
#include <cmath>
#include <map>
#include <memory>

#include "kit/picture.hpp"
#include "kit/text.hpp"
#include "picture_scripts.hpp"

namespace kit {
namespace {

constexpr double page = 1200, row = 17, narrowest = 0.1;  // pixels

struct Node {
  std::string name;
  char kind = 'u';  // u user, k kernel, j made at run time, i inlined, r the root or a thread's name
  std::uint64_t weight = 0;
  std::int64_t change = 0;  // since the stacks compared with
  std::map<std::pair<std::string, char>, std::unique_ptr<Node>> beneath;
  Node& child(const std::string& of, char as) {
    auto& found = beneath[{of, as}];
    if (!found) found = std::make_unique<Node>(Node{.name = of, .kind = as, .beneath = {}});
    return *found;
  }
};

char kind_of(const PictureFrame& frame) {
  if (frame.inlined) return 'i';
  return frame.kind == StackFrame::Kind::kernel ? 'k' : frame.kind == StackFrame::Kind::jit ? 'j' : 'u';
}

// A frame of a folded line: its name without the mark, and what the mark says.
std::pair<std::string, char> unfold(std::string_view frame) {
  for (auto [mark, kind] : {std::pair{"_[k]", 'k'}, {"_[j]", 'j'}, {"_[i]", 'i'}})
    if (frame.ends_with(mark)) return {std::string(frame.substr(0, frame.size() - 4)), kind};
  return {std::string(frame), 'u'};
}

// In proportion, so that a longer run is not redder for its length alone.
void compare(Node& root, const std::map<std::string, std::uint64_t>& before) {
  std::uint64_t sum = 0;
  for (const auto& [stack, count] : before) sum += count;
  double scale = sum ? static_cast<double>(root.weight) / static_cast<double>(sum) : 0;
  for (const auto& [stack, count] : before) {
    Node* at = &root;
    auto weight = static_cast<std::int64_t>(rounded(static_cast<double>(count) * scale));
    bool first = true;
    for (std::string_view frame : split(stack, ';')) {
      auto [name, kind] = unfold(frame);
      auto found = at->beneath.find({name, first ? 'r' : kind});
      first = false;
      if (found == at->beneath.end()) break;
      at = found->second.get();
      at->change -= weight;
    }
  }
}

std::unique_ptr<Node> tree_of(const Picture& picture, const std::map<std::string, std::uint64_t>* before) {
  auto root = std::make_unique<Node>(Node{.name = "all", .kind = 'r', .beneath = {}});
  for (const PictureStack& stack : picture.stacks) {
    Node* at = root.get();
    at->weight += stack.weight;
    at = &at->child(stack.comm, 'r');
    at->weight += stack.weight;
    at->change += static_cast<std::int64_t>(stack.weight);
    for (std::uint32_t number : stack.frames) {
      std::string name = picture.frames[number].name;
      std::replace(name.begin(), name.end(), ';', ':');
      at = &at->child(name, kind_of(picture.frames[number]));
      at->weight += stack.weight;
      at->change += static_cast<std::int64_t>(stack.weight);
    }
  }
  if (before) compare(*root, *before);
  return root;
}

std::string escaped(std::string_view text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

// One colour for a name in every picture.
std::string colour(const Node& node, std::uint64_t total, bool compared) {
  if (compared && node.kind != 'r') {
    double share = std::clamp(
        static_cast<double>(node.change) / static_cast<double>(std::max<std::uint64_t>(total, 1)) * 5, -1.0, 1.0);
    int fade = 255 - static_cast<int>(std::abs(share) * 170);
    return share >= 0 ? cat("rgb(255,", fade, ',', fade, ')') : cat("rgb(", fade, ',', fade, ",255)");
  }
  std::uint32_t hash = 2166136261u;
  for (char c : node.name) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  unsigned shade = hash % 50;
  switch (node.kind) {
    case 'k': return cat("rgb(", 225 + shade / 2, ',', 120 + shade, ",60)");
    case 'j': return cat("rgb(", 90 + shade, ",200,", 90 + shade, ')');
    case 'i': return cat("rgb(", 70 + shade, ",190,", 200 + shade, ')');
    case 'r': return "rgb(200,200,200)";
    default: return cat("rgb(", 235 + shade % 20, ',', 190 + shade, ',', 70 + shade, ')');
  }
}

std::string amount(const Picture& picture, std::uint64_t weight) {
  return picture.time ? duration_text(weight) : cat(weight, weight == 1 ? " sample" : " samples");
}

std::size_t depth_of(const Node& node, std::uint64_t least) {
  std::size_t deepest = 0;
  for (const auto& [key, child] : node.beneath)
    if (child->weight > least) deepest = std::max(deepest, depth_of(*child, least) + 1);
  return deepest;
}

struct SvgWriter {
  const Picture& picture;
  std::uint64_t total;
  std::size_t depth;
  bool compared;
  std::string out;
  bool cut = false;  // something was too narrow to be drawn

  void put(const Node& node, std::uint64_t left, std::size_t level) {
    double scale = page / static_cast<double>(std::max<std::uint64_t>(total, 1));
    double x = static_cast<double>(left) * scale, w = static_cast<double>(node.weight) * scale;
    if (w < narrowest) {
      cut |= node.weight > 0;
      return;
    }
    double y = 60 + static_cast<double>(depth - level) * row;
    double percent = total ? 100.0 * static_cast<double>(node.weight) / static_cast<double>(total) : 0;
    out += "<g class=\"f\" tabindex=\"0\" data-w=\"";
    append(out, node.weight);
    out += "\"><title>" + escaped(node.name) + " (" + amount(picture, node.weight) + ", ";
    append_decimal(out, percent, 2);
    out += cat("%)</title><rect x=\"");
    append_decimal(out, x, 2);
    out += "\" y=\"";
    append_decimal(out, y, 0);
    out += "\" width=\"";
    append_decimal(out, w, 2);
    out += cat("\" height=\"16\" rx=\"1\" fill=\"", colour(node, total, compared), "\"/>");
    if (std::string text = fitted(node.name, w); !text.empty()) {
      out += "<text x=\"";
      append_decimal(out, x + 3, 2);
      out += "\" y=\"";
      append_decimal(out, y + 12, 0);
      out += "\">" + escaped(text) + "</text>";
    }
    out += "</g>\n";
    std::uint64_t at = left;
    for (const auto& [key, child] : node.beneath) {
      put(*child, at, level + 1);
      at += child->weight;
    }
  }

  // As much as fits, at seven pixels a letter; whole code points.
  static std::string fitted(const std::string& name, double w) {
    auto room = static_cast<std::size_t>(std::max(0.0, (w - 6) / 7));
    if (kit::width(name) <= room) return name;
    if (room < 3) return "";
    std::size_t end = 0, taken = 0;
    while (end < name.size() && taken < room - 2) {
      do end++;
      while (end < name.size() && (name[end] & 0xc0) == 0x80);
      taken++;
    }
    return name.substr(0, end) + "..";
  }
};

void put_json(std::string& out, const Node& node) {
  out += '[';
  append_json(out, node.name);
  out += cat(",\"", node.kind, "\",", node.weight, ',', node.change, ",[");
  for (const auto& [key, child] : node.beneath) {
    if (child.get() != node.beneath.begin()->second.get()) out += ',';
    put_json(out, *child);
  }
  out += "]]";
}

}  // namespace

std::string write_svg(const Picture& picture, const std::map<std::string, std::uint64_t>* before) {
  auto root = tree_of(picture, before);
  auto least = static_cast<std::uint64_t>(static_cast<double>(root->weight) * narrowest / page);
  SvgWriter writer{picture, root->weight, depth_of(*root, least), before != nullptr, {}};
  writer.put(*root, 0, 0);
  auto height = 60 + (writer.depth + 1) * static_cast<std::size_t>(row) + 30;
  return cat(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1200\" height=\"",
      height, "\" viewBox=\"0 0 1200 ", height, "\">\n<style>", svg_style, "</style>\n",
      "<rect id=\"ground\" width=\"100%\" height=\"100%\"/>\n<text id=\"title\" x=\"600\" y=\"24\">",
      escaped(picture.title), "</text>\n<text id=\"reset\" x=\"10\" y=\"24\" tabindex=\"0\">Reset zoom</text>",
      "<text id=\"search\" x=\"1190\" y=\"24\" tabindex=\"0\">Search</text>\n<text id=\"details\" x=\"10\" y=\"",
      height - 10, "\"> </text><text id=\"matched\" x=\"1190\" y=\"", height - 10, "\"> </text>\n<g id=\"frames\"",
      writer.cut ? " data-cut=\"1\"" : "", ">\n", writer.out, "</g>\n<script><![CDATA[", svg_script,
      "]]></script>\n</svg>\n");
}

std::string write_html(const Picture& picture, const std::map<std::string, std::uint64_t>* before) {
  auto root = tree_of(picture, before);
  std::string data;
  put_json(data, *root);
  // Nothing in a name can end the script that holds it.
  std::string safe;
  for (char c : data) c == '<' ? safe += "\\u003c" : safe += c;
  return cat(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>", escaped(picture.title),
      "</title>\n<style>", html_style, "</style></head>\n<body data-time=\"", picture.time ? 1 : 0,
      "\" data-compared=\"", before ? 1 : 0, "\">\n<header><b>", escaped(picture.title),
      "</b> <button id=\"reset\">Reset zoom</button> <input id=\"search\" placeholder=\"search (regular expression)\"> "
      "<span id=\"matched\"></span></header>\n<canvas id=\"graph\" tabindex=\"0\"></canvas>\n<footer "
      "id=\"details\">&nbsp;</footer>\n"
      "<script type=\"application/json\" id=\"data\">",
      safe, "</script>\n<script>", html_script, "</script>\n</body></html>\n");
}

}  // namespace kit
