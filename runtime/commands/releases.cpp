// SPDX-License-Identifier: Apache-2.0
//
// `troupe releases`: the history of a node's releases, the newest first.
#include "runtime/commands/answers.hpp"
#include "runtime/commands/command.hpp"
#include "runtime/commands/node_call.hpp"
#include "runtime/commands/order_sender.hpp"
#include "runtime/commands/release_answers.hpp"
#include "runtime/commands/terminal.hpp"

namespace troupe {

int releases_command(words arguments) {
  std::string app;
  auto flags = parse_words(
      {.name = "releases",
       .help =
           "The history of a running node, the newest release first: number, state (active; warm: "
           "kept for an instant rollback; draining: requests still end in it; stored; aborted: its push was), requests "
           "in it, when, by whom, files changed, digest, message.",
       .examples = "  troupe releases\n"
                   "  troupe releases --json | jq '.[0].digest'\n",
       .flags = {{.name = "--app",
                  .placeholder = "NAME",
                  .help = "of a cluster: which app [default]",
                  .value = &app}}},
      arguments);
  if (!flags) return flags.error();
  if (const auto wrong = wrong_app(app)) return wrong_usage(flags->json, *wrong);
  auto node = node_call::to(*flags);
  if (!node) return node.error();
  const auto all = node->ask("GET", "/v1/releases?app=" + target_word(app));
  if (!all) return all.error();
  if (flags->json) {
    say(all->dump());
    return exit_done;
  }
  std::vector<std::vector<std::string>> rows{
      {"RELEASE", "STATE", "EXCHANGES", "TIME", "AUTHOR", "CHANGED", "DIGEST", "MESSAGE"}};
  for (const auto& each : *all) {
    rows.push_back({std::to_string(each["release"].get<int>()), each["state"].get<std::string>(),
                    std::to_string(each["exchanges"].get<std::uint64_t>()),
                    each["time"].get<std::string>(), each["author"].get<std::string>(),
                    each["changed"].is_number() ? std::to_string(each["changed"].get<int>()) : "?",
                    short_digest(each["digest"].get<std::string>()),
                    each["message"].get<std::string>()});
  }
  say(table_text(rows));
  return exit_done;
}

}  // namespace troupe
