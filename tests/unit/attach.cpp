// SPDX-License-Identifier: BSD-2-Clause
// Attach plans, settled against a kernel of our own making.
#include "kit/attach.hpp"

#include <map>
#include <nlohmann/json.hpp>

#include "case.hpp"
#include "kit/sink.hpp"

namespace {

using kit::Form;

// Has the hooks it is told of; keeps what it was asked.
class FakeKernel : public kit::Kernel {
 public:
  std::map<std::string, kit::Verdict> answers;
  std::vector<std::string> asked;

  FakeKernel& has(const std::string& hook, std::string target = {}) {
    if (target.empty()) target = hook.substr(hook.find('/') + 1);
    answers[hook] = {true, false, {}, {}, target};
    return *this;
  }
  FakeKernel& denies(const std::string& hook) {
    answers[hook] = {false, true, "CAP_BPF", "not permitted", {}};
    return *this;
  }

  kit::Verdict can_attach(const kit::Hook& hook) override {
    asked.push_back(kit::hook_text(hook));
    auto found = answers.find(asked.back());
    return found != answers.end() ? found->second : kit::Verdict{false, false, {}, "there is no " + asked.back(), {}};
  }
};

kit::Part part(std::string_view section) { return kit::Part(kit::parse_hook(section)); }

// Opens by fexit, else by tracepoints of which some are optional, else by raw_tp, which misses something.
kit::AttachPlan opens() {
  kit::AttachPlan plan;
  plan.event("open")
      .way("fexit", {part("?fexit/do_sys_openat2")})
      .way("tracepoints", {part("?tp/syscalls/sys_exit_openat")},
           {part("?tp/syscalls/sys_exit_open"), part("?tp/syscalls/sys_exit_openat2")})
      .way("raw", {part("?raw_tp/sys_exit")})
      .misses("opens by 32-bit programs");
  return plan;
}

using Texts = std::vector<std::string>;
Texts hooks(const kit::Settled& settled) {
  Texts all;
  for (const kit::Part& one : settled.parts) all.push_back(kit::hook_text(one.hook));
  return all;
}

}  // namespace

TEST_CASE("a program's section is its hook") {
  using kit::HookKind;
  struct {
    const char* section;
    HookKind kind;
    const char* target;
  } const sections[] = {{"?tp_btf/sched_switch", HookKind::tp_btf, "sched_switch"},
                        {"raw_tp/sys_exit", HookKind::raw_tp, "sys_exit"},
                        {"?tp/syscalls/sys_exit_openat", HookKind::tracepoint, "syscalls/sys_exit_openat"},
                        {"?fentry/vfs_read", HookKind::fentry, "vfs_read"},
                        {"fexit/vfs_read", HookKind::fexit, "vfs_read"},
                        {"?kprobe/vfs_read", HookKind::kprobe, "vfs_read"},
                        {"kretprobe/vfs_read", HookKind::kretprobe, "vfs_read"}};
  for (const auto& one : sections) {
    kit::Hook hook = kit::parse_hook(one.section);
    INFO(one.section);
    CHECK(hook.kind == one.kind);
    CHECK(hook.target == one.target);
    CHECK(kit::parse_hook(kit::hook_text(hook)).kind == one.kind);
  }
}

TEST_CASE("the first way that the kernel has is taken, and no later one is asked for") {
  FakeKernel kernel;
  kernel.has("fexit/do_sys_openat2").has("tp/syscalls/sys_exit_openat");
  auto plan = opens().settle(kernel);
  REQUIRE(plan.size() == 1);
  CHECK(plan[0].event == "open");
  CHECK(plan[0].way == "fexit");
  CHECK(plan[0].refused.empty());
  CHECK(kernel.asked == Texts{"fexit/do_sys_openat2"});
  CHECK(kit::form_of(plan) == Form::full);
}

TEST_CASE("refusals are kept with their reasons, in order") {
  FakeKernel kernel;
  kernel.has("raw_tp/sys_exit");
  auto plan = opens().settle(kernel);
  CHECK(plan[0].way == "raw");
  REQUIRE(plan[0].refused.size() == 2);
  CHECK(plan[0].refused[0].way == "fexit");
  CHECK(plan[0].refused[0].why == "there is no fexit/do_sys_openat2");
  CHECK(plan[0].refused[1].way == "tracepoints");
  CHECK(plan[0].misses == "opens by 32-bit programs");
  CHECK(kit::form_of(plan) == Form::lesser);
}

TEST_CASE("optional parts are taken where they are, and missed by none") {
  FakeKernel kernel;
  kernel.has("tp/syscalls/sys_exit_openat").has("tp/syscalls/sys_exit_openat2");
  auto plan = opens().settle(kernel);
  CHECK(hooks(plan[0]) == Texts{"tp/syscalls/sys_exit_openat", "tp/syscalls/sys_exit_openat2"});
  CHECK(kit::form_of(plan) == Form::full);
}

