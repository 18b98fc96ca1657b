// SPDX-License-Identifier: Apache-2.0
//
// `troupe -p PREFIX -c CONF …`: does what runtime/nginx_invocation understood, as nginx would.
#include "runtime/background.hpp"
#include "runtime/commands/command.hpp"
#include "runtime/inheritance.hpp"
#include "runtime/log_sink.hpp"
#include "runtime/nginx_invocation.hpp"
#include "runtime/pid_file.hpp"
#include "runtime/process.hpp"
#include "runtime/serve.hpp"
#include "runtime/signals.hpp"
#include "runtime/upgrade.hpp"
#include "troupe/node.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>

#include <signal.h>

namespace troupe {

using net::log_level;

namespace {

void print(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);  // stderr has no buffer
}

// What is said before and beside the node: on stderr, as "nginx: [emerg] text", and in the log.
class early_log {
 public:
  explicit early_log(std::string path) : path_(std::move(path)) {}

  void write(const diagnostic& problem) {
    open();
    const std::string text = nginx_text(problem);
    if (sink_) sink_->write(problem.level, text);
    if (path_ == "stderr") return;
    std::string shown;
    net::append_escaped(shown, text);
    print("nginx: [" + std::string(net::name(problem.level)) + "] " + shown + '\n');
  }

  int fail(const diagnostics& problems) {
    for (const diagnostic& problem : problems) write(problem);
    for (const diagnostic& problem : problems) {
      if (!problem.hint.empty()) print("nginx: " + problem.hint + '\n');
    }
    return exit_refused;
  }
  int fail(const diagnostic& problem) { return fail(diagnostics{problem}); }

  // The configuration has named another one.
  void move(const std::string& path) {
    if (path.empty() || path == path_) return;
    path_ = path;
    sink_.reset();
    is_open_ = false;
  }

 private:
  // Only when there is something to say: a test run leaves no empty file behind.
  void open() {
    if (is_open_) return;
    is_open_ = true;
    auto file = log_file::open(path_);
    if (!file) {
      print("nginx: [alert] could not open error log file: " + file.error().reason + '\n');
      return;
    }
    sink_.emplace(std::vector<log_sink::target>{{*file, log_level::notice}});
  }

  std::string path_;
  bool is_open_ = false;
  std::optional<log_sink> sink_;
};

std::string pid_path(const node& owner, const node_options& options) {
  const std::string& path = owner.process().pid_file;
  return path.empty() ? options.prefix + "logs/nginx.pid" : path;
}

int test(const nginx_invocation& invocation, const node_options& options, early_log& log) {
  node tested(options);
  auto result = tested.check();
  if (!result) {
    log.fail(result.error());
    print("nginx: configuration file " + options.conf + " test failed\n");
    return exit_refused;
  }
  for (const diagnostic& warning : *result) log.write(warning);
  if (!invocation.quiet) {
    print("nginx: the configuration file " + options.conf + " syntax is ok\n");
    print("nginx: configuration file " + options.conf + " test is successful\n");
  }
  if (invocation.dump) {
    for (const conf_file& file : tested.files()) {
      std::printf("# configuration file %s:\n%s\n", file.path.c_str(), file.text.c_str());
    }
    std::fflush(stdout);
  }
  return exit_done;
}

int send_signal(const nginx_invocation& invocation, const node_options& options, early_log& log) {
  node target(options);
  if (auto loaded = target.load(); !loaded) return log.fail(loaded.error());
  auto number = pid_file::read(pid_path(target, options));
  if (!number) {
    number.error().level = log_level::error;
    return log.fail(number.error());
  }
  const int signal_number = nginx_signal(invocation.signal);
  if (kill(*number, signal_number) != 0) {
    const int error = errno;
    return log.fail(diagnostic{
        .reason = "kill(" + std::to_string(*number) + ", " + std::to_string(signal_number) +
                  ") failed (" + std::to_string(error) + ": " + strerrordesc_np(error) + ')',
        .level = log_level::alert});
  }
  return exit_done;
}

int start(node_options options, early_log& log, words arguments) {
  auto given = inheritance::receive();
  if (!given) return log.fail(given.error());
  invocation started_as =
      invocation::of_this_process(std::vector<std::string>(arguments.begin(), arguments.end()));
  const auto give_up = [&](const diagnostics& problems) {
    given->refuse(problems);
    return log.fail(problems);
  };
  const bool is_second = given->is_there();
  options.inherited = given->take_sockets();
  node started(options);
  auto loaded = started.load();
  if (!loaded) return give_up(loaded.error());
  for (const diagnostic& warning : *loaded) log.write(warning);
  const process_settings process = started.process();
  log.move(process.error_log);

  std::optional<background> behind;
  // What another process in the background has started is there already.
  if (process.daemon && !is_second) {
    auto entered = background::enter();
    if (!entered) return give_up({entered.error()});
    behind.emplace(std::move(*entered));
  }
  if (auto applied = apply(process); !applied) return give_up({applied.error()});
  if (auto running = started.start(); !running) return give_up(running.error());

  auto queue = signals::install();
  if (!queue) return give_up({queue.error()});
  // After the sockets: a second one that finds them taken must not touch the pid file of the first.
  auto pid = pid_file::write(pid_path(started, options));
  if (!pid) return give_up({pid.error()});
  if (auto dropped = drop_privileges(process); !dropped) return give_up({dropped.error()});
  if (behind) behind->ready(process.error_log);
  given->ready();

  // As nginx: both accept until QUIT ends one of them.
  upgrade upgrading(std::move(started_as),
                    {.sockets = [&] { return started.listening_sockets(); },
                     .lock = -1,
                     .before = [&] { return pid->step_aside(); },
                     .done = [] {},
                     .failed = [&] { pid->step_back(); },
                     .deserted = [&] { pid->step_back(); },
                     .audit = nullptr,
                     .log = [&]() -> const net::log_context& { return started.log(); }});
  served actions = serve_node(started);
  actions.reopen_logs = [&] {
    started.reopen_logs();
    if (process.daemon) redirect_stderr(process.error_log);
  };
  // Beside another one that accepts from the same sockets, nobody who connects may lose by it.
  actions.stop = [&](stop_mode mode) {
    const bool is_one_of_two = is_second || upgrading.has_successor();
    if (mode == stop_mode::graceful && is_one_of_two) mode = stop_mode::handed_over;
    started.stop(mode);
  };
  actions.upgrade = [&] {
    [[maybe_unused]] const auto logged = upgrading.perform({}, {"", "USR2"});
  };
  return serve(*queue, actions);
}

}  // namespace

int nginx_command(words arguments) {
  auto invocation = parse_nginx_invocation(arguments);
  if (!invocation) {
    print("nginx: " + invocation.error() + '\n');
    return exit_refused;
  }
  if (invocation->version) {
    print(nginx_version_text(invocation->configure_options));
    if (invocation->help) print(nginx_help());
    if (!invocation->test) return exit_done;
  }
  const node_options options = options_of(*invocation);
  early_log log(options.error_log);
  if (!invocation->signal.empty()) return send_signal(*invocation, options, log);
  if (invocation->test) return test(*invocation, options, log);
  return start(options, log, arguments);
}

}  // namespace troupe
