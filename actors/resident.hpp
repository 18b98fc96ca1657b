// SPDX-License-Identifier: Apache-2.0
//
// What lives on a shard by itself: connections, timers, workers. A shard that stops asks each to end
// and waits until the last one has left.
//
// Thread   shard.
#pragma once

#include <cstdint>

namespace troupe::actors {

class shard_release;

class resident {
public:
  /// The shard stops: end at the next good moment. What ends by itself need not do anything.
  virtual void end_gracefully() noexcept {}
  /// End at once; leaves the list before it returns.
  virtual void end_now() noexcept = 0;
  /// A release that no longer serves ends: what belongs to it goes. See shard::end_of().
  virtual void end_with(const shard_release&, std::int64_t /*drain_ms*/) noexcept {}

  /// This release has just been replaced by the shard's current one.
  virtual void change_release(const shard_release& /*from*/) noexcept {}

protected:
  ~resident() = default;

private:
  friend class shard;
  resident* next_ = nullptr;
  resident* previous_ = nullptr;
};

}  // namespace troupe::actors
