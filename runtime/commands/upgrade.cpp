// SPDX-License-Identifier: Apache-2.0
//
// `troupe upgrade`: another binary takes over from the running node.
#include <filesystem>

#include "runtime/commands/command.hpp"
#include "runtime/commands/node_call.hpp"
#include "runtime/commands/terminal.hpp"

namespace troupe {

int upgrade_command(words arguments) {
  std::string binary;
  auto flags = parse_words(
      {.name = "upgrade",
       .help =
           "Starts troupe anew beside the running node: the new process takes over the listening "
           "sockets and the data folder and serves the current release; no connection is "
           "refused. The old one ends what is under way and leaves. If the new one does not "
           "serve within a minute, the old one goes on as before.",
       .examples =
           "  troupe upgrade                                # after the package was updated\n"
           "  troupe upgrade --binary /opt/troupe-2/troupe\n",
       .flags = {{.name = "--binary",
                  .placeholder = "PATH",
                  .help = "what to start; else the path that the node was started from",
                  .value = &binary}}},
      arguments);
  if (!flags) return flags.error();
  auto node = node_call::to(*flags);
  if (!node) return node.error();
  std::string target = "/v1/upgrade?author=" + target_word(command_author());
  if (!binary.empty()) {
    std::error_code error;
    target += "&binary=" + target_word(std::filesystem::absolute(binary, error).string());
  }
  const auto outcome = node->ask("POST", target);
  if (!outcome) return outcome.error();
  if (flags->json) {
    say(outcome->dump());
  } else {
    say("process " + (*outcome)["pid"].dump() + ", version " +
        (*outcome)["version"].get<std::string>() + ", has taken over from " +
        (*outcome)["old_pid"].dump() + ", version " + (*outcome)["old_version"].get<std::string>());
  }
  return exit_done;
}

}  // namespace troupe
