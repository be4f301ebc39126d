// SPDX-License-Identifier: BSD-2-Clause
#include "traced_values.hpp"

#include "data_types.hpp"
#include "fgraph.h"
#include "kit/text.hpp"
#include "places.hpp"
#include "prototypes.hpp"

namespace kit {
namespace {

using Values = std::vector<TracedValue>;

bool is_c_library(const Elf& elf) {
  std::string name = elf.shown().substr(elf.shown().rfind('/') + 1);
  return name.starts_with("libc.so") || name.starts_with("libc-2.") || name.starts_with("libpthread") ||
         name.starts_with("libdl") || name.starts_with("ld-musl") || name.starts_with("libc.musl");
}

void add_described(Values& to, const DwarfFunction& function, const DwarfValue& value, std::string name) {
  if (value.steps.empty() || !value.refused.empty()) return;
  Fetched fetched = typed_value(function.types, value.type, value.steps, false);
  if (fetched.refused.empty()) to.push_back({std::move(name), std::move(fetched)});
}

void add_known(Values& to, const PrototypeValue& value, const std::optional<std::vector<fetch_step>>& steps) {
  if (!steps) return;
  Fetched fetched;
  fetched.steps = *steps;
  fetched.text = value.text;
  if (value.number.bits) {
    fetched.bits = value.number.bits;
    fetched.is_signed = value.number.is_signed;
  }
  if (fetched.bits < 64)
    fetched.steps.push_back({.op = FETCH_CAST,
                             .index = 0,
                             .size = static_cast<__u8>(fetched.bits),
                             .flag = fetched.is_signed,
                             .offset = 0,
                             .number = 0});
  Format format;
  if (!value.number.bits && !value.text) format.kind = Format::Kind::hex;
  if (value.flags) format.kind = Format::Kind::flags;
  to.push_back({value.name, std::move(fetched), format});
}

// What has no name is called by its number.
std::string named(const std::string& name, std::size_t number) { return name.empty() ? cat("arg", number) : name; }

}  // namespace

std::uint64_t TracedValues::plan(const Values& values, std::vector<ShownValue>& shown) {
  if (values.empty()) return 0;
  Probe probe;
  for (std::size_t i = 0; i < std::min<std::size_t>(values.size(), FETCH_VALUES); i++) {
    Expression expression{.kind = Expression::Kind::name, .text = values[i].name, .number = i, .at = 0, .of = {}};
    probe.shown.push_back({std::move(expression), values[i].format, values[i].name});
  }
  auto resolve = [&](const Expression& expression) { return std::optional(values[expression.number].fetched); };
  std::uint64_t number = plans.share(probe, resolve, {}, &shown, 0);
  return (number + 1) << FGRAPH_PLAN_AT;
}

ValuePlans TracedValues::of_program(const Elf& elf, std::uint64_t address, std::string_view symbol,
                                    TracedFunction& function) {
  Values parameters, result;
  auto& file = described_.try_emplace(elf.path(), elf.path()).first->second;
  if (auto found = file.at(address)) {
    for (std::size_t i = 0; i < found->parameters.size(); i++)
      add_described(parameters, *found, found->parameters[i], named(found->parameters[i].name, i));
    add_described(result, *found, found->result, "retval");
  }
  // Of what is written in assembler the debug information knows the names alone.
  auto known = is_c_library(elf) && parameters.empty() && result.empty() ? libc_prototype(symbol) : std::nullopt;
  if (known) {
    for (unsigned i = 0; i < known->parameters.size(); i++)
      add_known(parameters, known->parameters[i], argument_steps(i, false));
    if (known->result) add_known(result, *known->result, result_steps());
  }
  return {plan(parameters, function.parameters), plan(result, function.result)};
}

ValuePlans TracedValues::of_kernel(TracedFunction& function) {
  Values parameters, result;
  auto found = data_function(function.name);
  if (!found) return {};
  for (unsigned i = 0; i < found->parameters.size(); i++) {
    auto steps = argument_steps(i, true);
    Fetched value = steps ? typed_value(found->types, found->parameters[i].type, *steps) : Fetched{};
    if (!steps || !value.refused.empty() || is_moved(*found, i)) continue;
    parameters.push_back({named(found->parameters[i].name, i), std::move(value)});
  }
  if (found->returns) {
    Fetched value = typed_value(found->types, found->returns, result_steps());
    if (value.refused.empty()) result.push_back({"retval", std::move(value)});
  }
  return {plan(parameters, function.parameters), plan(result, function.result)};
}

}  // namespace kit
