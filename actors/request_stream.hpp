// SPDX-License-Identifier: Apache-2.0
//
// The client's side of a request as a stream, for ngx.req.socket: its body for reading, or the whole
// connection both ways.
//
// Thread   shard.
// Memory   belongs to the cosocket; the connection knows of it until either ends.
#pragma once

#include "net/stream.hpp"

namespace troupe::actors {

class connection;

class request_stream final : public net::stream {
public:
  request_stream(connection& client, bool raw) : client_(&client), raw_(raw) {}
  ~request_stream() override;

  net::io_result read(std::span<char> into) noexcept override;
  net::io_result write(std::span<const iovec> pieces) noexcept override;
  [[nodiscard]] int descriptor() const noexcept override;

  /// The connection has ended.
  void detach() noexcept;
  void notify() noexcept {
    if (watcher != nullptr) watcher->on_ready();
  }

private:
  connection* client_;
  bool raw_;
};

}  // namespace troupe::actors
