// SPDX-License-Identifier: Apache-2.0
//
// Bytes both ways with a peer, without blocking: what a cosocket works on. A connection that we made
// (net/client_stream) or the client's side of a request (actors/connection).
//
// Thread   shard.
// Errors   io_result, as recv() and send() give them.
#pragma once

#include <span>
#include <string>

#include "net/socket.hpp"

namespace troupe::net {

class stream {
public:
  class observer {
  public:
    /// Something may be read, may be written, or has failed: try again.
    virtual void on_ready() noexcept = 0;

  protected:
    ~observer() = default;
  };

  stream() = default;
  virtual ~stream() = default;
  stream(const stream&) = delete;
  stream& operator=(const stream&) = delete;

  /// bytes 0 without error: the peer has ended its side.
  virtual io_result read(std::span<char> into) noexcept = 0;
  virtual io_result write(std::span<const iovec> pieces) noexcept = 0;
  [[nodiscard]] virtual int descriptor() const noexcept = 0;

  observer* watcher = nullptr;  ///< Null: nobody waits.
};

}  // namespace troupe::net
