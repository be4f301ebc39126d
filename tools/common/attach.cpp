// SPDX-License-Identifier: BSD-2-Clause
#include "kit/attach.hpp"

#include <algorithm>

#include "kit/text.hpp"

namespace kit {
namespace {

// Asks for every part of a way; the parts as the kernel has them, or the refusal.
bool take(Kernel& kernel, const Way& way, Settled& settled) {
  std::vector<Part> parts;
  for (const Part& part : way.needed) {
    Verdict verdict = kernel.can_attach(part.hook);
    if (!verdict.yes) {
      settled.refused.push_back({way.name, verdict.why});
      settled.denied |= verdict.denied;
      return false;
    }
    parts.push_back(part);
    parts.back().hook.target = verdict.target;
  }
  for (const Part& part : way.optional) {
    Verdict verdict = kernel.can_attach(part.hook);
    if (!verdict.yes) continue;
    parts.push_back(part);
    parts.back().hook.target = verdict.target;
  }
  settled.way = way.name;
  settled.misses = way.misses;
  settled.parts = std::move(parts);
  settled.denied = false;
  return true;
}

Settled settle_event(Kernel& kernel, const Event& event, const std::string& forced) {
  Settled settled{
      .event = event.name, .way = {}, .misses = {}, .parts = {}, .refused = {}, .denied = false, .verb = event.verb};
  bool named = std::any_of(event.ways.begin(), event.ways.end(), [&](const Way& way) { return way.name == forced; });
  for (const Way& way : event.ways) {
    if (named && way.name != forced) continue;
    if (take(kernel, way, settled)) break;
  }
  return settled;
}

}  // namespace

const char* form_name(Form form) {
  switch (form) {
    case Form::full: return "full";
    case Form::lesser: return "lesser";
    case Form::none: break;
  }
  return "none";
}

AttachPlan& AttachPlan::event(std::string name, std::string verb) {
  events_.push_back({std::move(name), std::move(verb), {}});
  return *this;
}

AttachPlan& AttachPlan::way(std::string name, std::vector<Part> needed, std::vector<Part> optional) {
  events_.back().ways.push_back({std::move(name), std::move(needed), std::move(optional), {}});
  return *this;
}

AttachPlan& AttachPlan::misses(std::string what) {
  events_.back().ways.back().misses = std::move(what);
  return *this;
}

std::vector<Settled> AttachPlan::settle(Kernel& kernel, const std::string& forced) const {
  std::vector<Settled> plan;
  for (const Event& event : events_) plan.push_back(settle_event(kernel, event, forced));
  return plan;
}

std::vector<std::string> AttachPlan::ways() const {
  std::vector<std::string> names;
  for (const Event& event : events_)
    for (const Way& way : event.ways)
      if (std::find(names.begin(), names.end(), way.name) == names.end()) names.push_back(way.name);
  return names;
}

Form form_of(const std::vector<Settled>& plan) {
  Form form = Form::full;
  for (const Settled& event : plan) {
    if (event.way.empty()) return Form::none;
    if (!event.misses.empty()) form = Form::lesser;
  }
  return form;
}

}  // namespace kit
