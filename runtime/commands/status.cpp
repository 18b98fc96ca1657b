// SPDX-License-Identifier: Apache-2.0
//
// `troupe status`: what a running node does.
#include "runtime/commands/command.hpp"
#include "runtime/commands/node_call.hpp"
#include "runtime/commands/release_answers.hpp"
#include "runtime/commands/terminal.hpp"

namespace troupe {
namespace {

std::string mebibytes(const node_call::json& bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f MiB", bytes.get<double>() / (1 << 20));
  return text;
}

}  // namespace

int status_command(words arguments) {
  auto flags = parse_words(
      {.name = "status",
       .help =
           "What a running node does: release, listeners, connections, requests, memory, shards.",
       .examples = "  troupe status\n"
                   "  troupe status --name b --json\n"},
      arguments);
  if (!flags) return flags.error();
  auto node = node_call::to(*flags);
  if (!node) return node.error();
  const auto answer = node->ask("GET", "/v1/status");
  if (!answer) return answer.error();
  const auto& status = *answer;
  if (flags->json) {
    say(status.dump());
    return exit_done;
  }
  std::string listeners;
  for (const auto& each : status["listeners"]) {
    if (!listeners.empty()) listeners += ", ";
    listeners += each["protocol"].get<std::string>() + "://" + each["address"].get<std::string>();
  }
  const bool has_release = status["release"].is_number();
  say(table_text({{"node", status["name"].get<std::string>() + ", process " + status["pid"].dump()},
                  {"version", status["version"].get<std::string>()},
                  {"release", has_release ? status["release"].dump() + "  " +
                                                short_digest(status["digest"].get<std::string>())
                                          : "none"},
                  {"listeners", listeners.empty() ? "none" : listeners},
                  {"shards", status["shards"].dump()},
                  {"connections", status["connections"]["active"].dump() + ", of them " +
                                      status["connections"]["idle"].dump() + " idle"},
                  {"requests", status["requests"].dump()},
                  {"memory", mebibytes(status["memory"]["rss_bytes"]) + ", of it Lua " +
                                 mebibytes(status["memory"]["lua_bytes"])}}));
  return exit_done;
}

}  // namespace troupe
