// SPDX-License-Identifier: Apache-2.0
//
// `troupe check PATH`: all that `run` would refuse, without serving.
#include "runtime/commands/answers.hpp"
#include "runtime/commands/command.hpp"
#include "runtime/commands/shared_flags.hpp"
#include "runtime/commands/terminal.hpp"
#include "troupe/node.hpp"

namespace troupe {

int check_command(words arguments) {
  std::string path;
  auto flags = parse_words(
      {.name = "check",
       .help = "Checks all that `troupe run` would refuse: the configuration, every Lua chunk, "
               "files, certificates, ports. Serves nothing and runs no Lua.",
       .examples = "  troupe check examples/echo\n"
                   "  troupe check /srv/app/conf/nginx.conf --json\n",
       .arguments = {{.name = "PATH",
                      .help = "an app folder (nginx.conf or conf/nginx.conf), or a conf file",
                      .value = &path}}},
      arguments);
  if (!flags) return flags.error();
  node_options options = flags->options();
  options.app = path;
  node checked(std::move(options));
  auto result = checked.check();
  if (flags->json) {
    say(result ? "{\"ok\":true,\"warnings\":" + json_of(*result) + '}'
               : json_refusal("check_failed", result.error()));
  } else {
    complain(result ? *result : result.error());
    if (result) say(path + ": ok");
  }
  return result ? exit_done : exit_refused;
}

}  // namespace troupe
