// SPDX-License-Identifier: Apache-2.0
//
// The control socket of a node: a Unix socket in its data folder that speaks HTTP/1.1, so that the
// command line, curl and other tools can ask and tell the running node. What is asked is up to the
// handler (runtime/admin_api).
//
// Each connection has a thread of its own: there are few, they may wait long, and none of them may
// ever be in a shard's way.
//
// Source   docs/admin-api.md; RFC 9112.
// Thread   made and destroyed by main; the handler is called from the connections' threads, several
//          at once.
// Errors   opening: a diagnostic. Bad requests are answered with their status.
// Called   by runtime/commands/run, runtime/cluster_node.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <tl/expected.hpp>

#include "net/socket.hpp"
#include "runtime/admin_message.hpp"
#include "troupe/diagnostic.hpp"

namespace troupe {

class admin_server {
 public:
  using handler = std::function<admin_response(const admin_request&)>;

  /// @param path  of the socket, 0600; one that is there is replaced: whoever holds the data folder
  ///              owns it.
  [[nodiscard]] static tl::expected<admin_server, diagnostic> open(const std::string& path,
                                                                   handler answer);
  /// On a TCP address ("127.0.0.1:8081", "[::1]:8081"), for health checks: only GET, and no bodies.
  /// @param inherited  a socket that listens there already; none: one is made.
  [[nodiscard]] static tl::expected<admin_server, diagnostic> open_tcp(const std::string& address,
                                                                       handler answer,
                                                                       net::unique_fd inherited = {});
  /// A copy of the socket that listens, for another process; none: out of descriptors.
  [[nodiscard]] net::unique_fd copy() const;
  admin_server(admin_server&& other) noexcept;
  /// Takes no more requests, lets those under way end, removes the socket.
  ~admin_server();

 private:
  struct impl;
  explicit admin_server(std::unique_ptr<impl> made);
  std::unique_ptr<impl> impl_;
};

}  // namespace troupe
