// SPDX-License-Identifier: Apache-2.0
//
// A node: one running troupe. It owns the shards, the sockets, the releases and the logs of one
// app. Nothing of it is global, so two nodes may live in one process; what belongs to a process
// (signals, the pid file, going to the background, user, limits) is therefore left to the
// program around it: runtime/process does it for the `troupe` binary.
//
//   troupe::node_options options;
//   options.app = "examples/echo";
//   troupe::node node(std::move(options));
//   if (auto started = node.start(); !started) { … started.error() … }
//   …
//   node.stop(troupe::stop_mode::graceful);
//   return node.wait();
//
// Source   docs/embedding.md; the signals that the functions answer are those of
//          https://nginx.org/en/docs/control.html.
// Thread   any but a shard's own; calls exclude each other, stop() may come during start(),
//          prepare(), activate(), reload() and wait().
// Errors   `diagnostics`; on a failure nothing has changed: a node that did not start owns no
//          socket and no thread, a node that did not reload serves what it served.
// Called   by runtime/commands, runtime/nginx_invocation and embedding programs.
#pragma once

#include "net/live_config.hpp"
#include "troupe/diagnostic.hpp"
#include "troupe/options.hpp"
#include "troupe/release.hpp"

#include <tl/expected.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace troupe {

enum class stop_mode {
  fast,      ///< Exchanges under way are cut off; exit_worker handlers run.
  graceful,  ///< Stops to accept, lets exchanges end, closes idle connections, then as `fast`.
  handed_over,  ///< As `graceful`, but idle connections have 5 s for one more request, for whoever
                ///< has connected to this node cannot know that another one accepts now.
};

/// A socket that accepts.
struct listener_info {
  std::string address;   ///< As bound: "0.0.0.0:8080", "[::1]:8080", "unix:/run/app.sock".
  std::string protocol;  ///< "http", "https".
};

/// What the main context says about the process; runtime/process applies it, or an embedding program
/// does what it thinks right.
struct process_settings {
  bool daemon = true;
  bool master_process = true;
  std::string pid_file;           ///< Of `pid`, absolute; empty: it is not given.
  std::string error_log;          ///< The main context's first one: absolute, or "stderr".
  std::string working_directory;  ///< Empty: as it is.
  std::string user;               ///< Of `user`; empty: as it is.
  std::string group;
  std::optional<std::uint64_t> open_files;  ///< worker_rlimit_nofile.
  std::optional<std::uint64_t> core_bytes;  ///< worker_rlimit_core.
  /// `env NAME` and `env NAME=VALUE`: no value means that it is inherited.
  std::vector<std::pair<std::string, std::optional<std::string>>> environment;
};

/// A file that the configuration was read from.
struct conf_file {
  std::string path;
  std::string text;
};

/// What the shards have to do; taken without disturbing them.
struct node_load {
  unsigned shards = 0;
  std::uint64_t connections = 0;  ///< Open ones of clients,
  std::uint64_t idle = 0;         ///< and those of them that wait for a next request.
  std::uint64_t requests = 0;     ///< Begun since the start.
  std::uint64_t errors = 0;       ///< Of them, ended with a status from 500 on.
  std::uint64_t lua_bytes = 0;    ///< Of the VMs of the active release, as of their last look.
};

class node {
 public:
  explicit node(node_options options);
  ~node();  ///< Stops fast and waits, if it runs.
  node(const node&) = delete;
  node& operator=(const node&) = delete;

  /// Reads and checks the configuration. Starts no thread and opens no socket, so that a program
  /// may still fork. start() does it if nobody has.
  /// @return the warnings.
  [[nodiscard]] tl::expected<diagnostics, diagnostics> load();

  /// load(), and all else that start() would refuse: every Lua chunk compiles, files and
  /// certificates are there. Binds nothing and runs no Lua.
  /// @return the warnings.
  [[nodiscard]] tl::expected<diagnostics, diagnostics> check();

  /// Loads the release, binds, starts the shards and runs init and init_worker; when it returns,
  /// every listener accepts.
  [[nodiscard]] tl::expected<void, diagnostics> start();

  /// start() in two steps: all is bound, loaded and run that start() would, but nobody is served before
  /// activate(); who connects until then waits in the listener's queue. If the release is dropped, the
  /// node still wants stop() and wait().
  [[nodiscard]] tl::expected<prepared_release, diagnostics> prepare_start();

  /// Asks the node to stop and returns at once. A second, fast one hurries a graceful one.
  void stop(stop_mode mode);

  /// Waits until the node has stopped and everything of it is gone.
  /// @return 0, or 1 if it had to give up.
  int wait();

  /// Loads a release beside the one that serves: checks it, binds what is new to listen on, builds its
  /// VMs, runs init and init_worker. Until activate() nothing has changed. A release that is still
  /// warm (same digest, same places) is taken as it is and only runs init_worker again.
  /// One at a time: a second call waits until the first one's release was activated or dropped. wait()
  /// does too, so a prepared release may not be kept by the thread that calls it.
  [[nodiscard]] tl::expected<prepared_release, diagnostics> prepare(const release_source& source);

  /// Puts it in: one message to each shard. Returns when the last one has it.
  swap_report activate(prepared_release&& release);

  /// What lives here: the active one first, then by age, the youngest first.
  [[nodiscard]] std::vector<live_release> releases() const;

  /// prepare() and activate() of what the node was started from, as it is now on the disk; returns when
  /// the new one serves.
  [[nodiscard]] tl::expected<void, diagnostics> reload();

  /// Opens every log file again by its name, after somebody moved it.
  void reopen_logs();

  [[nodiscard]] node_load load_now() const;

  /// Config values that scripts and configurations read; they outlive releases. Who replaces them tells
  /// those who watch, by tell_config_changed().
  [[nodiscard]] net::live_config& config() noexcept;
  void tell_config_changed();
  /// Who replaces or adds to what node_options::cluster leads to tells those who wait for it.
  void tell_cluster_changed();

  /// What is bound; after start().
  [[nodiscard]] std::vector<listener_info> listeners() const;

  /// Copies of the descriptors of all that it listens on, for another process; the caller closes
  /// them. What is accepted from one is gone from the others: they share the queue.
  [[nodiscard]] std::vector<listening_socket> listening_sockets();

  /// After load(): what the active configuration says about the process, and the files it was read
  /// from. Not while another thread changes the release.
  [[nodiscard]] const process_settings& process() const;
  [[nodiscard]] const std::vector<conf_file>& files() const;

  /// The node's error log; before load() that of the options.
  [[nodiscard]] const net::log_context& log() const;

 private:
  friend class prepared_release;
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace troupe
