// SPDX-License-Identifier: Apache-2.0
//
// `troupe node`: a node of a cluster as a service. It serves whatever is pushed to the cluster.
#include <fstream>
#include <iterator>

#include "cluster/selector.hpp"
#include "runtime/commands/answers.hpp"
#include "runtime/commands/command.hpp"
#include "runtime/commands/shared_flags.hpp"
#include "runtime/commands/terminal.hpp"
#include "runtime/inheritance.hpp"
#include "runtime/json_text.hpp"
#include "runtime/serve.hpp"
#include "runtime/signals.hpp"
#include "runtime/upgrade.hpp"
#include "troupe/cluster_node.hpp"

#include <unistd.h>

namespace troupe {
namespace {

int refuse(const shared_flags& flags, const diagnostics& problems, int status = exit_refused) {
  complain(problems);
  if (flags.json) say(json_refusal("start_failed", problems));
  return status;
}

std::string host_name() {
  char name[256] = "";
  if (gethostname(name, sizeof name - 1) != 0 || *name == '\0') return "node";
  return name;
}

// TEXT, or what is in the file of @FILE: a secret on the command line is for all who may see processes.
tl::expected<std::string, diagnostic> text_or_file(const std::string& flag, const std::string& given) {
  if (!given.starts_with('@')) return given;
  std::ifstream file(given.substr(1));
  if (!file) return tl::unexpected(diagnostic{.reason = flag + ": cannot read " + given.substr(1)});
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  text.erase(text.find_last_not_of(" \t\r\n") + 1);
  return text;
}

void announce(const shared_flags& flags, const std::string& app,
              const std::vector<listener_info>& listeners) {
  if (flags.json) {
    say("{\"app\":" + json_string(app) + ",\"listeners\":" + json_of(listeners) + '}');
    return;
  }
  std::string lines;
  for (const listener_info& listener : listeners) {
    if (!lines.empty()) lines += '\n';
    lines += "listening on " + url_of(listener) + (app == "default" ? "" : "  " + app);
  }
  if (!lines.empty()) say(lines);
}

}  // namespace

int node_command(words arguments) {
  cluster_node_options options;
  std::string token;
  std::string store;
  std::vector<std::string> labels;
  const std::string host = host_name();
  auto flags = parse_words(
      {.name = "node",
       .help =
           "A node of a cluster, as a service: it joins, and serves what is pushed to the cluster, until "
           "it is told to stop (Ctrl-C, or TERM; QUIT lets requests end). HUP loads its releases anew, "
           "USR1 opens its logs again, USR2 lets another binary take over. With its disk it serves on "
           "whether there is a controller or not.\n"
           "Prints `listening on URL` for each listener of an app once it accepts.",
       .examples =
           "  troupe node --name a --controller --listen 10.0.0.1:7000\n"
           "  troupe node --name b --join 10.0.0.1:7000 --token @/run/token --label zone=eu\n"
           "  troupe node --name c --controller --listen 10.0.0.3:7000 --store etcd://10.0.0.1:2379\n"
           "  troupe node --name r --relay --listen 10.0.1.1:7000 --join 10.0.0.1:7000\n",
       .flags = {{.name = "--controller",
                  .placeholder = "",
                  .help = "it may lead; without --join and with an empty disk it begins a new cluster",
                  .value = &options.is_controller},
                 {.name = "--listen",
                  .placeholder = "HOST:PORT",
                  .help = "where other nodes link to it, announcements on PORT + 1; of controllers and relays",
                  .value = &options.listen},
                 {.name = "--join",
                  .placeholder = "HOST:PORT",
                  .help = "a controller or relay; may be repeated, any that answers will do",
                  .value = &options.join},
                 {.name = "--relay",
                  .placeholder = "",
                  .help = "it serves other nodes what it hears from above",
                  .value = &options.is_relay},
                 {.name = "--store",
                  .placeholder = "URL",
                  .help = "where controllers keep the cluster's history, so that another leads by itself "
                          "when one is gone: etcd://HOST:PORT[,…], or @FILE that holds it [its disk]",
                  .value = &store},
                 {.name = "--label",
                  .placeholder = "KEY=VALUE",
                  .help = "for `push --to` and config values; may be repeated",
                  .value = &labels},
                 {.name = "--token",
                  .placeholder = "TEXT",
                  .help = "of `troupe keys token`, or @FILE that holds it: lets it become a member",
                  .value = &token},
                 {.name = "--ready",
                  .placeholder = "HOST:PORT",
                  .help = "answers health checks there: 200 while it is current, else 503 and why",
                  .value = &options.ready}},
       .default_name = host},
      arguments);
  if (!flags) return flags.error();
  auto given = inheritance::receive();
  if (!given) return refuse(*flags, {given.error()});
  std::vector<std::string> words_again{"node"};
  words_again.insert(words_again.end(), arguments.begin(), arguments.end());
  const invocation started_as = invocation::of_this_process(std::move(words_again));
  const auto give_up = [&](const diagnostics& problems, int status = exit_refused) {
    given->refuse(problems);
    return refuse(*flags, problems, status);
  };
  const auto wrong = [&](std::string reason, std::string hint) {
    return give_up({{.reason = std::move(reason), .hint = std::move(hint)}}, exit_usage);
  };
  for (const std::string& each : labels) {
    const std::size_t equals = each.find('=');
    if (equals == std::string::npos || equals == 0) {
      return wrong("--label: \"" + each + "\" is no KEY=VALUE", "--label zone=eu");
    }
    options.labels.insert_or_assign(each.substr(0, equals), each.substr(equals + 1));
  }
  const auto token_given = text_or_file("--token", token);
  if (!token_given) return give_up({token_given.error()}, exit_usage);
  const auto store_given = text_or_file("--store", store);
  if (!store_given) return give_up({store_given.error()}, exit_usage);

  options.name = flags->name;
  options.data = flags->data_path();
  options.key_folder = flags->keys_path();
  options.token = *token_given;
  options.store = *store_given;
  options.port = flags->port;
  options.shards = flags->shards;
  options.log_level = flags->log_level;
  options.values = flags->values;
  options.listening = [&flags](const std::string& app, const std::vector<listener_info>& listeners) {
    announce(*flags, app, listeners);
  };
  options.started_as = &started_as;
  options.predecessor = &*given;
  auto node = cluster_node::start(std::move(options));
  if (!node) return give_up(node.error());
  cluster_node& running = **node;
  auto queue = signals::install();
  if (!queue) return give_up({queue.error()});
  if (flags->json) {
    say("{\"name\":" + json_string(flags->name) + ",\"address\":" +
        (running.address().empty() ? "null" : json_string(running.address())) + '}');
  } else {
    say("node " + flags->name +
        (running.address().empty() ? " runs" : " is linked to at " + running.address()));
  }
  given->ready();
  return serve(*queue, {.stop = [&running](stop_mode mode) { running.stop(mode); },
                        .wait = [&running] { return running.wait(); },
                        .reload = [&running]() -> tl::expected<void, diagnostics> {
                          running.reload();
                          return {};
                        },
                        .reopen_logs = [&running] { running.reopen_logs(); },
                        .upgrade = [&running] { running.upgrade(); },
                        .log = [&running]() -> const net::log_context& { return running.log(); }});
}

}  // namespace troupe
