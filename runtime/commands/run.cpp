// SPDX-License-Identifier: Apache-2.0
//
// `troupe run PATH`: serves an app in the foreground, whatever its `daemon` says.
#include "runtime/commands/answers.hpp"
#include "runtime/commands/command.hpp"
#include "runtime/commands/shared_flags.hpp"
#include "runtime/commands/terminal.hpp"
#include "runtime/data_folder.hpp"
#include "runtime/pid_file.hpp"
#include "runtime/process.hpp"
#include "runtime/serve.hpp"
#include "runtime/signals.hpp"
#include "troupe/node.hpp"

#include <optional>

namespace troupe {
namespace {

tl::expected<shared_flags, int> parse(words arguments, std::string& path) {
  return parse_words(
      {.name = "run",
       .help = "Serves an app until it is told to stop (Ctrl-C, or TERM; QUIT lets requests end). "
               "HUP reads the app anew, USR1 opens its logs again.\n"
               "Prints `listening on URL` for each listener once it accepts. Errors are logged to "
               "stderr unless the app has an error_log.",
       .examples =
           "  troupe run examples/hello\n"
           "  troupe run examples/echo --port 9000 --shards 1\n"
           "  troupe run /srv/app/conf/nginx.conf --log-level debug\n"
           "  troupe run app --name b --port 0     # a second one beside it, on free ports\n",
       .arguments = {{.name = "PATH",
                      .help = "an app folder (nginx.conf or conf/nginx.conf), or a conf file",
                      .value = &path}}},
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

}  // namespace

int run_command(words arguments) {
  std::string path;
  auto flags = parse(arguments, path);
  if (!flags) return flags.error();

  auto data =
      data_folder::take(flags->data.empty() ? data_folder::default_path(flags->name) : flags->data);
  if (!data) return refuse(*flags, {data.error()});
  node_options options = flags->options();
  options.app = path;
  options.data = data->path();

  node served_node(std::move(options));
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
  if (auto dropped = drop_privileges(process); !dropped) return refuse(*flags, {dropped.error()});
  announce(*flags, served_node.listeners());
  return serve(*queue, serve_node(served_node));
}

}  // namespace troupe
