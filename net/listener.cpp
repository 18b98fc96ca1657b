// SPDX-License-Identifier: Apache-2.0
#include "net/listener.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace troupe::net {
namespace {
constexpr std::int64_t pause_ms = 500;
}

listener::listener(event_loop& loop, unique_fd socket, accepted on_accept, const log_context& log)
    : loop_(loop),
      socket_(std::move(socket)),
      on_accept_(std::move(on_accept)),
      log_(log),
      where_(local_address(socket_.get())) {}

listener::~listener() { pause(); }

std::error_code listener::start() noexcept {
  if (started_) return {};
  started_ = true;
  // Level-triggered, so that a bounded number of accepts a turn loses nobody.
  const std::uint32_t events = shared_ ? EPOLLIN | EPOLLEXCLUSIVE : EPOLLIN;
  return loop_.watch(socket_.get(), *this, events);
}

void listener::pause() noexcept {
  loop_.timers().cancel(*this);
  if (!started_) return;
  started_ = false;
  loop_.forget(socket_.get(), *this);
}

void listener::on_timer() noexcept { start(); }

void listener::on_io(std::uint32_t) noexcept {
  for (int i = 0; i < 16; ++i) {
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    unique_fd client(::accept4(socket_.get(), reinterpret_cast<sockaddr*>(&peer), &size,
                               SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!client) {
      if (errno == EAGAIN || errno == EWOULDBLOCK) return;
      if (errno == EINTR || errno == ECONNABORTED) continue;
      const int error = errno;
      if (log_.enabled(log_level::crit)) {
        log_.write(log_level::crit, "accept4() failed (" + std::to_string(error) + ": " +
                                        std::strerror(error) + ")");
      }
      pause();
      loop_.timers().arm(*this, pause_ms);
      return;
    }
    on_accept_(std::move(client), address::from(reinterpret_cast<const sockaddr*>(&peer), size));
  }
}

}  // namespace troupe::net
