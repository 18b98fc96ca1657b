// SPDX-License-Identifier: Apache-2.0
//
// `troupe run [PATH]`: serves an app in the foreground, whatever its `daemon` says. A folder
// becomes a release of the node's store; a conf file is served in place.
#include <filesystem>
#include <memory>
#include <optional>

#include "runtime/admin_api.hpp"
#include "runtime/admin_server.hpp"
#include "runtime/commands/answers.hpp"
#include "runtime/commands/command.hpp"
#include "runtime/commands/node_call.hpp"
#include "runtime/commands/release_answers.hpp"
#include "runtime/commands/shared_flags.hpp"
#include "runtime/commands/terminal.hpp"
#include "runtime/data_folder.hpp"
#include "runtime/folder_watch.hpp"
#include "runtime/pid_file.hpp"
#include "runtime/process.hpp"
#include "runtime/serve.hpp"
#include "runtime/signals.hpp"
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
       .help = "Serves an app until it is told to stop (Ctrl-C, or TERM; QUIT lets requests end). "
               "HUP applies the app's folder anew, USR1 opens its logs again.\n"
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

  auto data = data_folder::take(flags->data_path());
  if (!data) return refuse(*flags, {data.error()});
  node_options options = flags->options();
  options.data = data->path();

  surroundings around;
  auto store = release_store::open(data->path());
  if (!store) return refuse(*flags, {store.error()});
  around.store.emplace(std::move(*store));
  auto audit = audit_log::open(data->path());
  if (!audit) return refuse(*flags, {audit.error()});
  around.audit.emplace(std::move(*audit));

  const deployment::places places = places_of(own.path, data->path());
  std::error_code error;
  const bool in_place = !own.path.empty() && fs::is_regular_file(own.path, error);
  deployment::start start;
  if (in_place) {
    options.app = own.path;
  } else {
    auto begun = deployment::start_from(*around.store, places);
    if (!begun) return refuse(*flags, {begun.error()});
    start = std::move(*begun);
    if (start.draft) start.draft->author = command_author();
    options.release = start.source;
  }

  node served_node(std::move(options));
  around.config.emplace(served_node, around.store->config(), *around.audit);
  if (auto done = around.config->load(flags->values); !done) return refuse(*flags, {done.error()});
  auto loaded = served_node.load();
  if (!loaded) return refuse(*flags, loaded.error());
  complain(*loaded);
  // A copy: a reload while it is in use may replace the node's.
  const process_settings process = served_node.process();
  if (auto applied = apply(process); !applied) return refuse(*flags, {applied.error()});
  if (auto started = served_node.start(); !started) return refuse(*flags, started.error());

  // From here on Ctrl-C is for the node; until here it ends a start that takes too long.
  auto queue = signals::install();
  if (!queue) return refuse(*flags, {queue.error()});
  std::optional<pid_file> pid;
  if (!process.pid_file.empty()) {
    auto written = pid_file::write(process.pid_file);
    if (!written) return refuse(*flags, {written.error()});
    pid.emplace(std::move(*written));
  }
  if (!in_place) {
    around.releases.emplace(served_node, *around.store, *around.audit, places,
                            own.keep.value_or(releases_kept));
    if (auto done = around.releases->started(start); !done) return refuse(*flags, {done.error()});
  }
  around.api.emplace(admin_api::parts{.running = served_node,
                                      .store = *around.store,
                                      .releases = around.releases ? &*around.releases : nullptr,
                                      .config = *around.config,
                                      .name = flags->name});
  auto control = admin_server::open(
      data->path() + "/control.sock",
      [&api = *around.api](const admin_request& asked) { return api.answer(asked); });
  if (!control) return refuse(*flags, {control.error()});
  around.control.emplace(std::move(*control));
  if (own.watches && around.releases && !places.app_folder.empty()) {
    auto watch = folder_watch::open(
        places.app_folder,
        [&flags = *flags, &releases = *around.releases,
         by = change_author{command_author(), "--watch"}] { apply_save(flags, releases, by); });
    if (!watch) return refuse(*flags, {watch.error()});
    around.watch.emplace(std::move(*watch));
  }
  if (auto dropped = drop_privileges(process); !dropped) return refuse(*flags, {dropped.error()});
  announce(*flags, served_node.listeners());

  served actions = serve_node(served_node);
  if (around.releases) {
    actions.reload = [&releases = *around.releases]() -> tl::expected<void, diagnostics> {
      const auto result = releases.apply_folder({command_author(), "HUP"}, "HUP", true);
      if (!result) return tl::unexpected(result.error().problems);
      return {};
    };
  }
  return serve(*queue, actions);
}

}  // namespace troupe
