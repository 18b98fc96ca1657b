// SPDX-License-Identifier: Apache-2.0
#include "actors/connection.hpp"

#include <sys/socket.h>

#include <algorithm>

#include "actors/shard_release.hpp"

namespace troupe::actors {

using net::log_level;

connection::connection(caf::actor_config& config, shard& home, net::unique_fd socket,
                       const net::address& peer, std::shared_ptr<const connection_origin> origin)
    : exchange_actor(config, home),
      socket_(std::move(socket)),
      origin_(std::move(origin)),
      number_(home.next_connection_number()),
      started_ms_(home.loop().clock().monotonic_ms()),
      peer_host_(peer.host()),
      peer_port_(peer.port()) {
  const std::string_view binary = peer.binary();
  peer_binary_size_ = static_cast<std::uint8_t>(binary.size());
  std::copy(binary.begin(), binary.end(), peer_binary_);
  deadline_.self = this;
}

connection::~connection() = default;

caf::strong_actor_ptr connection::accept(shard& home, net::unique_fd socket, const net::address& peer,
                        std::shared_ptr<const connection_origin> origin) {
  const bool is_tcp = !peer.is_unix();
  auto made = spawn_on<connection>(home, std::move(socket), peer, std::move(origin));
  connection& self = *made.self;
  self.self_ = made.handle;
  home.add(self);
  shard::add(home.connections, 1);
  const net::location_settings& settings = self.settings();
  if (is_tcp && settings.tcp_nodelay) net::set_nodelay(self.socket_.get());
  if (const auto error = home.loop().watch(self.socket_.get(), self); error) {
    self.log(log_level::crit, "epoll_ctl() failed: " + error.message());
    self.close();
    return made.handle;
  }
  self.wait_for(settings.client_header_timeout);
  // A client that connects usually has sent its request by the time it is accepted; if not, the
  // edge will tell.
  return made.handle;
}

caf::behavior connection::make_behavior() {
  return {
      [this](close_gracefully) {
        draining_ = true;
        if (state_ != state::idle) return;
        if (home().idle_grace() == 0) close();
        else wait_for(home().idle_grace());
      },
      [this](client_ended) {
        if (state_ == state::serving) on_readable();
      },
      [this](closed) { quit(); },
  };
}

void connection::on_exit() {
  // Also the way out when somebody killed this actor: its exchange ends here and nothing else does.
  if (state_ != state::closed) close();
}

const net::location_settings& connection::settings() const noexcept {
  const exchange_box* box = current();
  if (box != nullptr && box->x.settings != nullptr) return *box->x.settings;
  const site& conf = home().current()->configuration();
  if (origin_->is_closed || origin_->group >= conf.listens.size()) return conf.http;
  const auto group = origin_->group;
  return conf.servers[conf.listens[group].names.default_server()]->defaults.settings;
}

void connection::log(net::log_level level, std::string_view text) const {
  const site& conf = home().current()->configuration();
  if (!conf.error_log || !conf.error_log->enabled(level)) return;
  conf.error_log->write(level, "*" + std::to_string(number_) + " " + std::string(text) +
                                   ", client: " + peer_host_ + ", server: " + origin_->where.text());
}

// --- Readiness and time ---------------------------------------------------------------------------

void connection::on_io(std::uint32_t events) noexcept {
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
    readable_ = true;
    // The end of the peer's bytes gives no edge of its own once it was told with the last of them.
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) end_seen_ = true;
    on_readable();
  }
  if ((events & EPOLLOUT) != 0 && state_ != state::closed && current() != nullptr) {
    if (stream_ == nullptr || !current()->x.wire.empty()) write_out(current()->x);
    if (stream_ != nullptr) stream_->notify();
  }
}

void connection::on_readable() {
  switch (state_) {
    case state::idle:
    case state::head:
      // Its servers have gone with the address; those of another one are not for its clients.
      if (origin_->is_closed) close();
      else read_head();
      return;
    case state::serving:
      // Who still reads a body sees its end by reading.
      if (stream_ != nullptr && (body_mode_ != body_mode::none || !sees_client_gone())) {
        stream_->notify();
      } else if (reading_body_) {
        read_some_body();
      } else if (sees_client_gone()) {
        peer_closed();
      }
      return;
    case state::discarding: read_some_body(); return;
    case state::lingering:
      while (readable_) {
        const auto got = net::receive(socket_.get(), loop().scratch());
        if (got.bytes == 0) {
          if (got.would_block()) break;
          close();
          return;
        }
      }
      return;
    case state::closed: return;
  }
}

// Whether the client has ended its side and somebody wants to know at once.
bool connection::sees_client_gone() const noexcept {
  if (current() == nullptr || current()->x.settings == nullptr ||
      !current()->x.settings->lua_check_client_abort) {
    return false;
  }
  // Its end may stand behind bytes that nobody will read now.
  if (end_seen_ && body_mode_ == body_mode::none) return true;
  char byte = 0;
  const ssize_t n = ::recv(socket_.get(), &byte, 1, MSG_PEEK);
  return n == 0 || (n < 0 && errno != EAGAIN);
}

