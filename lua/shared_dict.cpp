// SPDX-License-Identifier: Apache-2.0
#include "lua/shared_dict.hpp"

#include <ctime>

namespace troupe::lua {
namespace {
constexpr int most_victims = 30;
constexpr std::size_t entry_overhead = 64;
}  // namespace

std::int64_t shared_dict::steady_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

shared_dict::shared_dict(std::string name, std::size_t capacity, clock now)
    : name_(std::move(name)), capacity_(capacity), now_(now) {}

std::size_t shared_dict::cost(std::string_view key, const dict_value& value) noexcept {
  const auto* text = std::get_if<std::string>(&value);
  return entry_overhead + key.size() + (text != nullptr ? text->size() : 8);
}

std::size_t shared_dict::free_space() const {
  const std::lock_guard lock(mutex_);
  return capacity_ > used_ ? (capacity_ - used_) / 4096 * 4096 : 0;
}

void shared_dict::erase(entry_list::iterator e) {
  used_ -= cost(e->key, e->value);
  by_key_.erase(e->key);
  entries_.erase(e);
}

// A write also clears away a little of what has expired at the cold end.
void shared_dict::drop_expired(std::int64_t now, int most) {
  while (most-- > 0 && !entries_.empty() && is_expired(entries_.back(), now)) {
    erase(std::prev(entries_.end()));
  }
}

shared_dict::found shared_dict::get(std::string_view key, bool stale) {
  const std::lock_guard lock(mutex_);
  const auto at = by_key_.find(key);
  if (at == by_key_.end()) return {};
  const bool expired = is_expired(*at->second, now_());
  if (expired && !stale) return {};
  if (!expired && at->second != entries_.begin()) {
    entries_.splice(entries_.begin(), entries_, at->second);
  }
  return {dict_status::ok, at->second->value, at->second->flags, expired};
}

shared_dict::stored shared_dict::insert(std::string_view key, dict_value value, std::int64_t expires,
                                        std::int32_t flags, bool evict, std::int64_t now) {
  const std::size_t needed = cost(key, value);
  stored result;
  for (int victims = 0; used_ + needed > capacity_;) {
    if (entries_.empty() || needed > capacity_) return {dict_status::no_memory, result.forcible};
    const auto last = std::prev(entries_.end());
    if (!is_expired(*last, now)) {
      if (!evict || victims++ >= most_victims) return {dict_status::no_memory, result.forcible};
      result.forcible = true;
    }
    erase(last);
  }
  entries_.push_front({std::string(key), std::move(value), expires, flags});
  by_key_.emplace(entries_.front().key, entries_.begin());
  used_ += needed;
  return result;
}

shared_dict::stored shared_dict::put(mode how, std::string_view key, dict_value value,
                                     std::int64_t life_ms, std::int32_t flags, bool evict) {
  const std::lock_guard lock(mutex_);
  const std::int64_t now = now_();
  drop_expired(now, 2);
  const auto at = by_key_.find(key);
  const bool lives = at != by_key_.end() && !is_expired(*at->second, now);
  if (how == mode::add && lives) return {dict_status::exists, false};
  if (how == mode::replace && !lives) return {dict_status::not_found, false};
  const std::int64_t expires = life_ms > 0 ? now + life_ms : 0;
  if (at != by_key_.end()) {
    if (cost(key, value) == cost(key, at->second->value)) {
      at->second->value = std::move(value);
      at->second->expires = expires;
      at->second->flags = flags;
      entries_.splice(entries_.begin(), entries_, at->second);
      return {};
    }
    erase(at->second);
  }
  return insert(key, std::move(value), expires, flags, evict, now);
}

void shared_dict::remove(std::string_view key) {
  const std::lock_guard lock(mutex_);
  if (const auto at = by_key_.find(key); at != by_key_.end()) erase(at->second);
}

shared_dict::incremented shared_dict::increment(std::string_view key, double by, const double* init,
                                                std::int64_t init_life_ms) {
  const std::lock_guard lock(mutex_);
  const std::int64_t now = now_();
  const auto at = by_key_.find(key);
  if (at != by_key_.end() && !is_expired(*at->second, now)) {
    auto* number = std::get_if<double>(&at->second->value);
    if (number == nullptr) return {dict_status::not_a_number};
    *number += by;
    if (at->second != entries_.begin()) entries_.splice(entries_.begin(), entries_, at->second);
    return {dict_status::ok, *number};
  }
  if (init == nullptr) return {dict_status::not_found};
  drop_expired(now, 2);
  if (const auto stale = by_key_.find(key); stale != by_key_.end()) erase(stale->second);
  const double value = *init + by;
  const stored made =
      insert(key, value, init_life_ms > 0 ? now + init_life_ms : 0, 0, true, now);
  return {made.status, value, made.forcible};
}

std::int64_t shared_dict::time_left(std::string_view key) {
  const std::lock_guard lock(mutex_);
  const std::int64_t now = now_();
  const auto at = by_key_.find(key);
  if (at == by_key_.end() || is_expired(*at->second, now)) return -1;
  return at->second->expires == 0 ? 0 : at->second->expires - now;
}

bool shared_dict::expire(std::string_view key, std::int64_t life_ms) {
  const std::lock_guard lock(mutex_);
  const std::int64_t now = now_();
  const auto at = by_key_.find(key);
  if (at == by_key_.end() || is_expired(*at->second, now)) return false;
  at->second->expires = life_ms > 0 ? now + life_ms : 0;
  return true;
}

void shared_dict::flush_all() {
  const std::lock_guard lock(mutex_);
  for (entry& e : entries_) e.expires = 1;
}

std::size_t shared_dict::flush_expired(std::size_t most) {
  const std::lock_guard lock(mutex_);
  const std::int64_t now = now_();
  std::size_t freed = 0;
  for (auto e = entries_.end(); e != entries_.begin() && (most == 0 || freed < most);) {
    const auto candidate = std::prev(e);
    if (is_expired(*candidate, now)) {
      erase(candidate);
      ++freed;
    } else {
      e = candidate;
    }
  }
  return freed;
}

std::vector<std::string> shared_dict::keys(std::size_t most) {
  const std::lock_guard lock(mutex_);
  const std::int64_t now = now_();
  std::vector<std::string> found;
  for (auto e = entries_.rbegin(); e != entries_.rend() && (most == 0 || found.size() < most); ++e) {
    if (!is_expired(*e, now)) found.push_back(e->key);
  }
  return found;
}

void publish(lua_State* state, std::string_view name, shared_dict& dict) {
  lua_getglobal(state, "ngx");
  lua_getfield(state, -1, "shared");
  if (!lua_istable(state, -1)) {
    lua_pop(state, 1);
    lua_newtable(state);
    lua_pushvalue(state, -1);
    lua_setfield(state, -3, "shared");
  }
  lua_pushlstring(state, name.data(), name.size());
  lua_createtable(state, 1, 0);
  lua_pushlightuserdata(state, &dict);
  lua_rawseti(state, -2, 1);
  lua_getfield(state, LUA_REGISTRYINDEX, "troupe.shared_dict");
  lua_setmetatable(state, -2);
  lua_rawset(state, -3);
  lua_pop(state, 2);
}

}  // namespace troupe::lua
