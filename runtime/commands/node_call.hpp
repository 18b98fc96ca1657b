// SPDX-License-Identifier: Apache-2.0
//
// A command that asks a running node over its control socket: finds the node that the flags mean,
// asks, and turns what goes wrong into messages and exit statuses.
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

 private:
  node_call(admin_client client, bool json);
  int refuse(const admin_client::reply& reply) const;
  int give_up(const diagnostic& problem) const;

  admin_client client_;
  bool json_;
};

/// Who runs the command, for the history: "ann@laptop".
[[nodiscard]] std::string command_author();

}  // namespace troupe
