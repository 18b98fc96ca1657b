// SPDX-License-Identifier: Apache-2.0
//
// A command that asks a running node over its control socket, or over a link of the cluster: finds the
// node that the flags mean, asks, and turns what goes wrong into messages and exit statuses.
//
// Source   docs/admin-api.md; docs/getting-started.md, "Exit status".
// Thread   main.
// Called   by runtime/commands.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "runtime/admin_client.hpp"
#include "runtime/commands/node_line.hpp"
#include "runtime/commands/shared_flags.hpp"

namespace troupe {

class node_call {
 public:
  using json = nlohmann::ordered_json;

  /// Connects; a failure has been said, and is the exit status.
  [[nodiscard]] static tl::expected<node_call, int> to(const shared_flags& flags);

  /// @return the document; a refusal of the node has been said (as it came, with --json), and is
  /// the
  ///         exit status.
  [[nodiscard]] tl::expected<json, int> ask(std::string_view method, const std::string& target,
                                            std::string_view body = {});
  /// Lines of an answer that goes on. @return the exit status.
  [[nodiscard]] int follow(const std::string& target,
                           const std::function<bool(const json& line)>& on_line);
  /// The same of any method, nothing said: for who asks again when the node goes.
  [[nodiscard]] tl::expected<admin_client::reply, diagnostic> try_follow(
      std::string_view method, const std::string& target, std::string_view body,
      const std::function<bool(const json& line)>& on_line);

  /// What /v1/cluster says; null: the node is in none.
  [[nodiscard]] tl::expected<json, int> cluster();
  /// The same where nothing else makes sense: refused if it is in none.
  [[nodiscard]] tl::expected<json, int> need_cluster();

  /// Says it, and is the exit status.
  int give_up(const diagnostic& problem, std::string_view error = "no_answer") const;
  int refuse(const admin_client::reply& reply) const;

 private:
  node_call(bool json, std::optional<admin_client::clock::time_point> deadline)
      : json_(json), deadline_(deadline) {}
  /// With --timeout a node waits so long for a controller, and answers before the time is over.
  [[nodiscard]] std::string with_wait(const std::string& target) const;
  [[nodiscard]] tl::expected<admin_client::reply, diagnostic> try_ask(std::string_view method,
                                                                      const std::string& target,
                                                                      std::string_view body);

  std::optional<admin_client> client_;
  std::unique_ptr<node_line> link_;  ///< In place of `client_`: --node host:port.
  bool json_;
  std::optional<admin_client::clock::time_point> deadline_;
};

/// Who runs the command, for the history: "ann@laptop".
[[nodiscard]] std::string command_author();

}  // namespace troupe
