// SPDX-License-Identifier: Apache-2.0
#include "net/event_loop.hpp"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <functional>

#include "net/socket.hpp"

namespace troupe::net {
namespace {

struct told final : io_handler {
  std::function<void()> then;
  void on_io(std::uint32_t) noexcept override { then(); }
};

/// Descriptors that are ready, all in one batch.
struct ready_ones {
  explicit ready_ones(event_loop& loop, const std::function<void()>& then) {
    for (std::size_t i = 0; i < handlers.size(); ++i) {
      fds[i].reset(::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
      handlers[i].then = then;
      loop.watch(fds[i].get(), handlers[i]);
    }
  }
  std::array<unique_fd, 8> fds;
  std::array<told, 8> handlers;
};

}  // namespace

TEST(event_loop, work_that_never_ends_has_one_turn_between_the_handlers) {
  event_loop loop;
  int handled = 0, hooks = 0;
  const ready_ones all(loop, [&] { ++handled; });
  loop.set_idle_hook([&] {
    ++hooks;
    return true;
  });
  loop.turn(0);
  EXPECT_EQ(handled, 8);
  EXPECT_EQ(hooks, 1);
}

TEST(event_loop, what_a_handler_causes_runs_before_the_next_one) {
  event_loop loop;
  int caused = 0, most = 0;
  const ready_ones all(loop, [&] { most = std::max(most, ++caused); });
  loop.set_idle_hook([&] {
    caused = 0;
    return false;
  });
  loop.turn(0);
  EXPECT_EQ(most, 1);
}

TEST(event_loop, that_was_stopped_begins_nothing_more) {
  event_loop loop;
  int hooks = 0;
  const ready_ones all(loop, [&] { loop.stop(); });
  loop.set_idle_hook([&] {
    ++hooks;
    return false;
  });
  loop.turn(0);
  EXPECT_EQ(hooks, 0);
}

TEST(event_loop, who_is_forgotten_in_the_middle_of_a_batch_hears_nothing) {
  event_loop loop;
  int handled = 0;
  ready_ones all(loop, [&] { ++handled; });
  loop.set_idle_hook([&] {
    for (std::size_t i = 0; i < all.handlers.size(); ++i) loop.forget(all.fds[i].get(), all.handlers[i]);
    return false;
  });
  loop.turn(0);
  EXPECT_EQ(handled, 1);
}

}  // namespace troupe::net
