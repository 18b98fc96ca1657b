// SPDX-License-Identifier: Apache-2.0
//
// Timers of one millisecond's resolution in a hierarchical wheel: arming and cancelling cost a few
// stores, no allocation and no system call. A timer never fires early.
//
// Source   Varghese & Lauck, "Hashed and Hierarchical Timing Wheels" (1987).
// Thread   that of its event loop.
#pragma once

#include <array>
#include <cstdint>

namespace troupe::net {

class timer_wheel;

/// Derive and override on_timer(). A timer may be armed, cancelled or destroyed at any time, also
/// by handlers of timers.
class timer {
public:
  timer() = default;
  timer(const timer&) = delete;
  timer& operator=(const timer&) = delete;
  virtual ~timer() { unlink(); }

  virtual void on_timer() noexcept = 0;
  [[nodiscard]] bool is_armed() const noexcept { return next_ != nullptr; }
  [[nodiscard]] std::int64_t expiry() const noexcept { return expiry_; }

private:
  friend class timer_wheel;
  void unlink() noexcept {
    if (next_ == nullptr) return;
    *previous_next_ = next_ == end() ? nullptr : next_;
    if (next_ != end()) next_->previous_next_ = previous_next_;
    next_ = nullptr;
  }
  // Marks the last of a list, so that next_ also says whether the timer is armed.
  static timer* end() noexcept { return reinterpret_cast<timer*>(1); }

  timer* next_ = nullptr;
  timer** previous_next_ = nullptr;
  std::int64_t expiry_ = 0;
};

class timer_wheel {
public:
  /// @param now  the clock's milliseconds; only differences matter.
  explicit timer_wheel(std::int64_t now) noexcept : now_(now) {}
  ~timer_wheel();
  timer_wheel(const timer_wheel&) = delete;
  timer_wheel& operator=(const timer_wheel&) = delete;

  /// Fires once, `ms` after the clock's present reading (given as `now`); moves an armed timer.
  void arm_at(timer& t, std::int64_t expiry) noexcept;
  void arm(timer& t, std::int64_t ms) noexcept { arm_at(t, clock_ + (ms < 0 ? 0 : ms)); }
  void cancel(timer& t) noexcept { t.unlink(); }

  /// The present for arm(): the loop sets it after each wait.
  void set_clock(std::int64_t now) noexcept { clock_ = now; }

  /// Fires what has expired by `now`.
  void advance(std::int64_t now) noexcept;
  /// A time at or before the next expiry; -1 if no timer is armed.
  [[nodiscard]] std::int64_t next_expiry() noexcept;

private:
  static constexpr int bits = 8;
  static constexpr int slots = 1 << bits;
  static constexpr int levels = 5;  // 2^40 ms: 34 years.
  void place(timer& t) noexcept;
  void cascade(int level) noexcept;
  [[nodiscard]] std::int64_t search() const noexcept;

  std::array<std::array<timer*, slots>, levels> wheel_{};
  std::int64_t now_;    ///< All timers before or at this have fired.
  std::int64_t clock_ = now_;
  // The last answer of next_expiry(), so that the wheel is searched only when it may have changed.
  std::int64_t next_ = -1;
  bool next_known_ = false;
};

}  // namespace troupe::net