void connection::wait_for(std::int64_t ms) {
  // Moving the deadline away is a store; the timer looks again when it fires.
  timer_at_ = loop().clock().monotonic_ms() + ms;
  if (!deadline_.is_armed() || deadline_.expiry() > timer_at_) {
    loop().timers().arm_at(deadline_, timer_at_);
  }
}

void connection::on_deadline() noexcept {
  const std::int64_t now = loop().clock().monotonic_ms();
  if (timer_at_ == 0) return;
  if (now < timer_at_) {
    loop().timers().arm_at(deadline_, timer_at_);
    return;
  }
  switch (state_) {
    case state::idle:
    case state::lingering: close(); return;
    case state::head: refuse(408, "client timed out (110: Connection timed out) while reading client request headers"); return;
    case state::discarding: close(); return;
    case state::serving:
      if (reading_body_) {
        body_failed(408);
      } else if (current() != nullptr && !current()->x.wire.empty()) {
        net::exchange& x = current()->x;
        if (x.enabled(log_level::info)) {
          x.action = "sending to client";
          x.write(log_level::info, "client timed out (110: Connection timed out)");
          x.action = {};
        }
        broken_ = true;
        flush_ended(x, "timeout");
        abort();
      }
      return;
    case state::closed: return;
  }
}

// --- Ends ------------------------------------------------------------------------------------------

void connection::on_ended(exchange_box& box) {
  net::exchange& x = box.x;
  if ((x.error_status != 0 ? x.error_status : x.status) >= 500) shard::add(home().errors, 1);
  if (stream_ != nullptr) stream_->detach();
  stream_ = nullptr;
  timer_at_ = 0;
  reading_body_ = waiting_body_ = false;
  if (ends_gently_ && !broken_ && state_ != state::closed && !peer_ended_) {
    linger();
    return;
  }
  if (x.aborted || broken_ || state_ == state::closed) {
    close();
    return;
  }
  if (!x.keep_alive || (draining_ && home().idle_grace() == 0)) {
    const bool unread = body_mode_ != body_mode::none || x.close_after;
    if (unread && !peer_ended_) {
      linger();
    } else {
      close();
    }
    return;
  }
  if (body_mode_ != body_mode::none) {
    // Nobody read the body: drop it, then the next request may come.
    state_ = state::discarding;
    wait_for(settings().client_body_timeout);
    if (!input_.empty()) {
      std::string bytes = std::move(input_);
      input_.clear();
      take_body(bytes);
      if (state_ != state::discarding) return;
    }
    read_some_body();
    return;
  }
  next_request();
}

void connection::next_request() {
  state_ = state::idle;
  sent_continue_ = false;
  wait_for(draining_ ? home().idle_grace() : settings().keepalive_timeout);
  if ((draining_ && input_.empty() && home().idle_grace() == 0) || origin_->is_closed) {
    close();
    return;
  }
  if (!input_.empty() || readable_) {
    read_head();
  } else if (input_.capacity() > 15) {
    std::string().swap(input_);
  }
}

// The release of the exchange under way ends.
void connection::end_with(const shard_release& release, std::int64_t drain_ms) noexcept {
  exchange_box* box = current();
  if (box == nullptr || box->release.get() != &release || state_ != state::serving) return;
  net::exchange& x = box->x;
  const net::location_settings& says = *x.settings;
  const bool drains = says.on_release == net::release_policy::drain;
  if (drain_ms < 0 ? says.on_release == net::release_policy::keep
                   : !drains || says.drain_time != drain_ms) {
    return;
  }
  draining_ = true;
  if (is_finishing()) return;  // Its last bytes are on their way.
  if (x.enabled(log_level::info)) {
    x.write(log_level::info, "the release of this request ends, closing connection");
  }
  if (!x.header_sent) {
    x.close_after = true;
    finish(503);
    return;
  }
  if (x.raw_socket_taken && x.status == 101 && !taken_blocked_) {
    static constexpr std::string_view going_away = "\x88\x02\x03\xe9";  // A close frame, 1001.
    const iovec piece{const_cast<char*>(going_away.data()), going_away.size()};
    net::send(socket_.get(), {&piece, 1});
  }
  ends_gently_ = true;
  x.wire.clear();
  finish(-1);
}

void connection::linger() {
  state_ = state::lingering;
  ::shutdown(socket_.get(), SHUT_WR);
  wait_for(settings().lingering_timeout);
  readable_ = true;
  on_readable();
}

void connection::close() {
  if (state_ == state::closed) return;
  state_ = state::closed;
  loop().timers().cancel(deadline_);
  loop().forget(socket_.get(), *this);
  socket_.reset();
  home().remove(*this);
  shard::add(home().connections, -1);
  if (stream_ != nullptr) stream_->detach();
  stream_ = nullptr;
  drop();
  pending_ = {};
  std::string().swap(input_);
  tell(closed{});
  // The mailbox keeps this alive until it has handled that.
  self_ = nullptr;
}

}  // namespace troupe::actors
