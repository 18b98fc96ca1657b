// SPDX-License-Identifier: Apache-2.0
//
// `troupe run [PATH]`: serves an app in the foreground, whatever its `daemon` says. A folder
// becomes a release of the node's store; a conf file is served in place.
#include <filesystem>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <optional>
#include <tuple>

#include <unistd.h>

#include "runtime/admin_api.hpp"
#include "runtime/admin_server.hpp"
#include "runtime/app_folder.hpp"
#include "runtime/commands/answers.hpp"
#include "runtime/commands/command.hpp"
#include "runtime/commands/node_call.hpp"
#include "runtime/commands/release_answers.hpp"
#include "runtime/commands/shared_flags.hpp"
#include "runtime/commands/terminal.hpp"
#include "runtime/data_folder.hpp"
#include "runtime/folder_watch.hpp"
#include "runtime/inheritance.hpp"
#include "runtime/log_file.hpp"
#include "runtime/pid_file.hpp"
#include "runtime/process.hpp"
#include "runtime/serve.hpp"
#include "runtime/signals.hpp"
#include "runtime/socket_aside.hpp"
#include "runtime/upgrade.hpp"
#include "troupe/node.hpp"

namespace troupe {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t releases_kept = 100;

struct run_arguments {
  std::string path;
  bool watches = false;
  std::optional<std::uint64_t> keep;
};

tl::expected<shared_flags, int> parse(words arguments, run_arguments& own) {
  return parse_words(
      {.name = "run",
       .help =
           "Serves an app until it is told to stop (Ctrl-C, or TERM; QUIT lets requests end). "
           "HUP applies the app's folder anew, USR1 opens its logs again, USR2 lets another binary "
           "take over.\n"
           "A folder becomes a release of the node; without PATH the last one that served is "
           "served again. `troupe apply` changes it while it runs.\n"
           "Prints `listening on URL` for each listener once it accepts. Errors are logged to "
           "stderr unless the app has an error_log.",
       .examples =
           "  troupe run examples/hello\n"
           "  troupe run examples/echo --port 9000 --shards 1\n"
           "  troupe run app --watch               # each save is applied\n"
           "  troupe run /srv/app/conf/nginx.conf --log-level debug\n"
           "  troupe run app --name b --port 0     # a second one beside it, on free ports\n",
       .arguments = {{.name = "PATH",
                      .help = "an app folder (nginx.conf or conf/nginx.conf), or a conf file",
                      .value = &own.path,
                      .required = false}},
       .flags = {{.name = "--watch",
                  .placeholder = "",
                  .help = "apply each save",
                  .value = &own.watches},
                 {.name = "--keep-releases",
                  .placeholder = "N",
                  .help = "how many releases the history keeps [100]",
                  .value = &own.keep}}},
      arguments);
}

int refuse(const shared_flags& flags, const diagnostics& problems) {
  complain(problems);
  if (flags.json) say(json_refusal("start_failed", problems));
  return exit_refused;
}

void announce(const shared_flags& flags, const std::vector<listener_info>& listeners) {
  if (flags.json) return say("{\"listeners\":" + json_of(listeners) + '}');
  // All lines at once: who reads the first may count on the others.
  std::string lines;
  for (const listener_info& listener : listeners) {
    if (!lines.empty()) lines += '\n';
    lines += "listening on " + url_of(listener);
  }
  say(lines);
}

/// What is around the node while it runs, made one after the other and ended in reverse.
struct surroundings {
  std::optional<release_store> store;
  std::optional<audit_log> audit;
  std::optional<deployment> releases;  ///< None: a conf file is served in place.
  std::optional<node_config> config;
  std::optional<upgrade> upgrading;
  std::optional<admin_api> api;
  std::optional<admin_server> control;
  std::optional<folder_watch> watch;
};

deployment::places places_of(const std::string& path, const std::string& data) {
  if (path.empty()) return {.writable_prefix = data + '/', .app_folder = {}};
  std::error_code error;
  std::string folder = fs::absolute(path, error).lexically_normal().string();
  if (!folder.ends_with('/')) folder += '/';
  return {.writable_prefix = folder, .app_folder = folder};
}

// One line for each save: what came of it.
void apply_save(const shared_flags& flags, deployment& releases, const change_author& by) {
  const auto result = releases.apply_folder(by, "saved");
  if (!result) {
    complain(result.error().problems);
    if (flags.json) say(json_refusal(text(result.error().error), result.error().problems));
    return;
  }
  if (result->release == result->parent) return;
  say((flags.json ? "{\"release\":" + std::to_string(result->release) + '}'
                  : "release " + std::to_string(result->release) + "  " +
                        std::to_string(result->changed.size()) +
                        (result->changed.size() == 1 ? " file" : " files") + " changed"));
}

}  // namespace

