// SPDX-License-Identifier: Apache-2.0
#include "runtime/commands/command.hpp"

#include "runtime/commands/answers.hpp"
#include "runtime/commands/spelling.hpp"
#include "runtime/nginx_invocation.hpp"
#include "runtime/versions.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

namespace troupe {
namespace {

constexpr std::array table = {
    command{"run", "serve an app in the foreground", run_command},
    command{"check", "check an app as `run` would, without serving it", check_command},
    command{"apply", "put an app into a running node", apply_command},
    command{"releases", "a running node's history of releases", releases_command},
    command{"diff", "what differs between two releases", diff_command},
    command{"rollback", "go back to an older release", rollback_command},
    command{"config", "small values that change while a node runs", config_command},
    command{"status", "what a running node does", status_command},
    command{"upgrade", "let another binary take over from a running node", upgrade_command},
    command{"node", "a node of a cluster, as a service", node_command},
    command{"push", "put an app on every node of a cluster", push_command},
    command{"nodes", "the nodes of a cluster, what they run and how they do", nodes_command},
    command{"cluster", "a cluster as a whole: status, promote; up: one to try out", cluster_command},
    command{"keys", "who may link to a cluster and order what", keys_command},
    command{"version", "the versions of troupe and its libraries", version_command},
};

int unknown_command(words arguments) {
  const std::string& word = arguments[0];
  std::vector<std::string_view> names;
  for (const command& each : table) names.push_back(each.name);
  diagnostic problem{.reason = "unknown command \"" + word + '"',
                     .hint = "`troupe --help` lists the commands"};
  if (const auto near = nearest(word, names); !near.empty()) {
    problem.hint = "did you mean `troupe " + std::string(near[0]) + "`?";
  }
  return wrong_usage(std::ranges::find(arguments, "--json") != arguments.end(), problem);
}

}  // namespace

std::span<const command> commands() noexcept {
  return table;
}

std::string general_help() {
  std::string text =
      "troupe " + std::string(troupe_version()) +
      ": serves OpenResty apps on actors.\n"
      "\n"
      "Usage: troupe COMMAND [FLAG…]\n"
      "       troupe [-tTvVq] [-p PREFIX] [-c CONF] [-s SIGNAL] [-g DIRECTIVES] [-e FILE]\n"
      "\n"
      "Commands\n";
  for (const command& each : table) {
    text += "  " + std::string(each.name) + std::string(11 - each.name.size(), ' ') +
            std::string(each.help) + '\n';
  }
  text +=
      "\n"
      "Examples\n"
      "  troupe run examples/hello                 serve an app folder\n"
      "  troupe run examples/echo --port 9000      on another port\n"
      "  troupe check examples/echo                find its mistakes without serving it\n"
      "  troupe apply examples/echo                put it into the node that runs\n"
      "  troupe cluster up 3 examples/hello        a cluster on this machine, to try it out\n"
      "  troupe -p /srv/app/ -c conf/nginx.conf    as nginx would be started, in the background\n"
      "  troupe -p /srv/app/ -c conf/nginx.conf -s reload\n"
      "\n"
      "`troupe COMMAND --help` says more of a command, `troupe -h -v` of nginx's switches.\n";
  return text;
}

int perform(words arguments) {
  if (arguments.empty()) {
    std::fputs(general_help().c_str(), stderr);
    return exit_usage;
  }
  const std::string& first = arguments[0];
  if (first == "help" && arguments.size() > 1) {
    const std::array<std::string, 2> asked = {arguments[1], "--help"};
    return perform(asked);
  }
  if (first == "help" || first == "--help" || (arguments.size() == 1 && first == "-h")) {
    std::fputs(general_help().c_str(), stdout);
    return exit_done;
  }
  if (first == "--version") return version_command({});
  if (is_nginx_invocation(arguments)) return nginx_command(arguments);
  for (const command& each : table) {
    if (first == each.name) return each.perform(arguments.subspan(1));
  }
  return unknown_command(arguments);
}

}  // namespace troupe
