// SPDX-License-Identifier: BSD-2-Clause
// The manual page and the completions, made of a tool's own declarations when it is built.
#include <cstdlib>
#include <ctime>

#include "kit/failure.hpp"
#include "kit/options.hpp"
#include "kit/text.hpp"

namespace kit {
namespace {

// roff takes a leading dot or quote for a request, a backslash for an escape and a bare minus for a hyphen.
std::string roff(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n'))
      out += cat("\\&", c);
    else
      out += c;
  }
  return out;
}

std::string build_date() {
  const char* epoch = std::getenv("SOURCE_DATE_EPOCH");
  std::time_t seconds = epoch ? std::atoll(epoch) : std::time(nullptr);
  std::tm parts{};
  char text[16];
  gmtime_r(&seconds, &parts);
  return std::strftime(text, sizeof text, "%Y-%m-%d", &parts) ? text : "";
}

std::string upper(std::string text) {
  for (char& c : text) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
  return text;
}

bool has_letter(const Options::Option& option) { return option.key < 256; }

std::string option_entry(const Options::Option& option) {
  std::string out = ".TP\n";
  if (has_letter(option)) out += cat("\\fB\\-", static_cast<char>(option.key), "\\fR, ");
  out += cat("\\fB\\-\\-", roff(option.name), "\\fR");
  if (!option.argument.empty()) out += cat("=\\fI", roff(option.argument), "\\fR");
  return out + cat('\n', roff(option.help), '\n');
}

// What can follow an option: "text json csv" for --output; else files.
std::string words_for(const Options::Option& option) {
  if (option.name == "output") return "text json csv";
  if (option.name == "time") return "clock iso epoch delta boot none";
  return "";
}

bool takes_file(const Options::Option& option) { return option.argument == "FILE" || option.argument == "PATH"; }

std::string bash_completion(const Options& options, const std::string& program) {
  std::string name = program, all = "--help --usage --version", cases;
  for (char& c : name)
    if (c == '-' || c == '.') c = '_';
  for (const auto& option : options.all()) {
    if (option.hidden) continue;
    all += cat(" --", option.name);
    std::string pattern = cat("--", option.name);
    if (has_letter(option)) pattern += cat("|-", static_cast<char>(option.key));
    if (option.argument.empty()) continue;
    std::string words = words_for(option);
    cases += cat("    ", pattern, ") COMPREPLY=($(compgen ",
                 !words.empty()          ? cat("-W '", words, "'")
                 : takes_file(option)    ? "-f"
                 : option.name == "user" ? "-u"
                                         : "-W ''",
                 " -- \"$word\")); return ;;\n");
  }
  return cat("# bash completion of ", program, "\n_", name, "() {\n  local word=${COMP_WORDS[COMP_CWORD]}\n",
             "  case ${COMP_WORDS[COMP_CWORD - 1]} in\n", cases, "  esac\n",
             "  if [[ $word == -* ]]; then COMPREPLY=($(compgen -W '", all, "' -- \"$word\")); else ",
             "COMPREPLY=($(compgen -c -- \"$word\")); fi\n}\ncomplete -F _", name, ' ', program, '\n');
}

std::string zsh_text(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '\'')
      out += "'\\''";
    else if (c == '[' || c == ']' || c == ':' || c == '\\')
      out += cat('\\', c);
    else
      out += c;
  }
  return out;
}

std::string zsh_completion(const Options& options, const std::string& program) {
  std::string out = cat(
      "#compdef ", program,
      "\n_arguments -s -S \\\n  '(- *)'{-\\?,--help}'[give help]' \\\n  '(- *)'{-V,--version}'[print the version]'");
  for (const auto& option : options.all()) {
    if (option.hidden) continue;
    std::string after;
    if (!option.argument.empty()) {
      std::string words = words_for(option);
      after = cat(':', zsh_text(option.argument), ':',
                  !words.empty()       ? cat('(', words, ')')
                  : takes_file(option) ? "_files"
                                       : " ");
    }
    std::string equals = option.argument.empty() ? "" : "=";
    out += cat(" \\\n  '--", option.name, equals, '[', zsh_text(option.help), ']', after, '\'');
    if (has_letter(option))
      out += cat(" \\\n  '-", static_cast<char>(option.key), option.argument.empty() ? "" : "+", '[',
                 zsh_text(option.help), ']', after, '\'');
  }
  return out + " \\\n  '*:: :_normal'\n";
}

