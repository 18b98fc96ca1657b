// SPDX-License-Identifier: Apache-2.0
//
// A shared dictionary: `lua_shared_dict NAME SIZE` of an app, in Lua `ngx.shared.NAME`. It outlives
// releases and is the only mutable thing that shards share.
//
// Source   ngx.shared.DICT of ngx_lua's README.
// Thread   any; each operation is atomic.
// Memory   entries are charged against `capacity`; when it is used up, the entries that were not
//          touched longest go first, at most 30 for one insertion.
// Called   by lua/api/shdict.cpp; made by runtime/loader.
#pragma once

#include <lua.hpp>

#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

namespace troupe::lua {

using dict_value = std::variant<bool, double, std::string>;
enum class dict_status : int { ok = 0, not_found = 1, exists = 2, not_a_number = 3, no_memory = 4 };

class shared_dict {
public:
  using clock = std::int64_t (*)();  ///< Milliseconds; only differences matter.
  shared_dict(std::string name, std::size_t capacity, clock now = &steady_ms);

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  [[nodiscard]] std::size_t free_space() const;

  struct found {
    dict_status status = dict_status::not_found;
    dict_value value;
    std::int32_t flags = 0;
    bool is_stale = false;
  };
  /// @param stale  an expired entry that is still there is found too.
  found get(std::string_view key, bool stale = false);

  enum class mode { set, add, replace };
  struct stored {
    dict_status status = dict_status::ok;
    bool forcible = false;  ///< Live entries had to go.
  };
  /// @param life_ms  0: for ever.
  /// @param evict    false: no live entry has to go (safe_set, safe_add).
  stored put(mode how, std::string_view key, dict_value value, std::int64_t life_ms,
             std::int32_t flags, bool evict = true);
  void remove(std::string_view key);

  struct incremented {
    dict_status status = dict_status::ok;
    double value = 0;
    bool forcible = false;
  };
  /// @param init  what a missing entry starts from; null: a missing entry is not_found.
  incremented increment(std::string_view key, double by, const double* init, std::int64_t init_life_ms);

  /// Milliseconds left, 0: for ever; -1: not found.
  std::int64_t time_left(std::string_view key);
  bool expire(std::string_view key, std::int64_t life_ms);
  void flush_all();
  std::size_t flush_expired(std::size_t most);
  std::vector<std::string> keys(std::size_t most);

  static std::int64_t steady_ms();

private:
  struct entry {
    std::string key;
    dict_value value;
    std::int64_t expires = 0;  ///< 0: never.
    std::int32_t flags = 0;
  };
  using entry_list = std::list<entry>;
  struct text_hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept {
      return std::hash<std::string_view>{}(text);
    }
  };

  static std::size_t cost(std::string_view key, const dict_value& value) noexcept;
  [[nodiscard]] bool is_expired(const entry& e, std::int64_t now) const noexcept {
    return e.expires != 0 && e.expires <= now;
  }
  void erase(entry_list::iterator e);
  void drop_expired(std::int64_t now, int most);
  stored insert(std::string_view key, dict_value value, std::int64_t expires, std::int32_t flags,
                bool evict, std::int64_t now);

  const std::string name_;
  const std::size_t capacity_;
  const clock now_;
  mutable std::mutex mutex_;
  entry_list entries_;  ///< The most recently used first.
  std::unordered_map<std::string_view, entry_list::iterator, text_hash, std::equal_to<>> by_key_;
  std::size_t used_ = 0;
};

/// Makes `ngx.shared.NAME` in a VM.
void publish(lua_State* state, std::string_view name, shared_dict& dict);

}  // namespace troupe::lua
