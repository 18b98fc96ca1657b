// SPDX-License-Identifier: Apache-2.0
#include "net/timer_wheel.hpp"

#include <bit>

namespace troupe::net {

timer_wheel::timer_wheel(std::int64_t now) noexcept : now_(now) {
  for (auto& level : wheel_) {
    for (timer_link& head : level) head.next = head.previous = &head;
  }
}

timer_wheel::~timer_wheel() {
  for (auto& level : wheel_) {
    for (timer_link& head : level) {
      while (head.next != &head) static_cast<timer*>(head.next)->unlink();
    }
  }
}

int timer_wheel::first_used(int level, int slot) noexcept {
  auto& words = used_[static_cast<std::size_t>(level)];
  for (int word = slot >> 6; word < slots / 64; ++word) {
    std::uint64_t& all = words[static_cast<std::size_t>(word)];
    std::uint64_t left = word == slot >> 6 ? all & (~std::uint64_t{0} << (slot & 63)) : all;
    for (; left != 0; left &= left - 1) {
      const int bit = std::countr_zero(left);
      const int found = word * 64 + bit;
      if (list(level, found).next != &list(level, found)) return found;
      all &= ~(std::uint64_t{1} << bit);
    }
  }
  return slots;
}

void timer_wheel::arm_at(timer& t, std::int64_t expiry) noexcept {
  t.unlink();
  t.expiry_ = expiry > now_ ? expiry : now_ + 1;
  place(t, end::back);
  if (next_known_ && (next_ < 0 || t.expiry_ < next_)) next_ = t.expiry_;
}

void timer_wheel::place(timer& t, end where) noexcept {
  const std::int64_t distance = t.expiry_ - now_;
  int level = 0;
  while (level < levels - 1 && distance >= std::int64_t{1} << (bits * (level + 1))) ++level;
  const int slot = slot_of(level, t.expiry_);
  used_[static_cast<std::size_t>(level)][static_cast<std::size_t>(slot >> 6)] |= std::uint64_t{1}
                                                                                 << (slot & 63);
  timer_link& head = list(level, slot);
  timer_link& before = where == end::back ? *head.previous : head;
  t.next = before.next;
  t.previous = &before;
  before.next->previous = &t;
  before.next = &t;
}

// The slot of a higher level whose time has come is spread over the lower ones. What comes down was
// armed before what is there already, at a greater distance, so it goes to the front.
void timer_wheel::cascade(int level) noexcept {
  const int slot = slot_of(level, now_);
  if (slot == 0 && level + 1 < levels) cascade(level + 1);
  timer_link& head = list(level, slot);
  timer_link* at = head.previous;
  head.next = head.previous = &head;
  while (at != &head) {
    auto& t = *static_cast<timer*>(at);
    at = t.previous;
    place(t, end::front);
  }
}

void timer_wheel::advance(std::int64_t now) noexcept {
  clock_ = now;
  if (next_known_ && (next_ < 0 || now < next_) && (now_ >> bits) == (now >> bits)) {
    if (now > now_) now_ = now;  // Nothing expires and nothing comes down.
    return;
  }
  next_known_ = false;
  while (now_ < now) {
    // From one used slot of the lowest level to the next, and to each of its turns.
    const int slot = first_used(0, slot_of(0, now_) + 1);
    const std::int64_t at = (now_ & ~std::int64_t{slots - 1}) + slot;
    if (at > now) {
      now_ = now;
      return;
    }
    now_ = at;
    if (slot == slots) cascade(1);
    // What a handler arms expires later than now_, so it lands in another slot.
    timer_link& due = list(0, slot_of(0, now_));
    while (due.next != &due) {
      auto& t = *static_cast<timer*>(due.next);
      t.unlink();
      t.on_timer();
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

std::int64_t timer_wheel::search() noexcept {
  std::int64_t first = -1;
  for (int level = 0; level < levels; ++level) {
    // A list of a higher level is looked at when its time begins, and that may be before the first
    // timer of a lower level.
    const int present = slot_of(level, now_);
    int slot = first_used(level, present + 1);
    if (slot == slots) {
      slot = first_used(level, 0);
      if (slot == slots) continue;
      slot += slots;
    }
    const std::int64_t at = ((now_ >> (bits * level)) - present + slot) << (bits * level);
    if (first < 0 || at < first) first = at;
  }
  return first;
}

}  // namespace troupe::net
