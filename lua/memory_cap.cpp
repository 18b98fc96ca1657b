// SPDX-License-Identifier: Apache-2.0
#include "lua/memory_cap.hpp"

#include <algorithm>

#include "lua/interrupt.hpp"

namespace troupe::lua {
namespace {
constexpr std::size_t searched_words = 256;
}

// LuaJIT's word for what a VM does lies behind the state of its main thread, and says -3 while it
// collects.
void* memory_cap::find_state(void* self, void* piece, std::size_t old_size, std::size_t size) {
  auto& cap = *static_cast<memory_cap*>(self);
  if (size == 0 && cap.vm_state_ == nullptr) {
    const auto* words = reinterpret_cast<const volatile std::int32_t*>(cap.main_);
    const volatile std::int32_t* found = nullptr;
    int count = 0;
    for (std::size_t i = 0; i < searched_words; ++i) {
      if (words[i] != -3) continue;
      found = words + i;
      ++count;
    }
    if (count == 1) cap.vm_state_ = found;
  }
  return cap.inner_(cap.inner_self_, piece, old_size, size);
}

void memory_cap::open(lua_State* main, std::size_t most, interrupt& interrupts) {
  main_ = main;
  interrupts_ = &interrupts;
  inner_ = lua_getallocf(main, &inner_self_);
  lua_setallocf(main, find_state, this);
  lua_newtable(main);
  lua_pop(main, 1);
  lua_gc(main, LUA_GCCOLLECT, 0);
  if (vm_state_ != nullptr && *vm_state_ == -3) vm_state_ = nullptr;
  used_ = static_cast<std::size_t>(lua_gc(main, LUA_GCCOUNT, 0)) * 1024 +
          static_cast<std::size_t>(lua_gc(main, LUA_GCCOUNTB, 0));
  most_ = most;
  due_ = most / 4 * 3;
  lua_setallocf(main, allocate, this);
}

void memory_cap::close() noexcept {
  if (most_ == 0) return;
  lua_setallocf(main_, inner_, inner_self_);
  most_ = 0;
}

void* memory_cap::allocate(void* self, void* piece, std::size_t old_size, std::size_t size) {
  auto& cap = *static_cast<memory_cap*>(self);
  const std::size_t used = cap.used_ - old_size + size;
  if (size > old_size) {
    if (cap.holds_ && used > cap.most_ && cap.can_refuse()) {
      cap.has_refused_ = true;
      return nullptr;
    }
    // In the middle of a script: at its next safe place.
    if (cap.holds_ && used >= cap.due_ && !cap.is_collecting_ && !cap.is_raised_) {
      cap.is_raised_ = true;
      cap.interrupts_->raise(interrupt::memory);
    }
  }
  void* made = cap.inner_(cap.inner_self_, piece, old_size, size);
  if (made != nullptr || size == 0) cap.used_ = used;
  return made;
}

// The nearer what is alive comes to the cap, the more often: each time half of what is left may be
// allocated until the next, but no less than a sixteenth of the cap, so that an app whose live data
// all but fill it does not collect all the time.
void memory_cap::collect(lua_State* state) {
  if (most_ == 0 || is_collecting_) return;
  struct collection {
    memory_cap& cap;
    explicit collection(memory_cap& one) : cap(one) { cap.is_collecting_ = true; }
    ~collection() {
      cap.is_collecting_ = cap.has_refused_ = cap.is_raised_ = false;
      const std::size_t left = cap.most_ > cap.used_ ? cap.most_ - cap.used_ : 0;
      cap.due_ = std::max(cap.most_ / 4 * 3,
                          std::min(cap.most_ + 1, cap.used_ + std::max(left / 2, cap.most_ / 16)));
    }
  } const one(*this);
  const scope free(*this, false);
  lua_gc(state, LUA_GCCOLLECT, 0);
}

void memory_cap::check(lua_State* state) {
  collect(state);
  if (used_ <= most_) return;
  has_refused_ = true;
  lua_pushliteral(state, "not enough memory");
  lua_error(state);
}

std::string memory_cap::describe() const {
  auto kilobytes = [](std::size_t bytes) { return std::to_string((bytes + 1023) / 1024) + "k"; };
  return "the VM has " + kilobytes(used_) + " of the " + kilobytes(most_) + " of \"lua_max_memory\"";
}

}  // namespace troupe::lua
