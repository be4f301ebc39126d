// SPDX-License-Identifier: BSD-2-Clause
// inject: makes an operation of the kernel fail for chosen callers, to see how a program takes it.
#include "inject.h"

#include <charconv>
#include <cmath>

#include "inject.skel.h"
#include "kit/injection.hpp"
#include "kit/text.hpp"

namespace {

using Record = inject_record;

struct Knobs {
  std::vector<std::string> words;
  kit::ErrorNumber error;
  kit::Number nth, every, times;
  std::uint64_t chance = 0;  // of 2^32; 0: always
  std::string stack;
  kit::CodeRanges beneath;  // of --stack
  bool yes = false, list = false;

  // How many calls may be broken; 0: any number. No more than will be shown.
  std::uint32_t most(std::optional<std::uint64_t> shown) const {
    std::uint64_t limit = times ? times.value : UINT32_MAX;
    if (shown) limit = std::min(limit, *shown);
    return !times && !shown ? 0 : static_cast<std::uint32_t>(limit);
  }
};

// "0.5", "50%".
std::string parse_chance(std::string_view text, std::uint64_t& chance) {
  bool percent = text.ends_with('%');
  if (percent) text.remove_suffix(1);
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (percent) value /= 100;
  if (error != std::errc() || end != text.data() + text.size() || !(value > 0 && value <= 1))
    return "expects more than 0 and at most 1, or a percentage";
  chance = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::llround(std::ldexp(value, 32))));
  return "";
}

kit::Table<Record> make_table(const kit::Injection*& injection) {
  auto text = [](const std::string& name) { return name.empty() ? kit::Cell::unknown() : kit::Cell::borrowed(name); };
  kit::Table<Record> table;
  table.time()
      .column("PID", "pid", -7, "the process whose call was broken", &Record::pid)
      .column("TID", "tid", -7, "its thread", &Record::tid)
      .column("UID", "uid", -6, "its user", &Record::uid)
      .column("COMM", "comm", 16, "the thread's name", &Record::comm)
      .column("ERR", "error", 8, "the error that it got", [](const Record& r) { return kit::Cell::error(r.error); })
      .column("CALL", "call", -6, "which of the matching calls it was, those of all callers counted", &Record::call)
      .column("OPERATION", "operation", 10, "what was made to fail",
              [&injection, text](const Record&) { return text(injection->operation()); })
      .column("FUNCTION", "function", 0, "the kernel's function that failed, or its security modules' hook",
              [&injection, text](const Record& r) { return text(injection->function(r.place)); });
  return table;
}

void declare(kit::Options& options, Knobs& knobs) {
  options.words("OPERATION|kernel:FUNCTION", knobs.words)
      .option(0, "error", "ERRNO", knobs.error, "the error that a broken call gets, like ENOSPC")
      .option(0, "nth", "N", knobs.nth, "only the Nth of the matching calls")
      .option(0, "every", "N", knobs.every, "only each Nth of them")
      .add(0, "probability", "P", "each with this probability, like 0.5 or 50%",
           [&knobs](std::string_view text) { return parse_chance(text, knobs.chance); })
      .option(0, "times", "N", knobs.times, "break N calls at most; -n does so, too, and ends then")
      .option(0, "stack", "FUNC", knobs.stack, "only calls beneath this function of the kernel")
      .flag(0, "yes-break-it", knobs.yes, "say that you mean it: nothing is broken without")
      .flag(0, "list", knobs.list, "list what this kernel lets fail, by trying each")
      .details(
          "Chosen callers get the error in place of the operation, which is not done. Callers are chosen by -p, -t, "
          "-u, "
          "--comm, --cgroup, --tree or -- COMMAND; without any of them nothing is broken. The tool itself, its "
          "ancestors, PID 1 and the kernel's own threads are never harmed. When the tool ends, killed or not, all "
          "works again.")
      .details(
          "Matching calls are those of the chosen callers, beneath --stack's function if there is one; --nth and "
          "--every count them from the tool's start, those of all callers together. Options that choose calls must all "
          "agree. A call that cannot be shown, since the buffer is full, is not broken but counted as lost.")
      .details(
          "Calls that the kernel refuses before it asks whether they are allowed are not counted, unless the way is "
          "override, which stands before the whole system call. A file that an open makes is made before it fails. "
          "The kernel repeats an open that fails with ECHILD or ESTALE, and each try counts.")
      .example("inject open --error EMFILE --yes-break-it -- cat /etc/hostname", "how cat takes it")
      .example("inject write --error ENOSPC --nth 3 --yes-break-it -p 1234", "the third write from now on")
      .example("inject connect --error ETIMEDOUT --probability 0.1 --comm curl --yes-break-it -d 60",
               "one of ten connections, for a minute")
      .example("inject --list", "what can be made to fail here");
}

kit::Injectable check(Knobs& knobs, const kit::Session& session) {
  auto wrong = [](const std::string& why) { throw kit::Failure(kit::Exit::usage, why); };
  const kit::Settings& settings = session.settings();
  if (session.replaying()) return {};
  if (knobs.words.empty() && settings.explain) knobs.words = {"open"};
  if (knobs.words.empty()) wrong("name an operation, like open, or kernel:FUNCTION; --list shows all");
  if (knobs.words.size() > 1) wrong(kit::cat("unexpected ", knobs.words[1], ": one operation at a time"));
  kit::Injectable one = kit::find_injectable(knobs.words[0]);
  if (settings.explain) return one;
  if (!knobs.error.number) wrong("--error ERRNO is needed: what the call is to fail with, like ENOSPC");
  kit::check_chosen(settings);
  if (!knobs.stack.empty()) knobs.beneath = kit::find_code(knobs.stack);
  if (!knobs.yes) wrong(kit::cat("this makes ", one.name, " fail on purpose: add --yes-break-it"));
  return one;
}

}  // namespace

int tool(int argc, char** argv) {
  Knobs knobs;
  const kit::Injection* running = nullptr;
  auto table = make_table(running);
  kit::Options options(kit::Shape::stream, "inject", "Make an operation of the kernel fail for chosen callers.");
  declare(options.shows(table), knobs);
  kit::Session session(options, argc, argv);
  if (knobs.list) return kit::list_injectables(session);
  kit::Injectable one = check(knobs, session);

  kit::Skeleton<inject_bpf> bpf;
  auto* read_only = bpf->rodata;
  read_only->failure = -knobs.error.number;
  read_only->nth = knobs.nth.value;
  read_only->every = knobs.every.value;
  read_only->times = knobs.most(session.settings().count);
  read_only->chance = knobs.chance;
  kit::AttachPlan plan;
  kit::plan_injection(plan, one, bpf.object());
  session.settle(bpf, plan);
  kit::Injection injection(session, bpf.object(), one);
  running = &injection;
  injection.only_beneath(knobs.beneath);
  session.load(bpf);
  injection.attach();
  return session.show(bpf, table);
}
