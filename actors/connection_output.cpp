// SPDX-License-Identifier: Apache-2.0
//
// What a connection writes, and its socket in Lua's hands.
//
// Source   RFC 9112 section 6 for framing (net/http1_writer); "ngx.req.socket" of ngx_lua's README.
// Thread   shard.
#include <sys/socket.h>

#include <array>

#include "actors/connection.hpp"
#include "actors/shard_release.hpp"
#include "net/http1_writer.hpp"

namespace troupe::actors {

using net::body_state;
using net::log_level;

namespace {
// Written pieces a call; more wait for the next.
constexpr std::size_t most_pieces = 16;
}  // namespace

// --- Output ----------------------------------------------------------------------------------------

void connection::send_head(net::exchange& x) {
  // A body that nobody read is either dropped after the response or ends the connection.
  if (!is_idle() && body_mode_ != body_mode::none && x.expects_continue && !sent_continue_) {
    x.close_after = true;  // The client may or may not send it: nobody can tell.
  }
  if (peer_ended_) x.close_after = true;
  if (settings().keepalive_time > 0 &&
      loop().clock().monotonic_ms() - started_ms_ > settings().keepalive_time) {
    x.close_after = true;
  }
  net::write_response_head(x);
  if (x.wire.size() >= x.settings->postpone_output) write_out(x);
}

void connection::send_body(net::exchange& x, bool last) {
  net::write_response_body(x, last);
  // A little output waits for more, or for a flush.
  if (last || x.wire.size() >= x.settings->postpone_output) write_out(x);
}

void connection::write_out(net::exchange& x) {
  if (state_ == state::closed || broken_) {
    x.wire.clear();
    x.failed = true;
    return;
  }
  const bool had = !x.wire.empty();
  while (!x.wire.empty()) {
    std::array<iovec, most_pieces> pieces;
    const std::size_t count = x.wire.gather(pieces);
    const auto sent = net::send(socket_.get(), {pieces.data(), count});
    if (sent.bytes > 0) {
      x.bytes_sent += sent.bytes;
      x.wire.consume(sent.bytes);
      continue;
    }
    if (sent.would_block()) {
      watch_writable();
      wait_for(settings().send_timeout);
      return;
    }
    broken_ = true;
    x.wire.clear();
    x.failed = true;
    if (x.enabled(log_level::info)) {
      x.action = "sending to client";
      x.write(log_level::info, "send() failed (" + std::to_string(sent.error.value()) + ": " +
                                   sent.error.message() + ")");
      x.action = {};
    }
    flush_ended(x, "client aborted");
    abort();
    return;
  }
  if (had && !reading_body_) timer_at_ = 0;
  flush_ended(x, nullptr);
  on_drained();
}

void connection::watch_writable() noexcept {
  if (std::exchange(writable_watched_, true)) return;
  loop().modify(socket_.get(), *this, net::event_loop::readable | net::event_loop::writable);
}

net::exchange_owner::progress connection::flush(net::exchange& x) {
  if (broken_) return progress::failed;
  net::write_response_body(x, false);
  write_out(x);
  if (broken_) return progress::failed;
  return x.wire.empty() ? progress::done : progress::waiting;
}

bool connection::is_broken(const net::exchange&) const noexcept { return broken_; }

bool connection::is_drained(const net::exchange& x) const noexcept { return x.wire.empty(); }

// --- The client's side in Lua's hands --------------------------------------------------------------

std::unique_ptr<net::stream> connection::take_stream(net::exchange& x, bool raw, const char*& error) {
  if (broken_ || state_ != state::serving) {
    error = "client aborted";
  } else if (x.body.state == body_state::reading) {
    error = "pending request body reading in some other thread";
  } else if (raw && x.buffering_http10) {
    error = "http 1.0 buffering";
  } else if (raw && !x.wire.empty()) {
    error = "pending data to write";
  } else if (!raw && x.body.state == body_state::discarded) {
    error = "request body discarded";
  } else if (!raw && x.body.state == body_state::read && x.body.size() > 0) {
    error = "request body already exists";
  } else if (!raw && body_mode_ == body_mode::chunked) {
    error = "chunked request bodies not supported yet";
  } else if (!raw && body_mode_ == body_mode::none) {
    error = "no body";
  }
  if (error != nullptr) return nullptr;
  if (raw) {
    x.raw_socket_taken = x.header_sent = x.eof_sent = x.close_after = true;
    x.body_out.clear();
    x.keep_alive = false;
    body_mode_ = body_mode::none;
  } else if (x.expects_continue && !std::exchange(sent_continue_, true) && !x.header_sent) {
    static constexpr std::string_view text = "HTTP/1.1 100 Continue\r\n\r\n";
    const iovec piece{const_cast<char*>(text.data()), text.size()};
    net::send(socket_.get(), {&piece, 1});
  }
  auto made = std::make_unique<request_stream>(*this, raw);
  stream_ = made.get();
  timer_at_ = 0;
  return made;
}

net::io_result connection::read_stream(std::span<char> into, bool raw) noexcept {
  if (broken_) return {0, std::make_error_code(std::errc::connection_aborted)};
  if (!raw) {
    if (body_left_ == 0) return {};
    into = into.first(static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), body_left_)));
  }
  net::io_result got;
  if (!input_.empty()) {
    got.bytes = input_.copy(into.data(), into.size());
    input_.erase(0, got.bytes);
  } else {
    got = net::receive(socket_.get(), into);
    if (got.bytes == 0 && !got.error) {
      peer_ended_ = true;
      // A body that stops short is an error; of the whole connection it is the end.
      if (!raw) got.error = std::make_error_code(std::errc::connection_reset);
    }
  }
  if (!raw && got.bytes > 0) {
    body_seen_ += got.bytes;
    body_left_ -= got.bytes;
    if (body_left_ == 0) {
      body_mode_ = body_mode::none;
      if (end_seen_) tell(client_ended{});
    }
  }
  return got;
}

net::io_result connection::write_stream(std::span<const iovec> pieces) noexcept {
  const net::io_result sent = net::send(socket_.get(), pieces);
  if (sent.would_block()) watch_writable();
  std::size_t wanted = 0;
  for (const iovec& piece : pieces) wanted += piece.iov_len;
  taken_blocked_ = sent.bytes < wanted;
  if (current() != nullptr) current()->x.bytes_sent += sent.bytes;
  return sent;
}

}  // namespace troupe::actors
