// SPDX-License-Identifier: Apache-2.0
//
// Timers of one millisecond's resolution in a hierarchical wheel: arming and cancelling cost a few
// stores, no allocation and no system call. A timer never fires early; timers of one expiry fire in
// the order in which they were armed.
//
// Source   Varghese & Lauck, "Hashed and Hierarchical Timing Wheels" (1987).
// Thread   that of its event loop.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace troupe::net {

class timer_wheel;

/// A place in one of the wheel's lists, which are rings that begin with a link of the wheel's own.
struct timer_link {
  timer_link* next = nullptr;  ///< Null: in no list.
  timer_link* previous = nullptr;
};

/// Derive and override on_timer(). A timer may be armed, cancelled or destroyed at any time, also
/// by handlers of timers.
class timer : private timer_link {
 public:
  timer() = default;
  timer(const timer&) = delete;
  timer& operator=(const timer&) = delete;
  virtual ~timer() { unlink(); }

  virtual void on_timer() noexcept = 0;
  [[nodiscard]] bool is_armed() const noexcept { return next != nullptr; }
  [[nodiscard]] std::int64_t expiry() const noexcept { return expiry_; }

 private:
  friend class timer_wheel;
  void unlink() noexcept {
    if (next == nullptr) return;
    previous->next = next;
    next->previous = previous;
    next = nullptr;
  }

  std::int64_t expiry_ = 0;
};

class timer_wheel {
 public:
  /// @param now  the clock's milliseconds; only differences matter.
  explicit timer_wheel(std::int64_t now) noexcept;
  ~timer_wheel();
  timer_wheel(const timer_wheel&) = delete;
  timer_wheel& operator=(const timer_wheel&) = delete;

  /// Fires once at `expiry`, or with the next millisecond if that is past; moves an armed timer.
  void arm_at(timer& t, std::int64_t expiry) noexcept;
  /// `ms` after the clock's present reading.
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
  enum class end : bool { front, back };
  [[nodiscard]] static int slot_of(int level, std::int64_t at) noexcept {
    return static_cast<int>((at >> (bits * level)) & (slots - 1));
  }
  [[nodiscard]] timer_link& list(int level, int slot) noexcept {
    return wheel_[static_cast<std::size_t>(level)][static_cast<std::size_t>(slot)];
  }
  /// The first slot from `slot` on that has timers; `slots` if none has.
  [[nodiscard]] int first_used(int level, int slot) noexcept;
  void place(timer& t, end where) noexcept;
  void cascade(int level) noexcept;
  [[nodiscard]] std::int64_t search() noexcept;

  std::array<std::array<timer_link, slots>, levels> wheel_;
  /// A bit for each slot that may have timers; cleared when it is found to have none.
  std::array<std::array<std::uint64_t, slots / 64>, levels> used_{};
  std::int64_t now_;  ///< All timers before or at this have fired.
  std::int64_t clock_ = now_;
  // The last answer of next_expiry(), so that the wheel is searched only when it may have changed.
  std::int64_t next_ = -1;
  bool next_known_ = false;
};

}  // namespace troupe::net
