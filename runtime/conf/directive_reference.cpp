// SPDX-License-Identifier: Apache-2.0
#include "runtime/conf/directive_reference.hpp"

namespace troupe::conf {
namespace {

std::string contexts_of(context_set contexts) {
  static constexpr std::pair<context_set, std::string_view> names[] = {
      {context::main, "main"},
      {context::events, "events"},
      {context::http, "http"},
      {context::server, "server"},
      {context::location, "location"},
      {context::if_in_server, "if in server"},
      {context::if_in_location, "if in location"},
      {context::limit_except, "limit_except"},
      {context::upstream, "upstream"},
      {context::stream, "stream"},
      {context::stream_server, "server in stream"},
      {context::stream_upstream, "upstream in stream"},
  };
  if (contexts == context::anywhere) return "any";
  std::string text;
  for (const auto& [bit, name] : names) {
    if ((contexts & bit) == 0) continue;
    if (!text.empty()) text += ", ";
    text += name;
  }
  return text;
}

std::string_view ending_of(body_kind body) {
  switch (body) {
    case body_kind::none:
      return ";";
    case body_kind::block:
      return " { directives }";
    case body_kind::pairs:
      return " { … }";
    case body_kind::lua:
      return " { lua }";
  }
  return {};
}

std::string_view merging_of(merging merge) {
  switch (merge) {
    case merging::none:
      return {};
    case merging::inherit:
      return "an inner block takes the value over unless it sets its own";
    case merging::replace:
      return "an inner block takes all lines over unless it has one of its own";
    case merging::append:
      return "an inner block adds to the lines of the outer one";
  }
  return {};
}

void render(const directive_row& row, std::string& page) {
  const auto item = [&page](std::string_view label, std::string_view text, bool code) {
    if (text.empty()) return;
    page += "- ";
    page += label;
    page += code ? ": `" : ": ";
    page += text;
    page += code ? "`\n" : "\n";
  };
  std::string syntax(row.name);
  if (!row.syntax.empty())
    syntax += " " + std::string(row.syntax);
  else if ((row.arguments & takes::flag) != 0)
    syntax += " on | off";
  syntax += ending_of(row.body);
  page += "### " + std::string(row.name) + "\n\n";
  page += std::string(row.help) + "\n\n";
  item("Syntax", syntax, true);
  if (!row.standard.empty())
    item("Default", std::string(row.name) + " " + std::string(row.standard) + ";", true);
  item("Context", contexts_of(row.contexts), false);
  item("Merging", merging_of(row.merge), false);
  if (row.once) item("Repeated", "an error, once in a block", false);
  page += '\n';
}

}  // namespace

std::string directive_reference(const directive_table& table) {
  std::string page =
      "# Directives\n\n"
      "Every directive that an app's `nginx.conf` may use. This page is generated from the table "
      "that reads the configuration.\n\n";
  for (const auto& module : table.modules()) {
    page += "## " + std::string(module.name) + "\n\n";
    if (!module.help.empty()) page += std::string(module.help) + "\n\n";
    for (const auto& row : module.rows) render(row, page);
  }
  page.pop_back();
  return page;
}

}  // namespace troupe::conf
