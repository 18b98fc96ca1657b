// SPDX-License-Identifier: Apache-2.0
//
// What leads a command to a running node when it is not that node's control socket: a link of its cluster.
//
// Source   docs/cluster.md, "From another machine".
// Thread   main.
// Errors   as those of admin_client: what went wrong on the way; what the node refuses is a reply.
// Called   by node_call. `troupe` has a definition of open_link_line() of its own (runtime/main.cpp).
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "runtime/admin_client.hpp"

namespace troupe {

class node_line {
 public:
  using reply = tl::expected<admin_client::reply, diagnostic>;
  virtual ~node_line() = default;

  [[nodiscard]] virtual reply ask(std::string_view method, const std::string& target,
                                  std::string_view body) = 0;
  /// As admin_client::follow().
  [[nodiscard]] virtual reply follow(std::string_view method, const std::string& target,
                                     std::string_view body,
                                     const std::function<bool(std::string_view line)>& on_line) = 0;
};

/// @param address     host:port, the port of requests.
/// @param key_folder  where the keys of the tools lie.
[[nodiscard]] tl::expected<std::unique_ptr<node_line>, diagnostic> open_link_line(
    const std::string& address, const std::string& key_folder,
    std::optional<admin_client::clock::time_point> deadline);

}  // namespace troupe
