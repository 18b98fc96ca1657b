// SPDX-License-Identifier: Apache-2.0
#include "runtime/conf/directive_table.hpp"

#include "runtime/conf/edit_distance.hpp"
#include "runtime/conf/values.hpp"

#include <algorithm>
#include <set>

namespace troupe::conf {
namespace {

constexpr std::size_t most_counted = 7;

bool fits(argument_rule rule, std::size_t count) {
  if ((rule & takes::any) != 0) return true;
  if ((rule & takes::flag) != 0) return count == 1;
  if ((rule & takes::one_or_more) != 0) return count >= 1;
  if ((rule & takes::two_or_more) != 0) return count >= 2;
  return count <= most_counted && (rule & (1U << count)) != 0;
}

/// Names of a set of contexts as sentences have them.
std::string names_of(context_set contexts) {
  static constexpr std::pair<context_set, std::string_view> names[] = {
      {context::main, "the main level"},
      {context::events, "events"},
      {context::http, "http"},
      {context::server, "server"},
      {context::location, "location"},
      {context::if_in_server | context::if_in_location, "if"},
      {context::limit_except, "limit_except"},
      {context::upstream, "upstream"},
      {context::stream, "stream"},
      {context::stream_server, "stream's server"},
      {context::stream_upstream, "stream's upstream"},
  };
  std::string text;
  for (const auto& [bits, name] : names) {
    if ((contexts & bits) == 0) continue;
    if (!text.empty()) text += ", ";
    text += name;
  }
  return text;
}

}  // namespace

directive_table::directive_table(std::span<const directive_module> modules)
    : modules_(modules.begin(), modules.end()) {
  for (const auto& module : modules_)
    for (const auto& row : module.rows) rows_[row.name].push_back(&row);
}

const directive_row* directive_table::find(std::string_view name,
                                           context_set where) const noexcept {
  const auto found = rows_.find(name);
  if (found == rows_.end()) return nullptr;
  for (const auto* row : found->second)
    if ((row->contexts & where) != 0) return row;
  return nullptr;
}

diagnostics directive_table::check(const std::vector<directive>& tree, context_set where) const {
  diagnostics found;
  check_block(tree, where, found);
  return found;
}

void directive_table::check_block(const std::vector<directive>& block, context_set where,
                                  diagnostics& found) const {
  std::set<std::string_view> seen;
  for (const auto& entry : block) {
    check_one(entry, where, found);
    const auto* row = find(entry.name, where);
    if (row == nullptr || !row->once) continue;
    if (!seen.insert(row->group.empty() ? row->name : row->group).second)
      found.push_back({entry.file,
                       row->body == body_kind::lua ? entry.end_line : entry.line,
                       "\"" + entry.name + "\" directive is duplicate",
                       {}});
  }
}

void directive_table::check_one(const directive& entry, context_set where,
                                diagnostics& found) const {
  const auto fail = [&](std::string reason, std::string hint = {}) {
    found.push_back({entry.file, entry.line, std::move(reason), std::move(hint)});
  };
  const auto named = rows_.find(entry.name);
  if (named == rows_.end()) {
    std::string hint;
    for (const auto name : nearest(entry.name, where)) {
      hint += hint.empty() ? "did you mean \"" : " or \"";
      hint += std::string(name) + "\"";
    }
    if (!hint.empty()) hint += "?";
    fail("unknown directive \"" + entry.name + "\"", std::move(hint));
    return;  // What is inside means nothing without it.
  }
  const auto* row = find(entry.name, where);
  if (row == nullptr) {
    context_set allowed = 0;
    for (const auto* each : named->second) allowed |= each->contexts;
    fail("\"" + entry.name + "\" directive is not allowed here",
         "it is allowed in: " + names_of(allowed));
    // With one row it is clear what was meant, so its inside can be looked at all the same.
    if (named->second.size() != 1) return;
    row = named->second.front();
  } else if (row->body == body_kind::none && entry.has_block) {
    fail("directive \"" + entry.name + "\" is not terminated by \";\"");
    return;
  } else if (row->body != body_kind::none && !entry.has_block) {
    fail("directive \"" + entry.name + "\" has no opening \"{\"");
    return;
  } else if (!fits(row->arguments, entry.args.size())) {
    fail("invalid number of arguments in \"" + entry.name + "\" directive",
         row->syntax.empty() ? std::string{}
                             : "it is written: " + entry.name + " " + std::string(row->syntax));
  } else if ((row->arguments & takes::flag) != 0) {
    if (auto flag = parse_flag(entry.name, entry.args.front()); !flag)
      fail(std::move(flag.error()));
  }
  if (row->body == body_kind::block) check_block(entry.children, row->opens, found);
  if (row->body == body_kind::pairs)
    for (const auto& child : entry.children)
      if (child.has_block) found.push_back({child.file, child.line, "unexpected \"{\"", {}});
}

std::vector<std::string_view> directive_table::nearest(std::string_view name,
                                                       context_set where) const {
  constexpr std::size_t longest = 64;  // no directive comes near; keeps hostile names cheap
  if (name.size() > longest) return {};
  std::string lowered(name);  // as all known names are
  for (char& c : lowered)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  struct candidate {
    std::size_t edits;
    bool elsewhere;
    std::string_view name;
    auto operator<=>(const candidate&) const = default;
  };
  std::vector<candidate> near;
  for (const auto& [known, rows] : rows_) {
    // A third of the name may be wrong, of short ones one letter, never the most of it.
    const auto limit = std::clamp<std::size_t>(std::min(name.size(), known.size()) / 3, 1, 3);
    if (known.size() < 3) continue;
    const auto edits = edit_distance(lowered, known, limit);
    if (edits <= limit) near.push_back({edits, find(known, where) == nullptr, known});
  }
  std::sort(near.begin(), near.end());
  std::vector<std::string_view> names;
  for (const auto& each : near) {
    if (names.size() == 3 || each.edits > near.front().edits) break;
    if (each.elsewhere && !near.front().elsewhere) break;
    names.push_back(each.name);
  }
  return names;
}

}  // namespace troupe::conf
