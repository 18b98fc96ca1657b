// SPDX-License-Identifier: Apache-2.0
//
// Accepts connections of one listening socket on one event loop.
//
// Source   accept4(2). Out of descriptors it pauses for half a second instead of spinning.
// Thread   that of its event loop.
// Called   by runtime/node for each shard and `listen`; hands sockets to actors/connection.
#pragma once

#include <functional>

#include "net/address.hpp"
#include "net/event_loop.hpp"
#include "net/log.hpp"
#include "net/socket.hpp"

namespace troupe::net {

class listener final : private io_handler, private timer {
public:
  using accepted = std::function<void(unique_fd client, const address& peer)>;
  listener(event_loop& loop, unique_fd socket, accepted on_accept, const log_context& log);
  ~listener() override;

  std::error_code start() noexcept;
  void pause() noexcept;
  /// The address it is bound to.
  [[nodiscard]] const address& where() const noexcept { return where_; }
  [[nodiscard]] int descriptor() const noexcept { return socket_.get(); }
  /// Whether the socket belongs to this listener alone; other shards may share its queue.
  void share(bool shared) noexcept { shared_ = shared; }

private:
  void on_io(std::uint32_t events) noexcept override;
  void on_timer() noexcept override;

  event_loop& loop_;
  unique_fd socket_;
  accepted on_accept_;
  const log_context& log_;
  address where_;
  bool started_ = false;
  bool shared_ = false;
};

}  // namespace troupe::net
