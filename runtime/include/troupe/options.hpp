// SPDX-License-Identifier: Apache-2.0
//
// What a node is told from outside its app: everything that main() learns from flags, environment
// and TOML, and that an embedding program fills in itself. The app's own configuration is its
// nginx.conf; where both speak (shards, ports, log level) these options win.
//
// Source   docs/getting-started.md for the flags; https://nginx.org/en/docs/switches.html for
//          `prefix`, `conf`, `directives` and `error_log`.
// Thread   any; a value.
// Called   filled by runtime/commands and runtime/nginx_invocation, read by runtime/node.
#pragma once

#include "net/log.hpp"
#include "troupe/release.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace troupe {

namespace conf {
struct directive_module;
}
namespace net {
class live_cluster;
}

/// A socket that listens already, made by another process of this node.
struct listening_socket {
  std::string address;  ///< As node::listening_sockets() names it.
  int descriptor = -1;
};

struct node_options {
  // Which app: `release`, or `app`, or `prefix` and `conf`.

  /// A release to start from; it wins over the others. node::reload() reads it again.
  std::optional<release_source> release;

  /// A folder with `nginx.conf` or `conf/nginx.conf`, or one conf file (find_app() decides).
  std::string app;
  /// `-p`: what relative paths of the configuration start from.
  std::string prefix;
  /// `-c`: the configuration's file; relative to `prefix`.
  std::string conf;
  /// `-g`: directives of the main context, read before the file.
  std::string directives;
  /// `-e`: the error log until the configuration names one, and if it never does; a file relative
  /// to `prefix`, or "stderr".
  std::string error_log = "stderr";

  // The node.

  std::string name = "local";
  /// The node's data folder; empty: the node keeps nothing on disk.
  std::string data;
  /// The app's first `listen` port becomes this one and the others move by the same distance;
  /// 0: each gets a free port. Without it, ports are the app's.
  std::optional<std::uint16_t> port;
  /// Threads that serve; 0: `worker_processes` of the app, or else as many as cores.
  unsigned shards = 0;
  /// What another process listened on; start() takes them over and closes those that the
  /// configuration has no `listen` for.
  std::vector<listening_socket> inherited;
  /// Overrides the levels of the app's error_log directives.
  std::optional<net::log_level> log_level;
  /// `--set KEY=VALUE`: configuration values that scripts read.
  std::map<std::string, std::string, std::less<>> values;
  /// Directives of the embedding program beside troupe's own, and by them its stages
  /// (docs/embedding.md). The modules outlive the node.
  std::vector<const conf::directive_module*> modules;
  /// The cluster that scripts see (troupe.cluster); null: none. runtime/cluster_node sets it.
  std::shared_ptr<net::live_cluster> cluster;
};

}  // namespace troupe
