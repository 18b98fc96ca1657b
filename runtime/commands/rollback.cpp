// SPDX-License-Identifier: Apache-2.0
//
// `troupe rollback [N]`: goes back to an older release.
#include "runtime/commands/command.hpp"
#include "runtime/commands/node_call.hpp"
#include "runtime/commands/release_answers.hpp"
#include "runtime/commands/terminal.hpp"

namespace troupe {

int rollback_command(words arguments) {
  std::string to;
  std::optional<std::uint64_t> expect;
  auto flags = parse_words(
      {.name = "rollback",
       .help = "Goes back to an older release: without N to the one that served before this one. "
               "At once if it is still warm, else it is loaded from the store.",
       .examples = "  troupe rollback\n"
                   "  troupe rollback 41 --expect 43\n",
       .arguments =
           {{.name = "N", .help = "the release's number", .value = &to, .required = false}},
       .flags = {{.name = "--expect",
                  .placeholder = "N",
                  .help = "only if release N is what serves; else exit status 5",
                  .value = &expect}}},
      arguments);
  if (!flags) return flags.error();
  for (const std::string* number : {&to}) {
    if (number->find_first_not_of("0123456789") == std::string::npos) continue;
    complain({.reason = '"' + *number + "\" is no release's number",
              .hint = "`troupe releases` lists those that there are"});
    return exit_usage;
  }
  auto node = node_call::to(*flags);
  if (!node) return node.error();
  std::string target = "/v1/rollback?author=" + target_word(command_author());
  if (!to.empty()) target += "&to=" + target_word(to);
  if (expect) target += "&expect=" + std::to_string(*expect);
  const auto outcome = node->ask("POST", target);
  if (!outcome) return outcome.error();
  say(flags->json ? outcome->dump() : deployed_text(*outcome));
  return exit_done;
}

}  // namespace troupe
