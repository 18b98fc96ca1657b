// SPDX-License-Identifier: Apache-2.0
//
// A connected datagram socket of ours, UDP or Unix, without blocking.
//
// Source   udp(7), unix(7) (autobind).
// Thread   that of its event loop.
// Errors   io_result, as recv() and send() give them.
#pragma once

#include <span>

#include "net/address.hpp"
#include "net/event_loop.hpp"
#include "net/socket.hpp"

namespace troupe::net {

class datagram_socket final : private io_handler {
public:
  class observer {
  public:
    /// A datagram may be there, or the peer refuses: try again.
    virtual void on_ready() noexcept = 0;

  protected:
    ~observer() = default;
  };

  datagram_socket(event_loop& loop, observer& watcher) : loop_(loop), watcher_(watcher) {}
  ~datagram_socket();

  /// @param from  the local address; family unspecified: any.
  std::error_code connect(const address& to, const address& from) noexcept;
  io_result receive(std::span<char> into) noexcept;
  io_result send(std::span<const char> datagram) noexcept;
  [[nodiscard]] int descriptor() const noexcept { return fd_.get(); }

private:
  void on_io(std::uint32_t) noexcept override { watcher_.on_ready(); }

  event_loop& loop_;
  observer& watcher_;
  unique_fd fd_;
};

}  // namespace troupe::net
