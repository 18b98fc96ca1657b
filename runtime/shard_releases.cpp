// SPDX-License-Identifier: Apache-2.0
#include "runtime/shard_releases.hpp"

#include <algorithm>
#include <utility>

#include "lua/vm.hpp"

namespace troupe {

void shard_releases::swap(release next, bool keeps_warm) {
  auto is = [](const release& wanted) {
    return [&wanted](const auto& one) { return one.expired() || one.lock() == wanted; };
  };
  std::erase_if(draining_, is(next));
  endings_.remove_if([&](const ending& one) {
    return one.is_over || one.of.expired() || one.of.lock() == next;
  });
  const actors::shard_release* const serves = next.get();
  release before = home_.use(std::move(next));
  release oldest = std::exchange(warm_, nullptr);
  if (oldest && oldest.get() != serves) draining_.push_back(oldest);
  if (before) {
    for (const std::int64_t ms : before->configuration().drain_times) end_after(before, ms, ms);
    if (keeps_warm) warm_ = std::exchange(before, nullptr);
    else draining_.push_back(before);
  }
  // Closing a VM takes longer than the swap: nobody who waits for that has to wait for this.
  home_.loop().post([before = std::move(before), oldest = std::move(oldest)] {});
}

void shard_releases::ask(const actors::site* of, std::int64_t timeout_ms) {
  for (const auto& one : draining_) {
    const release found = one.lock();
    if (!found || &found->configuration() != of) continue;
    found->ask();
    end_after(found, timeout_ms, -1);
  }
}

void shard_releases::end_after(const release& of, std::int64_t ms, std::int64_t drain_ms) {
  ending& made = endings_.emplace_back();
  made.of = of;
  made.drain_ms = drain_ms;
  made.owner = this;
  home_.loop().timers().arm(made, ms);
}

void shard_releases::ending::on_timer() noexcept {
  is_over = true;
  if (const auto ended = of.lock()) owner->home_.end_of(*ended, drain_ms);
}

void shard_releases::wind_up() {
  if (home_.current()) {
    home_.current()->retire();
    home_.current()->wind_up();
  }
  for (const auto& one : draining_) {
    if (const auto left = one.lock()) left->wind_up();
  }
  if (warm_) warm_->wind_up();
}

void shard_releases::end(std::function<void()> then) {
  for (ending& one : endings_) home_.loop().timers().cancel(one);
  endings_.clear();
  if (!warm_) {
    then();
    return;
  }
  warm_->run_exit_worker([this, then = std::move(then)] {
    // Not from within its own script.
    home_.loop().post([this, then] {
      warm_.reset();
      then();
    });
  });
}

}  // namespace troupe
