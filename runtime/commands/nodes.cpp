// SPDX-License-Identifier: Apache-2.0
//
// `troupe nodes`: who is in the cluster, what they run and how they do.
#include <chrono>

#include "runtime/commands/answers.hpp"
#include "runtime/commands/command.hpp"
#include "runtime/commands/node_call.hpp"
#include "runtime/commands/order_sender.hpp"
#include "runtime/commands/release_answers.hpp"
#include "runtime/commands/terminal.hpp"
#include "runtime/time_text.hpp"

namespace troupe {
namespace {

using json = node_call::json;

std::string or_dash(const json& value) {
  if (value.is_null()) return "-";
  return value.is_string() ? value.get<std::string>() : value.dump();
}

std::string rate(const json& value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value.get<double>());
  return text;
}

std::vector<std::string> row_of(const json& node) {
  std::string labels;
  for (const auto& [key, value] : node["labels"].items()) {
    if (!labels.empty()) labels += ',';
    labels += key + '=' + value.get<std::string>();
  }
  const bool is_live = node["live"].get<bool>();
  std::string state = is_live ? "live" : "gone";
  if (is_live && node["behind"].is_number() && node["behind"] > 0) state = "behind";
  // The node that answers hears no controller: it knows neither how far the others are, nor whether
  // they are there.
  const bool is_unknown = node["behind"].is_null();
  if (is_unknown) state = is_live ? "cut off" : "unknown";
  std::string since = "-";
  if (node["since"].is_number()) {
    since = time_text(std::chrono::system_clock::time_point(
        std::chrono::milliseconds(node["since"].get<std::int64_t>())));
  }
  return {node["name"].get<std::string>(),
          node["role"].get<std::string>(),
          or_dash(node["address"]),
          state,
          or_dash(node["release"]),
          node["digest"].is_string() ? short_digest(node["digest"].get<std::string>()) : "-",
          is_unknown ? "?" : node["behind"].dump(),
          since,
          rate(node["requests_per_second"]),
          rate(node["errors_per_second"]),
          or_dash(node["serves"]),
          labels.empty() ? "-" : labels};
}

}  // namespace

int nodes_command(words arguments) {
  std::string app;
  auto flags = parse_words(
      {.name = "nodes",
       .help = "Who is in the cluster: name, role, address, release and digest, by how many changes it is "
               "behind and since when it was not heard, requests and errors a second. Any node "
               "answers; while there is no controller, it tells what it knows itself.",
       .examples = "  troupe nodes\n"
                   "  troupe nodes --json | jq '.[] | select(.live | not)'\n",
       .flags = {{.name = "--app",
                  .placeholder = "NAME",
                  .help = "whose release is shown [default]",
                  .value = &app}}},
      arguments);
  if (!flags) return flags.error();
  if (const auto wrong = wrong_app(app)) return wrong_usage(flags->json, *wrong);
  auto node = node_call::to(*flags);
  if (!node) return node.error();
  if (auto found = node->need_cluster(); !found) return found.error();
  const auto all = node->ask("GET", "/v1/nodes?app=" + target_word(app));
  if (!all) return all.error();
  if (flags->json) {
    say(all->dump());
    return exit_done;
  }
  std::vector<std::vector<std::string>> rows{{"NAME", "ROLE", "ADDRESS", "STATE", "RELEASE", "DIGEST",
                                              "BEHIND", "SINCE", "REQ/S", "ERR/S", "SERVES", "LABELS"}};
  for (const json& each : *all) rows.push_back(row_of(each));
  say(table_text(rows));
  for (const json& each : *all) {
    // What the node that answers cannot know, it says of itself.
    const bool is_unknown = !each["live"].get<bool>() && each["behind"].is_null();
    if (is_unknown || !each["problem"].is_string()) continue;
    complain(diagnostic{.reason = each["name"].get<std::string>() + ": " +
                                  each["problem"].get<std::string>(),
                        .level = net::log_level::warn});
  }
  return exit_done;
}

}  // namespace troupe
