// SPDX-License-Identifier: Apache-2.0
//
// Waits for children that nobody is interested in any more, so that none stays a zombie.
//
// Source   waitid(2), pidfd_open(2).
// Thread   that of its event loop.
// Memory   a descriptor and a few bytes for each child until it has ended.
// Called   by net/child_process.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "net/child_process.hpp"
#include "net/event_loop.hpp"
#include "net/socket.hpp"

namespace troupe::net {

class child_reaper {
public:
  explicit child_reaper(event_loop& loop) noexcept : loop_(loop) {}
  /// Waits a moment for who is left: they were killed.
  ~child_reaper();
  child_reaper(const child_reaper&) = delete;
  child_reaper& operator=(const child_reaper&) = delete;

  /// A child that was sent SIGKILL.
  void adopt(unique_fd pidfd) noexcept;
  [[nodiscard]] std::size_t count() const noexcept { return orphans_.size(); }

  /// Nothing: it still runs.
  static std::optional<child_end> reap(int pidfd) noexcept;

private:
  struct orphan final : io_handler {
    child_reaper* self = nullptr;
    unique_fd pidfd;
    void on_io(std::uint32_t) noexcept override { self->on_end(*this); }
  };
  void on_end(orphan& one) noexcept;

  event_loop& loop_;
  std::vector<std::unique_ptr<orphan>> orphans_;
};

}  // namespace troupe::net