std::string fish_completion(const Options& options, const std::string& program) {
  std::string out = cat("# fish completion of ", program, '\n');
  for (const auto& option : options.all()) {
    if (option.hidden) continue;
    out += cat("complete -c ", program, " -l ", option.name);
    if (has_letter(option)) out += cat(" -s ", static_cast<char>(option.key));
    if (!option.argument.empty()) out += takes_file(option) ? " -r -F" : " -x";
    if (std::string words = words_for(option); !words.empty()) out += cat(" -a '", words, "'");
    std::string help;
    for (char c : option.help) c == '\'' ? help += "\\'" : help += c;
    out += cat(" -d '", help, "'\n");
  }
  return out;
}

}  // namespace

std::string manual(const Options& options, const std::string& program) {
  std::string out = cat(".TH ", upper(roff(program)), " 8 ", build_date(), " \"corekit ", version(),
                        "\" \"System Manager's Manual\"\n");
  std::string about = options.about();
  if (about.ends_with('.')) about.pop_back();
  out += cat(".SH NAME\n", roff(program), " \\- ", roff(about), "\n.SH SYNOPSIS\n.B ", roff(program),
             "\n[\\fIOPTION\\fR...] ");
  if (options.shape() == Shape::interval) out += "[\\fIINTERVAL\\fR [\\fICOUNT\\fR]] ";
  if (options.shape() == Shape::stacks) out += "[\\fIDURATION\\fR] ";
  out += "[\\-\\- \\fICOMMAND\\fR \\fIARG\\fR...]\n.SH DESCRIPTION\n";
  out += cat(roff(options.about()), '\n');
  for (const auto& paragraph : options.paragraphs()) out += cat(".PP\n", roff(paragraph), '\n');
  out += ".SH OPTIONS\n";
  for (const auto& option : options.all())
    if (!option.common) out += option_entry(option);
  out += ".SS Of every tool\n";
  for (const auto& option : options.all())
    if (option.common && !option.hidden) out += option_entry(option);
  out +=
      ".PP\nA duration is a number with ns, us, ms, s, m or h; a size takes K, M, G. Filters are decided in the "
      "kernel; "
      "different ones must all match. The tool itself is never shown.\n";
  if (options.columns()) {
    out += ".SH OUTPUT\nColumns of the text, and their keys in JSON and CSV:\n";
    for (const Column& column : options.columns()->columns())
      out += cat(".TP\n\\fB", roff(column.heading), "\\fR (", roff(column.key), ")\n", roff(column.about), '\n');
    out += ".PP\nIn text, ? is a value that is not known, n/a one that this kernel has no source for, and \\- none.\n";
  }
  for (const auto& [name, unit, counted, keys] : options.histograms()) {
    out += cat(".SH OUTPUT\nHistograms, called ", roff(name), ", in ", unit, ": ", roff(counted),
               ". In text a bar for each power of two, then the count, percentiles and the largest value; in JSON "
               "count, sum, p50, p90, p99, p999, max and buckets, each with min, max and count; in CSV a row for each "
               "bucket.\n");
    for (const auto& [key, meaning] : keys) out += cat(".TP\n\\fB", roff(key), "\\fR\n", roff(meaning), '\n');
  }
  if (!options.examples().empty()) out += ".SH EXAMPLES\n";
  for (const auto& example : options.examples())
    out += cat(".TP\n\\fB", roff(example.command), "\\fR\n", roff(example.meaning), '\n');
  out +=
      ".SH EXIT STATUS\n0 done (also after a signal, a closed pipe, \\-d or \\-n); 1 failure; 3 data was lost, under "
      "\\-\\-strict; 64 usage; 69 this kernel cannot; 77 not permitted.\n";
  return out;
}

std::string completion(const Options& options, const std::string& program, std::string_view shell) {
  if (shell == "bash") return bash_completion(options, program);
  if (shell == "zsh") return zsh_completion(options, program);
  if (shell == "fish") return fish_completion(options, program);
  throw Failure(Exit::usage, cat("no completions for ", shell, "; bash, zsh or fish"));
}

}  // namespace kit
