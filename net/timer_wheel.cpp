// SPDX-License-Identifier: Apache-2.0
#include "net/timer_wheel.hpp"

namespace troupe::net {

timer_wheel::~timer_wheel() {
  for (auto& level : wheel_) {
    for (timer*& head : level) {
      while (head != nullptr) head->unlink();
    }
  }
}

void timer_wheel::arm_at(timer& t, std::int64_t expiry) noexcept {
  t.unlink();
  t.expiry_ = expiry > now_ ? expiry : now_ + 1;
  place(t);
  if (next_known_ && (next_ < 0 || t.expiry_ < next_)) next_ = t.expiry_;
}

void timer_wheel::place(timer& t) noexcept {
  const std::int64_t distance = t.expiry_ - now_;
  int level = 0;
  while (level < levels - 1 && distance >= std::int64_t{1} << (bits * (level + 1))) ++level;
  const auto slot = static_cast<std::size_t>((t.expiry_ >> (bits * level)) & (slots - 1));
  timer*& head = wheel_[static_cast<std::size_t>(level)][slot];
  t.next_ = head == nullptr ? timer::end() : head;
  t.previous_next_ = &head;
  if (head != nullptr) head->previous_next_ = &t.next_;
  head = &t;
}

// The slot of a higher level whose time has come is spread over the lower ones.
void timer_wheel::cascade(int level) noexcept {
  const auto slot = static_cast<std::size_t>((now_ >> (bits * level)) & (slots - 1));
  if (slot == 0 && level + 1 < levels) cascade(level + 1);
  timer* list = wheel_[static_cast<std::size_t>(level)][slot];
  wheel_[static_cast<std::size_t>(level)][slot] = nullptr;
  while (list != nullptr) {
    timer* t = list;
    list = t->next_ == timer::end() ? nullptr : t->next_;
    t->next_ = nullptr;
    place(*t);
  }
}

void timer_wheel::advance(std::int64_t now) noexcept {
  clock_ = now;
  if (next_known_ && (next_ < 0 || now < next_)) {
    // Nothing expires: only the lowest wheel's turn has to be kept.
    if ((now_ >> bits) == (now >> bits)) {
      now_ = now > now_ ? now : now_;
      return;
    }
  }
  next_known_ = false;
  while (now_ < now) {
    // Empty stretches of the lowest level are jumped over.
    if ((now_ & (slots - 1)) != slots - 1) {
      const auto next_slot = static_cast<std::size_t>((now_ + 1) & (slots - 1));
      std::int64_t step = 0;
      for (std::size_t s = next_slot; s < slots && wheel_[0][s] == nullptr; ++s) ++step;
      if (step > 0) {
        const std::int64_t last = now_ | (slots - 1);
        now_ = now_ + step < now ? now_ + step : now;
        if (now_ > last) now_ = last;
        if (now_ >= now) return;
        continue;
      }
    }
    ++now_;
    const auto slot = static_cast<std::size_t>(now_ & (slots - 1));
    if (slot == 0) cascade(1);
    // Handlers may arm timers: those expire later than now_ and land in other slots, or one whole
    // turn later in this one, which `place` never does for level 0.
    while (timer* t = wheel_[0][slot]) {
      t->unlink();
      t->on_timer();
    }
  }
}

std::int64_t timer_wheel::next_expiry() noexcept {
  if (!next_known_) {
    next_ = search();
    next_known_ = true;
  }
  return next_;
}

std::int64_t timer_wheel::search() const noexcept {
  for (int i = 1; i <= slots; ++i) {
    const std::int64_t at = now_ + i;
    if (wheel_[0][static_cast<std::size_t>(at & (slots - 1))] != nullptr) return at;
    // At a turn of the lowest wheel higher levels come down: wake then and look again.
    if ((at & (slots - 1)) == 0) {
      for (int level = 1; level < levels; ++level) {
        const auto slot = static_cast<std::size_t>((at >> (bits * level)) & (slots - 1));
        if (wheel_[static_cast<std::size_t>(level)][slot] != nullptr) return at;
        if (slot != 0) break;
      }
    }
  }
  for (int level = 1; level < levels; ++level) {
    for (int i = 1; i <= slots; ++i) {
      const std::int64_t at = ((now_ >> (bits * level)) + i) << (bits * level);
      if (wheel_[static_cast<std::size_t>(level)]
                [static_cast<std::size_t>((at >> (bits * level)) & (slots - 1))] != nullptr) {
        return at;
      }
    }
  }
  return -1;
}

}  // namespace troupe::net
