// SPDX-License-Identifier: Apache-2.0
#include "actors/request_stream.hpp"

#include "actors/connection.hpp"

namespace troupe::actors {
namespace {
const net::io_result gone{0, std::make_error_code(std::errc::connection_reset)};
}

request_stream::~request_stream() {
  if (client_ != nullptr) client_->forget_stream();
}

net::io_result request_stream::read(std::span<char> into) noexcept {
  return client_ != nullptr ? client_->read_stream(into, raw_) : gone;
}

net::io_result request_stream::write(std::span<const iovec> pieces) noexcept {
  if (client_ == nullptr || !raw_) return gone;
  return client_->write_stream(pieces);
}

int request_stream::descriptor() const noexcept {
  return client_ != nullptr ? client_->descriptor() : -1;
}

void request_stream::detach() noexcept {
  client_ = nullptr;
  notify();
}

}  // namespace troupe::actors
