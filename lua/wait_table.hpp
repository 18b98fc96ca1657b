// SPDX-License-Identifier: Apache-2.0
//
// Who waits for what: each wait of a coroutine has a token; the completion brings the token back as
// a message, and a token whose coroutine has gone finds nothing.
//
// Thread   the host's.
// Memory   slots are reused; a steady state allocates nothing.
#pragma once

#include <cstdint>
#include <vector>

namespace troupe::lua {

struct coroutine;

/// Never zero for a real wait.
enum class wait_token : std::uint64_t { none = 0 };

class wait_table {
public:
  wait_token add(coroutine& waiter) {
    std::uint32_t index;
    if (free_.empty()) {
      index = static_cast<std::uint32_t>(slots_.size());
      slots_.push_back({});
    } else {
      index = free_.back();
      free_.pop_back();
    }
    slot& s = slots_[index];
    s.waiter = &waiter;
    ++s.generation;
    return static_cast<wait_token>((std::uint64_t{s.generation} << 32) | index);
  }

  /// Ends the wait; null if it is over already.
  coroutine* take(wait_token token) {
    const auto index = static_cast<std::uint32_t>(token);
    const auto generation = static_cast<std::uint32_t>(static_cast<std::uint64_t>(token) >> 32);
    if (index >= slots_.size() || slots_[index].generation != generation) return nullptr;
    coroutine* waiter = slots_[index].waiter;
    if (waiter == nullptr) return nullptr;
    slots_[index].waiter = nullptr;
    free_.push_back(index);
    return waiter;
  }

private:
  struct slot {
    coroutine* waiter = nullptr;
    std::uint32_t generation = 0;
  };
  std::vector<slot> slots_;
  std::vector<std::uint32_t> free_;
};

}  // namespace troupe::lua
