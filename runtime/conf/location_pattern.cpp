// SPDX-License-Identifier: Apache-2.0
#include "runtime/conf/location_pattern.hpp"

#include <optional>
#include <string_view>

namespace troupe::conf {
namespace {

using form = location_pattern::form;

std::optional<form> form_of(std::string_view modifier) {
  if (modifier == "=") return form::exact;
  if (modifier == "^~") return form::final_prefix;
  if (modifier == "~") return form::regex;
  if (modifier == "~*") return form::caseless_regex;
  return std::nullopt;
}

std::string quoted(std::string_view name) {
  return "\"" + std::string(name) + "\"";
}

}  // namespace

tl::expected<location_pattern, std::string> parse_location(std::span<const std::string> args) {
  if (args.size() == 2) {
    const auto kind = form_of(args[0]);
    if (!kind) return tl::unexpected("invalid location modifier " + quoted(args[0]));
    return location_pattern{*kind, args[1]};
  }
  const std::string_view text = args[0];
  for (const std::string_view modifier : {"=", "^~", "~*", "~"})  // the longer one first
    if (text.starts_with(modifier))
      return location_pattern{*form_of(modifier), std::string(text.substr(modifier.size()))};
  return location_pattern{text.starts_with('@') ? form::named : form::prefix, std::string(text)};
}

std::string nesting_error(const location_pattern& inner, const location_pattern& outer) {
  const auto inner_name = quoted(inner.name), outer_name = quoted(outer.name);
  if (outer.kind == form::exact)
    return "location " + inner_name + " cannot be inside the exact location " + outer_name;
  if (outer.kind == form::named)
    return "location " + inner_name + " cannot be inside the named location " + outer_name;
  if (inner.kind == form::named)
    return "named location " + inner_name + " can be on the server level only";
  if (!inner.is_regex() && !inner.name.starts_with(outer.name))
    return "location " + inner_name + " is outside location " + outer_name;
  return {};
}

std::string server_name_error(std::string_view name) {
  if (name == "~") return "empty regex in server name " + quoted(name);
  const bool bad_star = name.starts_with('*') && (name.size() < 3 || name[1] != '.');
  if (bad_star || name == ".") return "server name " + quoted(name) + " is invalid";
  return {};
}

}  // namespace troupe::conf
