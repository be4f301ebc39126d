// SPDX-License-Identifier: BSD-2-Clause
// Places in the kernel: kprobe, kretprobe, fentry, fexit, tracepoint and rawtracepoint.
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <set>

#include "data_types.hpp"
#include "kallsyms.hpp"
#include "kit/kernel.hpp"
#include "kit/probes.hpp"
#include "kit/text.hpp"
#include "kit/usdt_places.hpp"
#include "places.hpp"
#include "tracefs.hpp"

namespace kit {
namespace {

// Where the kernel attaches one by one, each takes some milliseconds and detaching as many.
constexpr std::size_t most_without_multi = 500;
constexpr std::size_t most_typed = 100;

#ifdef __aarch64__
constexpr std::int32_t argument_registers[] = {0, 8, 16, 24, 32, 40, 48, 56};
constexpr std::int32_t result_register = 0, stack_register = 248, return_address = 0;
#else
// di, si, dx, cx, r8, r9; ax; sp, where the return address is.
constexpr std::int32_t argument_registers[] = {112, 104, 96, 88, 72, 64};
constexpr std::int32_t result_register = 80, stack_register = 152, return_address = 8;
#endif

fetch_step step_of(fetch_verb verb, std::int32_t offset, unsigned size = 0, bool flag = false) {
  fetch_step step{};
  step.op = static_cast<__u8>(verb);
  step.size = static_cast<__u8>(size);
  step.flag = flag;
  step.offset = offset;
  return step;
}

// A number of the kernel's, or an address there, of which no more is known.
Fetched plain_value(std::vector<fetch_step> steps) {
  Fetched value;
  value.kernel = true;
  value.steps = std::move(steps);
  return value;
}

Fetched result_value(const DataFunction& function, std::vector<fetch_step> steps) {
  if (function.returns) return typed_value(function.types, function.returns, std::move(steps));
  Fetched nothing;
  nothing.refused = "the function returns nothing";
  return nothing;
}

std::optional<std::size_t> parameter_number(const DataFunction& function, std::string_view name) {
  for (std::size_t i = 0; i < function.parameters.size(); i++)
    if (function.parameters[i].name == name) return i;
  return {};
}

std::vector<std::string> parameter_names(const std::optional<DataFunction>& function) {
  std::vector<std::string> names;
  for (std::size_t i = 0; function && i < function->parameters.size(); i++) {
    names.push_back(cat("arg", i));
    if (!function->parameters[i].name.empty()) names.push_back(function->parameters[i].name);
  }
  return names;
}

// A name with what compilers append to it left out: "vfs_read.isra.0".
std::string source_name(const std::string& function) { return function.substr(0, function.find('.')); }

const std::vector<std::string>& kernel_functions() {
  static const std::vector<std::string> all = [] {
    std::vector<std::string> names;
    blazesym::each_kernel_function([&](std::string_view name) { names.emplace_back(name); });
    return names;
  }();
  return all;
}

[[noreturn]] void refuse_kernel_function(const Probe& probe, const std::string& wanted) {
  std::vector<std::string> near;
  for (const std::string& name : kernel_functions())
    if (name.substr(0, 3) == wanted.substr(0, 3)) near.push_back(name);
  refuse_probe(probe, probe.target_at,
               cat("this kernel has no function ", wanted, " that can be probed", suggestion(wanted, near)));
}

std::vector<std::string> matching_functions(const Probe& probe, const std::string& wanted) {
  if (is_glob(wanted)) {
    auto found = traceable_functions(wanted);
    if (found.empty()) refuse_kernel_function(probe, wanted);
    return found;
  }
  auto found = function_aliases(wanted, kernel_functions());
  // The name itself; only where there is none, one of its guises.
  if (found.empty()) refuse_kernel_function(probe, wanted);
  if (found[0] == wanted) return {wanted};
  return found;
}

// The kernel takes an offset behind the end for one into whatever follows.
void check_kernel_offset(const Probe& probe, const std::string& function, std::uint64_t offset) {
  static const auto symbols = blazesym::KernelSymbols::read();
  std::uint64_t size = symbols.size(function);
  if (size && offset >= size)
    refuse_probe(probe, probe.target_at, cat("an offset into ", function, " is below ", size));
}

std::uint32_t kprobe_type(const Probe& probe) {
  std::string type = read_line("/sys/bus/event_source/devices/kprobe/type");
  if (type.empty())
    throw Failure(Exit::unsupported,
                  cat("cannot probe ", probe.target, ": kprobes are compiled out of this kernel (CONFIG_KPROBES)"));
  return static_cast<std::uint32_t>(std::atoi(type.c_str()));
}

}  // namespace

std::optional<std::vector<fetch_step>> argument_steps(unsigned number, bool kernel) {
  if (number < std::size(argument_registers)) return {{step_of(FETCH_REGISTER, argument_registers[number])}};
  if (number >= 16) return {};
  auto behind = static_cast<std::int32_t>((number - std::size(argument_registers)) * 8);
  return {{step_of(FETCH_REGISTER, stack_register),
           step_of(kernel ? FETCH_READ_KERNEL : FETCH_READ_USER, behind + return_address, 8)}};
}

std::optional<std::vector<fetch_step>> narrow_argument_steps(unsigned number) {
  if (number >= 16) return {};
  return {{step_of(FETCH_REGISTER, stack_register),
           step_of(FETCH_READ_USER, static_cast<std::int32_t>(4 * (number + 1)), 4)}};
}

std::vector<fetch_step> narrow_result_steps() {
  return {step_of(FETCH_REGISTER, result_register), step_of(FETCH_CAST, 0, 32)};
}

Fetched typed_value(const btf* types, std::uint32_t type, std::vector<fetch_step> steps, bool kernel) {
  Fetched value;
  value.kernel = kernel;
  value.steps = std::move(steps);
  value.types = types;
  value.type = type;
  DataKind kind = data_kind(types, type);
  if (kind == DataKind::structure || kind == DataKind::array)
    value.refused = "it is handed over by value, which is not supported";
  if (kind != DataKind::number && kind != DataKind::enumeration) return value;
  NumberType number = number_of_type(types, type);
  value.bits = number.bits;
  value.is_signed = number.is_signed;
  if (number.bits < 64)
    value.steps.push_back(step_of(FETCH_CAST, 0, static_cast<unsigned>(number.bits), number.is_signed));
  return value;
}

std::vector<fetch_step> result_steps() { return {step_of(FETCH_REGISTER, result_register)}; }

std::vector<std::string> traceable_functions(const std::string& glob) {
  std::vector<std::string> found;
  std::string all = tracefs_file("available_filter_functions");
  std::set<std::string_view> traceable;
  // "NAME" or "NAME [MODULE]".
  for (std::string_view line : split(all, '\n')) traceable.insert(line.substr(0, line.find(' ')));
  for (const std::string& name : kernel_functions())
    if (glob_matches(glob, name) && (all.empty() || traceable.contains(name))) found.push_back(name);
  std::sort(found.begin(), found.end());
  // Of several functions of one name the kernel takes none by it.
  for (std::size_t i = 0; i + 1 < found.size();) {
    std::size_t end = i + 1;
    while (end < found.size() && found[end] == found[i]) end++;
    if (end - i > 1)
      found.erase(found.begin() + static_cast<std::ptrdiff_t>(i), found.begin() + static_cast<std::ptrdiff_t>(end));
    else
      i++;
  }
  return found;
}

void PlaceFinder::find_kprobe(const Probe& probe, bool at_return) {
  std::string function = probe.target;
  std::uint64_t offset = 0;
  if (std::size_t plus = function.find('+'); plus != std::string::npos) {
    auto number = parse_offset(std::string_view(function).substr(plus + 1));
    if (!number) refuse_probe(probe, probe.target_at + plus + 1, "expected an offset, in bytes");
    if (at_return) refuse_probe(probe, probe.target_at + plus, "a return has no offset");
    offset = *number;
    function.resize(plus);
  }
  if (function.empty()) refuse_probe(probe, probe.target_at, "expected a function of the kernel, like vfs_read");
  auto functions = matching_functions(probe, function);
  if (offset) check_kernel_offset(probe, functions.front(), offset);
  if (functions.size() > 1 && offset == 0 && has_kprobe_multi()) return add_kprobes(probe, functions, at_return);
  if (functions.size() > most_without_multi)
    throw Failure(Exit::unsupported, cat(functions.size(), " functions match ", function,
                                         ", and this kernel attaches one by one (it has no kprobe.multi): ",
                                         most_without_multi, " are the limit"));
  for (const std::string& one : functions) add_kprobe(probe, one, offset, at_return);
}

PlaceFinder::Spot PlaceFinder::kernel_spot(const Probe& probe, const std::string& function, std::uint64_t offset,
                                           bool at_return) {
  Spot spot{
      .probe = probe, .name = cat(probe.kind, ':', function, offset ? cat('+', offset) : ""), .function = function};
  spot.at_return = at_return;
  if (at_return)
    spot.flags = FETCH_POPPED;
  else if (!offset)
    spot.flags = FETCH_CALLED;
  auto types = std::make_shared<std::optional<DataFunction>>();
  auto asked = std::make_shared<bool>(false);
  // Only if an expression asks: the kernel's types take a while to read.
  auto known = [types, asked, function]() -> const std::optional<DataFunction>& {
    if (!std::exchange(*asked, true)) *types = data_function(source_name(function));
    return *types;
  };
  if (!probe.shown.empty() || probe.filter)
    spot.names = at_return ? std::vector<std::string>{"retval", "latency"} : parameter_names(known());
  spot.resolve = [known, offset, at_return](const Expression& expression) -> std::optional<Fetched> {
    const auto& type = known();
    auto number = argument_number(expression.text);
    if (expression.text == "retval" && at_return)
      return type ? result_value(*type, result_steps()) : plain_value(result_steps());
    if (!number && type)
      if (auto found = parameter_number(*type, expression.text)) number = static_cast<unsigned>(*found);
    auto steps = number ? argument_steps(*number, true) : std::nullopt;
    if (!steps) return {};
    Fetched value = type && *number < type->parameters.size()
                        ? typed_value(type->types, type->parameters[*number].type, *steps)
                        : plain_value(*steps);
    if (type && *number < type->parameters.size() && is_moved(*type, *number))
      value.refused = "it is behind a structure that is handed over by value; fentry knows where";
    if (at_return) value.refused = "arguments are gone at the return; probe the entry, or use fexit";
    if (offset) value.refused = "within a function the registers need not hold its arguments any more";
    return value;
  };
  return spot;
}

// A function's beginning and its return together, by one link.
Attachment PlaceFinder::of_session(Attachment attachment, std::vector<std::string> functions) {
  attachment.program = "hit_kprobe_session";
  attachment.functions = std::move(functions);
  if (attachment.cookies.empty()) attachment.cookies = {attachment.cookie};
  attachment.at_return = false;
  return attachment;
}

void PlaceFinder::add_kprobe(const Probe& probe, const std::string& function, std::uint64_t offset, bool at_return) {
  Spot spot = kernel_spot(probe, function, offset, at_return);
  Attachment attachment{.program = "hit_probe", .shown = spot.name, .cookie = 0, .probe = &probe};
  if (at_return) spot.in_session = [&] { return takes_kprobe_session(function); };
  attachment.cookie = add(spot);
  if (is_session_) return attachments.push_back(of_session(attachment, {function}));
  attachment.event.type = kprobe_type(probe);
  attachment.event.config = at_return ? 1 : 0;
  attachment.event.config2 = offset;
  attachment.path = function;
  attachment.offset = offset > 0;
  attachment.one_of_many = is_glob(probe.target);
  if (wants_entry_) {
    Attachment entry = attachment;
    entry.cookie = entry_cookie(attachment.cookie, plans.share(FETCH_ENTRY));
    entry.event.config = 0;
    attachments.push_back(entry);
  }
  attachments.push_back(attachment);
}

void PlaceFinder::add_kprobes(const Probe& probe, const std::vector<std::string>& functions, bool at_return) {
  std::string shown = cat(probe.kind, ':', probe.target, " (", functions.size(), " functions)");
  Attachment many{.program = "hit_kprobe_multi", .shown = shown, .cookie = 0, .probe = &probe};
  Attachment entries = many;
  many.at_return = at_return;
  many.functions = entries.functions = functions;
  for (const std::string& function : functions) {
    Spot spot = kernel_spot(probe, function, 0, at_return);
    if (at_return) spot.in_session = has_kprobe_session;
    std::uint64_t cookie = add(spot);
    many.cookies.push_back(cookie);
    if (wants_entry_ && !is_session_) entries.cookies.push_back(entry_cookie(cookie, plans.share(FETCH_ENTRY)));
  }
  if (is_session_) many = of_session(many, functions);
  if (!entries.cookies.empty()) attachments.push_back(entries);
  attachments.push_back(many);
}

void PlaceFinder::find_typed(const Probe& probe, bool at_return) {
  auto functions = matching_functions(probe, probe.target);
  std::size_t before = attachments.size();
  for (const std::string& function : functions) {
    auto type = data_function(function);
    if (!type || type->types != kernel_data_types()) continue;
    Spot spot{.probe = probe, .name = cat(probe.kind, ':', function), .function = function};
    spot.at_return = at_return;
    spot.names = parameter_names(type);
    if (at_return) spot.names.insert(spot.names.begin(), {"retval", "latency"});
    spot.resolve = [&](const Expression& expression) -> std::optional<Fetched> {
      auto argument = [&](std::size_t number) {
        return std::vector{step_of(FETCH_REGISTER, static_cast<std::int32_t>(parameter_slot(*type, number) * 8))};
      };
      std::size_t count = type->parameters.size();
      if (expression.text == "retval" && at_return) return result_value(*type, argument(count));
      auto number = argument_number(expression.text);
      if (!number)
        if (auto found = parameter_number(*type, expression.text)) number = static_cast<unsigned>(*found);
      if (!number || *number >= count) return {};
      return typed_value(type->types, type->parameters[*number].type, argument(*number));
    };
    Attachment attachment{
        .program = at_return ? "hit_fexit" : "hit_fentry", .shown = spot.name, .cookie = 0, .probe = &probe};
    attachment.cookie = add(spot);
    attachment.type_id = type->id;
    if (wants_entry_) {
      Attachment entry = attachment;
      entry.program = "hit_fentry";
      entry.cookie = entry_cookie(attachment.cookie, plans.share(FETCH_ENTRY));
      attachments.push_back(entry);
    }
    attachments.push_back(attachment);
  }
  if (attachments.size() == before)
    refuse_probe(
        probe, probe.target_at,
        cat("the kernel's types tell of no function ", probe.target, "; kprobe:", probe.target, " asks for none"));
  if (functions.size() > most_typed)
    refuse_probe(
        probe, probe.target_at,
        cat(functions.size(), " functions match, and ", most_typed, " are the limit of this kind; kprobe takes more"));
}

namespace {

// A field of a tracepoint: "field:const char * name;\toffset:16;\tsize:8;\tsigned:0;".
struct Field {
  std::string type, name;
  std::uint32_t offset = 0, size = 0, elements = 0;
  bool is_signed = false, moved = false, relative = false;  // moved: its place is in the record ("__data_loc")
};

std::string_view behind(std::string_view line, std::string_view word) {
  std::size_t at = line.find(word);
  if (at == line.npos) return {};
  line.remove_prefix(at + word.size());
  return line.substr(0, line.find(';'));
}

std::vector<Field> fields_of_format(const std::string& format) {
  std::vector<Field> all;
  for (std::string_view line : split(format, '\n')) {
    std::string_view declared = behind(line, "field:");
    std::size_t blank = declared.rfind(' ');
    if (declared.empty() || blank == declared.npos) continue;
    Field field;
    std::string_view name = declared.substr(blank + 1), type = declared.substr(0, blank);
    field.moved = type.starts_with("__data_loc ") || type.starts_with("__rel_loc ");
    field.relative = type.starts_with("__rel_loc ");
    field.offset = static_cast<std::uint32_t>(parse_number(behind(line, "offset:")).value_or(0));
    field.size = static_cast<std::uint32_t>(parse_number(behind(line, "size:")).value_or(0));
    field.is_signed = behind(line, "signed:") == "1";
    if (std::size_t bracket = name.find('['); bracket != name.npos) {
      field.elements =
          static_cast<std::uint32_t>(parse_number(name.substr(bracket + 1, name.find(']') - bracket - 1)).value_or(0));
      name = name.substr(0, bracket);
    }
    field.type = type;
    field.name = name;
    all.push_back(std::move(field));
  }
  return all;
}

// "1=A,2=B" of __print_symbolic(REC->NAME, {1, "A"}, ...) or __print_flags(REC->NAME, "|", ...).
std::string printed_names(const std::string& format, const std::string& field) {
  std::string names;
  for (std::string function : {"__print_symbolic(REC->", "__print_flags(REC->"}) {
    std::size_t at = format.find(cat(function, field, ","));
    if (at == std::string::npos) continue;
    std::string_view rest = std::string_view(format).substr(at);
    rest = rest.substr(0, rest.find(")"));
    for (std::size_t open; (open = rest.find('{')) != rest.npos;) {
      rest.remove_prefix(open + 1);
      std::string number(rest.substr(0, rest.find(',')));
      std::size_t quote = rest.find('"');
      if (quote == rest.npos) break;
      rest.remove_prefix(quote + 1);
      number.erase(0, number.find_first_not_of(' '));
      if (number.find_first_not_of("-0123456789abcdefxX") == std::string::npos)
        names += cat(names.empty() ? "" : ",", number, '=', rest.substr(0, rest.find('"')));
    }
  }
  // open(2)'s, which newer kernels print (as 7.2 does), lack O_RDONLY, which has no bit: our own are whole.
  return names.find("=O_WRONLY") == names.npos ? names : "";
}

// Of "__data_loc unsigned long[]": as many as this hit has.
void set_elements(const Field& field, Fetched& value) {
  std::string_view type = std::string_view(field.type).substr(field.type.find(' ') + 1);
  NumberType number;
  if (type.ends_with("[]")) number = number_type(type.substr(0, type.size() - 2));
  if (!number.bits) value.refused = cat("a ", type, " is not supported");
  value.bits = number.bits;
  value.is_signed = number.is_signed;
  value.elements = UINT32_MAX;
  value.counted = true;
}

Fetched field_value(const Field& field, const std::string& format, bool user_addresses) {
  Fetched value;
  auto offset = static_cast<std::int32_t>(field.offset);
  value.kernel = !user_addresses;
  bool chars = field.type.find("char") != std::string::npos;
  if (field.moved) {
    value.kernel = true;
    value.text = chars;
    if (!chars) set_elements(field, value);
    value.steps = {step_of(FETCH_CONTEXT, offset, 4), step_of(FETCH_CAST, 0, 16)};
    fetch_step base = step_of(FETCH_ADD, 0);
    base.number = field.relative ? field.offset + field.size : 0;
    if (base.number) value.steps.push_back(base);
    value.steps.push_back(step_of(FETCH_ADD_CONTEXT, 0));
  } else if (field.elements) {
    fetch_step base = step_of(FETCH_CONSTANT, 0);
    base.number = field.offset;
    value.kernel = true;
    value.steps = {base, step_of(FETCH_ADD_CONTEXT, 0)};
    value.text = chars;
    value.elements = chars ? 0 : field.elements;
    value.bits = static_cast<int>(field.size / field.elements * 8);
    value.is_signed = field.is_signed;
    if (value.bits > 64 || value.bits == 0) value.refused = "elements of this size are not supported";
  } else {
    value.steps = {step_of(FETCH_CONTEXT, offset, field.size)};
    value.bits = static_cast<int>(field.size * 8);
    value.is_signed = field.is_signed;
    if (field.size > 8) value.refused = "a field of this size is not supported";
    if (field.is_signed && value.bits < 64)
      value.steps.push_back(step_of(FETCH_CAST, 0, static_cast<unsigned>(value.bits), true));
    // A system call's argument takes up a whole word, of which its type is the lower part.
    if (NumberType number = number_type(field.type); number.bits && number.bits < value.bits && value.refused.empty()) {
      value.bits = number.bits;
      value.is_signed = number.is_signed;
      value.steps.push_back(step_of(FETCH_CAST, 0, static_cast<unsigned>(number.bits), number.is_signed));
    }
    value.text = chars && field.type.find('*') != std::string::npos;
    value.names = printed_names(format, field.name);
    if (field.type.find('*') == std::string::npos || value.text) return value;
    if (auto type = named_type(kernel_data_types(), field.type)) {
      value.types = kernel_data_types();
      value.type = type->type;
      value.stars = type->stars;
    }
  }
  return value;
}

std::string path_of_event(std::string event) { return event.replace(event.find(':'), 1, "/"); }

// Those that the probe names, CATEGORY:EVENT.
std::vector<std::string> events_of(const Probe& probe) {
  if (probe.target.find(':') == std::string::npos)
    refuse_probe(probe, probe.target_at, "a tracepoint is CATEGORY:EVENT");
  // All are read only where that is asked for, or none is found: there are thousands.
  bool one = !is_glob(probe.target) && probe.target.find('/') == std::string::npos;
  if (one && tracepoint_id(path_of_event(probe.target)) >= 0) return {probe.target};
  int error = 0;
  std::vector<std::string> all = tracepoints(error), found;
  if (error)
    throw Failure(error == EACCES || error == EPERM ? Exit::denied : Exit::unsupported,
                  cat("tracefs cannot be read: ", error_text(error), "; rawtracepoint:EVENT asks for none"));
  for (std::string& event : all) {
    event.replace(event.find('/'), 1, ":");
    if (glob_matches(probe.target, event)) found.push_back(event);
  }
  if (found.empty())
    refuse_probe(probe, probe.target_at,
                 cat("this kernel has no tracepoint ", probe.target, suggestion(probe.target, all)));
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

void PlaceFinder::find_tracepoint(const Probe& probe) {
  for (const std::string& event : events_of(probe)) {
    std::string path = path_of_event(event), format = tracepoint_format(path);
    auto fields = fields_of_format(format);
    Spot spot{.probe = probe, .name = cat("tracepoint:", event), .function = {}};
    for (const Field& field : fields)
      if (!field.name.starts_with("common_")) spot.names.push_back(field.name);
    spot.resolve = [&](const Expression& expression) -> std::optional<Fetched> {
      for (const Field& field : fields)
        if (field.name == expression.text) return field_value(field, format, event.starts_with("syscalls:"));
      return {};
    };
    Attachment attachment{.program = "hit_tracepoint", .shown = spot.name, .cookie = 0, .probe = &probe};
    attachment.cookie = add(spot);
    attachment.event.type = PERF_TYPE_TRACEPOINT;
    int id = tracepoint_id(path);
    if (id < 0) refuse_probe(probe, probe.target_at, cat("the kernel refuses ", event, ": ", error_text(-id)));
    attachment.event.config = static_cast<std::uint64_t>(id);
    attachment.event.sample_period = 1;
    attachments.push_back(attachment);
  }
}

void PlaceFinder::find_raw(const Probe& probe) {
  // bpftrace's way of writing, MODULE:EVENT, too.
  std::string event = probe.target.substr(probe.target.rfind(':') + 1);
  std::vector<std::string> found = {event}, all;
  auto type = is_glob(event) ? std::nullopt : data_tracepoint(event);
  if (!type) {
    std::string notice;
    for (const ListedProbe& one : list_tracepoints(ProbeNames({}), notice))
      all.push_back(one.name.substr(one.name.find(':') + 1));
    found.clear();
    for (const std::string& one : all)
      if (glob_matches(event, one) && data_tracepoint(one)) found.push_back(one);
  }
  if (found.empty())
    refuse_probe(probe, probe.target_at, cat("this kernel has no tracepoint ", event, suggestion(event, all)));
  if (found.size() > most_typed)
    refuse_probe(probe, probe.target_at,
                 cat(found.size(), " tracepoints match, and ", most_typed, " are the limit of this kind"));
  for (const std::string& one : found) {
    auto arguments = data_tracepoint(one);
    Spot spot{.probe = probe, .name = cat("rawtracepoint:", one), .function = {}};
    spot.names = parameter_names(arguments);
    spot.resolve = [&](const Expression& expression) -> std::optional<Fetched> {
      auto number = argument_number(expression.text);
      if (!number)
        if (auto named = parameter_number(*arguments, expression.text)) number = static_cast<unsigned>(*named);
      if (!number || *number >= arguments->parameters.size()) return {};
      return typed_value(arguments->types, arguments->parameters[*number].type,
                         {step_of(FETCH_REGISTER, static_cast<std::int32_t>(*number * 8))});
    };
    Attachment attachment{.program = "hit_raw", .shown = spot.name, .cookie = 0, .probe = &probe};
    attachment.cookie = add(spot);
    attachment.target = one;
    attachments.push_back(attachment);
  }
}

}  // namespace kit