int run_command(words arguments) {
  run_arguments own;
  auto flags = parse(arguments, own);
  if (!flags) return flags.error();
  if (own.keep == 0u) {
    return wrong_usage(flags->json, {.reason = "--keep-releases takes a number from 1 on"});
  }
  std::error_code error;
  const bool in_place = !own.path.empty() && fs::is_regular_file(own.path, error);
  if (own.watches && (in_place || own.path.empty())) {
    return wrong_usage(
        flags->json,
        {.reason = "--watch needs an app folder to watch",
         .hint = in_place ? "name the folder in place of the conf file; HUP reloads a conf file"
                          : "`troupe run PATH --watch`"});
  }
  auto given = inheritance::receive();
  if (!given) return refuse(*flags, {given.error()});
  std::vector<std::string> words_again{"run"};
  words_again.insert(words_again.end(), arguments.begin(), arguments.end());
  // Before a data folder is made for it. A process that takes over has the release.
  if (!own.path.empty() && !given->is_there()) {
    if (auto found = find_app(own.path); !found) return refuse(*flags, {found.error()});
  }
  invocation started_as = invocation::of_this_process(std::move(words_again));
  const auto give_up = [&](const diagnostics& problems) {
    given->refuse(problems);
    return refuse(*flags, problems);
  };

  auto data = given->is_there() ? data_folder::inherit(flags->data_path(), given->take_lock())
                                : data_folder::take(flags->data_path());
  if (!data) return give_up({data.error()});
  node_options options = flags->options();
  options.data = data->path();
  options.inherited = given->take_sockets();

  surroundings around;
  auto store = release_store::open(data->path());
  if (!store) return give_up({store.error()});
  around.store.emplace(std::move(*store));
  auto audit = audit_log::open(data->path());
  if (!audit) return give_up({audit.error()});
  around.audit.emplace(std::move(*audit));

  const deployment::places places = places_of(own.path, data->path());
  deployment::start start;
  if (in_place) {
    options.app = own.path;
  } else {
    auto begun = given->is_there() ? deployment::go_on_from(*around.store, places)
                                   : deployment::start_from(*around.store, places);
    if (!begun) return give_up({begun.error()});
    start = std::move(*begun);
    if (start.draft) start.draft->author = command_author();
    options.release = start.source;
  }

  node served_node(std::move(options));
  around.config.emplace(served_node, around.store->config(), *around.audit);
  if (auto done = around.config->load(flags->values); !done) return give_up({done.error()});
  auto loaded = served_node.load();
  if (!loaded) return give_up(loaded.error());
  complain(*loaded);
  // A copy: a reload while it is in use may replace the node's.
  const process_settings process = served_node.process();
  if (auto applied = apply(process); !applied) return give_up({applied.error()});
  if (auto started = served_node.start(); !started) return give_up(started.error());

  // From here on Ctrl-C is for the node; until here it ends a start that takes too long.
  auto queue = signals::install();
  if (!queue) return give_up({queue.error()});
  std::optional<pid_file> pid;
  if (!process.pid_file.empty()) {
    auto written = pid_file::write(process.pid_file);
    if (!written) return give_up({written.error()});
    pid.emplace(std::move(*written));
  }
  if (!in_place) {
    around.releases.emplace(served_node, *around.store, *around.audit, places,
                            own.keep.value_or(releases_kept));
    if (given->is_there())
      around.releases->went_on(start);
    else if (auto done = around.releases->started(start); !done)
      return give_up({done.error()});
  }
  const std::string control_path = data->path() + "/control.sock";
  const socket_aside aside(control_path);
  around.upgrading.emplace(
      std::move(started_as),
      upgrade::parts{
          .sockets = [&served_node] { return served_node.listening_sockets(); },
          .lock = data->lock(),
           .before =
               [aside, &around] {
                 if (around.releases) around.releases->stop_pruning();
                 return aside.begin();
               },
          .done =
              [&] {
                aside.end();
                data->give_away();
                served_node.stop(stop_mode::handed_over);
              },
          .failed =
              [&] {
                aside.undo();
                // The other one may have written its number before it failed.
                if (auto owned = data->own(); !owned) {
                  log_all(served_node.log(), {owned.error()});
                }
              },
          .deserted = {},
          .audit = &*around.audit,
          .log = [&served_node]() -> const net::log_context& { return served_node.log(); }});
  around.api.emplace(admin_api::parts{.running = served_node,
                                      .store = *around.store,
                                      .releases = around.releases ? &*around.releases : nullptr,
                                      .config = *around.config,
                                      .name = flags->name,
                                      .upgrading = &*around.upgrading});
  // The watch is opened before: from the moment that the socket has its name nothing may fail.
  if (own.watches) {
    auto watch =
        folder_watch::open(places.app_folder, [&flags = *flags, &releases = *around.releases,
                                               &upgrading = *around.upgrading,
                                               by = change_author{command_author(), "--watch"}] {
          const auto change = upgrading.change();
          if (change)
            apply_save(flags, releases, by);
          else
            complain({.reason = "another process takes over; save again"});
        });
    if (!watch) return give_up({watch.error()});
    around.watch.emplace(std::move(*watch));
  }
  auto control = admin_server::open(
      control_path,
      [&api = *around.api](const admin_request& asked) { return api.answer(asked); });
  if (!control) return give_up({control.error()});
  around.control.emplace(std::move(*control));
  if (const auto other = identity_of(process); other && *other) {
    if (auto given_away = data->give_to((*other)->user, (*other)->group); !given_away) {
      return give_up({given_away.error()});
    }
  }
  if (auto dropped = drop_privileges(process); !dropped) return give_up({dropped.error()});
  if (access((data->path() + "/troupe.db").c_str(), W_OK) != 0) {
    log_all(served_node.log(),
            {{.reason = "user " + process.user + " cannot write in the data folder " + data->path() +
                        ": changes will be refused",
              .hint = "the folders above it must let that user pass; --data DIR names another"}});
  }
  if (given->is_there()) {
    if (auto owned = data->own(); !owned) return give_up({owned.error()});
  }
  announce(*flags, served_node.listeners());
  given->ready();
  // After an upgrade the process before may still serve from older trees.
  if (around.releases && !given->is_there()) around.releases->prune();

  served actions = serve_node(served_node);
  if (around.releases) {
    actions.reload = [&releases = *around.releases,
                      &upgrading = *around.upgrading]() -> tl::expected<void, diagnostics> {
      const auto change = upgrading.change();
      if (!change) return tl::unexpected(diagnostics{{.reason = "another process takes over"}});
      const auto result = releases.apply_folder({command_author(), "HUP"}, "HUP", true);
      if (!result) return tl::unexpected(result.error().problems);
      return {};
    };
  }
  actions.upgrade = [&upgrading = *around.upgrading] {
    [[maybe_unused]] const auto logged = upgrading.perform({}, {command_author(), "USR2"});
  };
  const int status = serve(*queue, actions);
  // Whoever is being answered may use the node.
  around.watch.reset();
  around.control.reset();
  if (around.releases) around.releases->stop_pruning();
  return status;
}

}  // namespace troupe
