// SPDX-License-Identifier: BSD-2-Clause
// doctor: what this kernel and this user can do, and so which tools work.
#include "kit/session.hpp"
#include "kit/suite.hpp"
#include "kit/text.hpp"
#include "kit/trials.hpp"

namespace {

struct Finding {
  std::string about, what, answer, found, remedy;
};

kit::Table<Finding> make_table() {
  auto text = [](std::string Finding::*member) {
    return [member](const Finding& finding) {
      return (finding.*member).empty() ? kit::Cell::none() : kit::Cell::borrowed(finding.*member);
    };
  };
  kit::Table<Finding> table;
  table.column("ABOUT", "about", 7, "kernel, attach, helper, right, or tool", text(&Finding::about))
      .column("WHAT", "what", 32, "what was tried", text(&Finding::what))
      .column("WORKS", "works", 6, "yes or no; of a tool also lesser: it does, and misses something",
              text(&Finding::answer))
      .column("FOUND", "found", 60, "what was seen; of a tool how it works, or what it misses", text(&Finding::found))
      .column("REMEDY", "remedy", 0, "the one thing that would change it", text(&Finding::remedy));
  return table;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string all;
  for (const std::string& part : parts) all += kit::cat(all.empty() ? "" : "; ", part);
  return all;
}

// What a tool says of its own plan.
Finding examine(const std::string& tool) {
  kit::ToolVerdict verdict = kit::ask_tool(tool, "doctor");
  if (verdict.form == "full") return {"tool", tool, "yes", verdict.sees, ""};
  std::string sees = verdict.sees.empty() ? "" : kit::cat(verdict.sees, ": ");
  return {"tool", tool, verdict.form == "lesser" ? "lesser" : "no", kit::cat(sees, joined(verdict.lack)),
          joined(verdict.why)};
}

// All of a kind, shown as soon as they are known.
template <typename Show>
void show(const char* about, const std::vector<kit::Trial>& trials, const Show& each) {
  for (const kit::Trial& trial : trials)
    each({about, trial.what, trial.works ? "yes" : "no", trial.found, trial.remedy});
}

}  // namespace

int tool(int argc, char** argv) {
  auto table = make_table();
  kit::Options options(kit::Shape::stream, "doctor",
                       "Tell what this kernel and this user can do, and which tools work.");
  options.shows(table)
      .details(
          "Everything is found by trying it: programs are loaded, attached where they disturb nobody, made to run, and "
          "taken away again. With each no stands the one thing that would change it. The tools are asked themselves, "
          "by their --explain; a lesser form misses something, and after it stands why the better ones are refused.")
      .details("The exit status is 0 if every tool works, if only in a lesser form, and 69 if some cannot.")
      .example("doctor", "what works here")
      .example("doctor -o json | jq -c 'select(.about == \"tool\" and .works != \"yes\")'",
               "the tools that lack something");
  kit::Session session(options, argc, argv);
  bool all_work = true;
  int status = session.list(table, [&] {
    auto row = [&](const Finding& finding) { session.row(table, finding); };
    show("kernel", kit::try_sources(), row);
    show("attach", kit::try_attaching(), row);
    show("helper", kit::try_helpers(), row);
    show("right", kit::try_rights(), row);
    for (const std::string& tool : kit::suite_tools()) {
      if (tool == "doctor") continue;
      Finding finding = examine(tool);
      all_work &= finding.answer != "no";
      row(finding);
    }
  });
  return status || all_work ? status : static_cast<int>(kit::Exit::unsupported);
}
