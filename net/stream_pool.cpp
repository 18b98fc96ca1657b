// SPDX-License-Identifier: Apache-2.0
#include "net/stream_pool.hpp"

#include <algorithm>

namespace troupe::net {

stream_pool* stream_pools::find(std::string_view key) noexcept {
  const auto found = pools_.find(std::string(key));
  return found == pools_.end() ? nullptr : found->second.get();
}

stream_pool& stream_pools::get(std::string_view key, std::size_t size, int backlog) {
  auto& pool = pools_[std::string(key)];
  if (!pool) pool = std::make_unique<stream_pool>(*this, std::string(key), size, backlog);
  return *pool;
}

void stream_pool::resting::on_ready() noexcept {
  // An edge that came late tells of what was read already.
  if (!connection->is_quiet()) pool->drop(*this);
}
void stream_pool::resting::on_timer() noexcept { pool->drop(*this); }

std::unique_ptr<stream_pool::resting> stream_pool::remove(
    std::list<std::unique_ptr<resting>>::iterator at) noexcept {
  std::unique_ptr<resting> one = std::move(*at);
  idle_.erase(at);
  one->connection->watcher = nullptr;
  return one;
}

stream_pool::idle_connection stream_pool::take() noexcept {
  while (!idle_.empty()) {
    const std::unique_ptr<resting> first = remove(idle_.begin());
    if (!first->connection->is_quiet()) continue;  // It ended, and its event is still to come.
    ++in_use_;
    return {std::move(first->connection), first->reused + 1};
  }
  return {};
}

stream_pool::idle_connection stream_pool::take_of(const tls_identity& wanted) noexcept {
  for (auto at = idle_.begin(); at != idle_.end();) {
    const tls_identity* identity = (*at)->connection->identity();
    const auto here = at++;
    if (identity == nullptr || !(*identity == wanted)) continue;
    const std::unique_ptr<resting> one = remove(here);
    if (!one->connection->is_quiet()) continue;
    ++in_use_;
    return {std::move(one->connection), one->reused + 1};
  }
  return {};
}

void stream_pool::give(std::unique_ptr<client_stream> connection, std::uint32_t reused,
                       std::int64_t idle_ms) {
  if (!waiting_.empty()) {
    waiter* next = waiting_.front();
    waiting_.pop_front();
    connection->watcher = nullptr;
    next->on_turn(std::move(connection), reused + 1);
    return;
  }
  if (in_use_ > 0) --in_use_;
  if (idle_.size() >= size_) idle_.pop_back();
  auto made = std::make_unique<resting>();
  made->pool = this;
  made->connection = std::move(connection);
  made->reused = reused;
  resting& it = *made;
  idle_.push_front(std::move(made));
  it.at = idle_.begin();
  it.connection->watcher = &it;
  if (idle_ms > 0) all_.loop_.timers().arm(it, idle_ms);
}

void stream_pool::drop(resting& which) noexcept {
  idle_.erase(which.at);
  next_turn();
  end_if_unused();
}

stream_pool::admission stream_pool::enter(waiter& asking) {
  if (backlog_ < 0 || in_use_ + idle_.size() < size_) {
    ++in_use_;
    return admission::go;
  }
  if (waiting_.size() >= static_cast<std::size_t>(backlog_)) return admission::refuse;
  waiting_.push_back(&asking);
  return admission::wait;
}

void stream_pool::forget(waiter& asking) noexcept { std::erase(waiting_, &asking); }

void stream_pool::leave() noexcept {
  if (in_use_ > 0) --in_use_;
  next_turn();
  end_if_unused();
}

void stream_pool::next_turn() noexcept {
  // A turn that goes wrong at once leaves its place from within: a loop, no recursion, as the peer of
  // all who wait may have gone.
  if (turns_ > 0) return;
  ++turns_;
  while (!waiting_.empty() && in_use_ + idle_.size() < size_) {
    waiter* next = waiting_.front();
    waiting_.pop_front();
    ++in_use_;
    next->on_turn(nullptr, 0);
  }
  --turns_;
}

void stream_pool::end_if_unused() noexcept {
  // Not below a turn that goes wrong at once: whoever gave it looks again.
  if (turns_ == 0 && in_use_ == 0 && idle_.empty() && waiting_.empty()) all_.pools_.erase(key_);
}

}  // namespace troupe::net