TEST_CASE("optional parts do not make a way whose needed ones are missing") {
  FakeKernel kernel;
  kernel.has("tp/syscalls/sys_exit_open");
  auto plan = opens().settle(kernel);
  CHECK(plan[0].way.empty());
  CHECK(plan[0].parts.empty());
  CHECK(kit::form_of(plan) == Form::none);
}

TEST_CASE("all needed parts must be there") {
  kit::AttachPlan two;
  two.event("both").way("pair", {part("kprobe/a"), part("kretprobe/a")});
  FakeKernel kernel;
  kernel.has("kprobe/a");
  auto plan = two.settle(kernel);
  CHECK(plan[0].way.empty());
  CHECK(plan[0].refused[0].why == "there is no kretprobe/a");
}

TEST_CASE("a function's other name is the one that is attached to") {
  kit::AttachPlan one;
  one.event("merge").way("kprobe", {part("kprobe/blk_merge")});
  FakeKernel kernel;
  kernel.has("kprobe/blk_merge", "blk_merge.isra.0");
  CHECK(hooks(one.settle(kernel)[0]) == Texts{"kprobe/blk_merge.isra.0"});
}

TEST_CASE("a forced way is the only one that is tried") {
  FakeKernel kernel;
  kernel.has("fexit/do_sys_openat2").has("raw_tp/sys_exit");
  CHECK(opens().settle(kernel, "raw")[0].way == "raw");
  CHECK(kernel.asked == Texts{"raw_tp/sys_exit"});
  auto plan = opens().settle(kernel, "tracepoints");
  CHECK(plan[0].way.empty());
  CHECK(plan[0].refused.size() == 1);
}

TEST_CASE("an event that has no way of the forced name is settled as ever") {
  kit::AttachPlan plan = opens();
  plan.event("close").way("btf", {part("tp_btf/close")});
  FakeKernel kernel;
  kernel.has("raw_tp/sys_exit").has("tp_btf/close");
  auto settled = plan.settle(kernel, "raw");
  CHECK(settled[0].way == "raw");
  CHECK(settled[1].way == "btf");
  CHECK(plan.ways() == Texts{"fexit", "tracepoints", "raw", "btf"});
}

TEST_CASE("what was denied is told apart from what is missing") {
  FakeKernel kernel;
  kernel.denies("fexit/do_sys_openat2");
  CHECK(opens().settle(kernel)[0].denied);
  kernel.has("raw_tp/sys_exit");
  CHECK_FALSE(opens().settle(kernel)[0].denied);
  FakeKernel poor;
  CHECK_FALSE(opens().settle(poor)[0].denied);
}

TEST_CASE("one event that cannot be seen makes the form none, whatever the others are") {
  kit::AttachPlan plan = opens();
  plan.event("close").way("btf", {part("tp_btf/close")});
  FakeKernel kernel;
  kernel.has("raw_tp/sys_exit");
  CHECK(kit::form_of(plan.settle(kernel)) == Form::none);
  CHECK(kit::form_of({}) == Form::full);
}

TEST_CASE("a plan as JSON and as text") {
  FakeKernel kernel;
  kernel.has("raw_tp/sys_exit");
  auto plan = opens().settle(kernel);
  auto json = nlohmann::json::parse(kit::plan_json(plan));
  CHECK(json["form"] == "lesser");
  CHECK(json["events"][0]["event"] == "open");
  CHECK(json["events"][0]["way"] == "raw");
  CHECK(json["events"][0]["hooks"] == Texts{"raw_tp/sys_exit"});
  CHECK(json["events"][0]["misses"] == "opens by 32-bit programs");
  CHECK(json["events"][0]["refused"][0]["way"] == "fexit");
  std::string text = kit::plan_text(plan);
  CHECK(text.find("  takes    raw_tp/sys_exit\n") != text.npos);
  CHECK(text.find("  refused  fexit: there is no fexit/do_sys_openat2\n") != text.npos);
  CHECK(text.ends_with("form: lesser\n"));

  FakeKernel poor;
  json = nlohmann::json::parse(kit::plan_json(opens().settle(poor)));
  CHECK(json["form"] == "none");
  CHECK(json["events"][0]["way"].is_null());
  CHECK(json["events"][0]["misses"].is_null());
}

TEST_CASE("other names of a kernel function") {
  std::vector<std::string> symbols = {
      "vfs_read",       "__do_sys_x",        "blk_merge.isra.0", "blk_merge.constprop.12",
      "blk_merge_more", "page_alloc_noprof", "f.part.3",         "f.llvm.123456",
      "f.cold"};
  CHECK(kit::function_aliases("vfs_read", symbols) == Texts{"vfs_read"});
  CHECK(kit::function_aliases("blk_merge", symbols) == Texts{"blk_merge.constprop.12", "blk_merge.isra.0"});
  CHECK(kit::function_aliases("page_alloc", symbols) == Texts{"page_alloc_noprof"});
  CHECK(kit::function_aliases("do_sys_x", symbols) == Texts{"__do_sys_x"});
  CHECK(kit::function_aliases("f", symbols) == Texts{"f.llvm.123456", "f.part.3"});
  CHECK(kit::function_aliases("nosuch", symbols).empty());
}
