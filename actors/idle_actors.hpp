// SPDX-License-Identifier: Apache-2.0
//
// Actors whose work has ended and who may begin another: to make one and to end it costs CAF several
// times what the work of a small subrequest or timer does.
//
// Thread   shard.
// Memory   a bounded number of them; what they did their work with is gone.
// Called   by subrequest_actor and timer_actor; one for each, in the shard.
#pragma once

#include <caf/actor_control_block.hpp>
#include <cstddef>
#include <utility>
#include <vector>

namespace troupe::actors {

class idle_actors {
public:
  /// Null: none rests.
  [[nodiscard]] caf::strong_actor_ptr take() noexcept {
    if (resting_.empty()) return nullptr;
    caf::strong_actor_ptr one = std::move(resting_.back());
    resting_.pop_back();
    return one;
  }

  /// False: enough rest already, and `one` is the caller's as before. No message that would begin
  /// work is on its way to it.
  [[nodiscard]] bool give(caf::strong_actor_ptr& one) {
    if (resting_.size() >= most) return false;
    resting_.push_back(std::move(one));
    return true;
  }

private:
  static constexpr std::size_t most = 1024;  ///< Some 1.3 KB each.
  std::vector<caf::strong_actor_ptr> resting_;
};

}  // namespace troupe::actors
