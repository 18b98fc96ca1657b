// SPDX-License-Identifier: Apache-2.0
//
// Sends an order to the cluster and shows how it goes: signed with the user's key, sent again when the
// node that took it goes away, with bars on a terminal and lines elsewhere.
//
// Source   docs/cluster.md, "Orders"; docs/getting-started.md, "Exit status".
// Thread   main.
// Errors   said; the exit status.
// Called   by runtime/commands.
#pragma once

#include "cluster/order.hpp"
#include "runtime/commands/node_call.hpp"
#include "runtime/commands/shared_flags.hpp"

#include <optional>
#include <string>

namespace troupe {

/// What a person may say of an order.
struct order_words {
  std::string app;       ///< --app; empty: the one that there is, or `default`.
  std::string to;        ///< --to
  std::string require;   ///< --require
  std::string canary;    ///< --canary
  std::string watch;     ///< --watch
  std::string stop_if;   ///< --stop-if
  std::optional<std::uint64_t> expect;

  /// The flags of these; `steps`: with those of a push in two steps.
  [[nodiscard]] std::vector<own_flag> flags(bool steps);
  /// What is wrong with them is wrong usage: it is known before a node is asked.
  [[nodiscard]] tl::expected<cluster::selector, diagnostic> selector() const;
  [[nodiscard]] tl::expected<cluster::push_policy, diagnostic> policy() const;
};

/// Whether that can be an app's name; empty: none was given.
[[nodiscard]] std::optional<diagnostic> wrong_app(const std::string& app);

/// Says of each node that has not done it, and why: "b refused: …", "c is behind …".
/// @param last  a progress.
void complain_of_nodes(const node_call::json& last);

/// "20%", "20" -> 20.
[[nodiscard]] std::optional<unsigned> percent_of(std::string_view text);
/// "60s", "2m", "500ms", "1.5" (seconds).
[[nodiscard]] std::optional<std::chrono::milliseconds> duration_of(std::string_view text);

/// An order of now, by who runs the command, with everything but the body filled in.
[[nodiscard]] cluster::order new_order(std::string app, cluster::order_body body,
                                       std::string message = {});

class order_sender {
 public:
  order_sender(node_call& node, const shared_flags& flags) : node_(node), flags_(flags) {}

  /// @param heading  the first line on a terminal: "release 42  3 files changed …"; gets the number.
  /// @param steps    whether it is prepared and activated, or applied at once.
  /// @return how it ended; a failure has been said.
  struct ended {
    int status = 0;
    node_call::json last;  ///< The last progress; null if there was no answer.
  };
  [[nodiscard]] ended send(const cluster::order& what,
                           const std::function<std::string(const node_call::json&)>& heading,
                           bool steps);
  /// The same of one that is signed already, without a word.
  [[nodiscard]] ended send_signed(const cluster::signed_order& sealed);

 private:
  [[nodiscard]] ended deliver(const cluster::signed_order& sealed, const std::string& id,
                              const std::function<void(const node_call::json&)>& show);
  [[nodiscard]] std::string hint_for(const cluster::signed_order& sealed, const std::string& error,
                                     const std::string& reason) const;
  node_call& node_;
  const shared_flags& flags_;
};

}  // namespace troupe
