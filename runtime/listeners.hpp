// SPDX-License-Identifier: Apache-2.0
//
// Listening sockets, which outlive releases: binding what a release listens on and nobody has bound
// yet, and a shard's share of the sockets, which changes with each swap.
//
// Source   `listen`; on Linux each shard has a socket of its own by SO_REUSEPORT.
// Thread   bind_new(): any; shard_listeners: its shard.
// Errors   diagnostics in nginx's words, one for each `listen`.
// Called   by runtime/node.
#pragma once

#include <memory>
#include <tl/expected.hpp>
#include <vector>

#include "actors/connection.hpp"
#include "actors/shard.hpp"
#include "actors/site.hpp"
#include "net/listener.hpp"
#include "troupe/diagnostic.hpp"
#include "troupe/node.hpp"

namespace troupe {

/// Bound and not yet listened on by a shard. A Unix socket's file goes with it unless it is taken.
struct bound_socket {
  std::size_t group = 0;
  unsigned shard = 0;
  net::unique_fd fd;
  std::string file;  ///< Of a Unix socket.

  bound_socket(std::size_t group, unsigned shard, net::unique_fd fd, std::string file)
      : group(group), shard(shard), fd(std::move(fd)), file(std::move(file)) {}
  bound_socket(bound_socket&& other) noexcept;
  bound_socket& operator=(bound_socket&&) = delete;
  ~bound_socket();
  net::unique_fd take() noexcept;
};

/// A socket that somebody else has bound and listens on, by what its `listen` was called.
struct inherited_socket {
  std::string address;
  net::unique_fd fd;
};

/// Binds what `site` listens on and is not among `bound`. Sockets of `inherited` are taken first,
/// all of an address, also if there are more than shards: a queue that the kernel fills and nobody
/// accepts from would be a hole.
tl::expected<std::vector<bound_socket>, diagnostics> bind_new(const actors::site& site,
                                                              const std::vector<net::address>& bound,
                                                              unsigned shards,
                                                              std::vector<inherited_socket>& inherited);

/// The listeners of a shard.
class shard_listeners {
 public:
  /// Those whose address the site does not have close, its new ones open; the others are not touched.
  void change(actors::shard& home, const actors::site& site, std::vector<bound_socket>& sockets,
              const net::log_context& log);
  void close() { all_.clear(); }

  struct info {
    listener_info shown;
    net::address identity;
  };
  /// Copies of the descriptors, by what inherited_socket calls them.
  [[nodiscard]] std::vector<inherited_socket> copies() const;
  /// In the order of the site.
  [[nodiscard]] std::vector<info> list(const actors::site& site) const;

 private:
  struct one {
    std::unique_ptr<net::listener> socket;
    std::shared_ptr<actors::connection_origin> origin;
  };
  std::vector<one> all_;
};

}  // namespace troupe
