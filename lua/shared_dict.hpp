// SPDX-License-Identifier: Apache-2.0
//
// A shared dictionary: `lua_shared_dict NAME SIZE` of an app, in Lua `ngx.shared.NAME`. It outlives
// releases and is the only mutable thing that shards share.
//
// Its entries lie in a slab in the order of their last use. When the slab is full, the ones that
// were not used longest go first, at most 30 for one insertion; most operations also clear away up
// to two expired ones at that end. Expired entries that are still there can be read as stale.
//
// Source   ngx.shared.DICT and its methods in ngx_lua's README.
// Thread   any; each operation is atomic.
// Memory   `capacity` bytes, reserved at construction and when that changes, and beside them an index of at most a
//          thirty-second of that. Both are taken from the system as they fill. An entry takes 68
//          bytes and its key and value (a number: 8, a boolean: 1), rounded up as the slab does;
//          an element of a list takes 21 and its value. These are nginx's figures.
// Called   by lua/api/shdict.cpp; made by runtime/loader.
#pragma once

#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <variant>
#include <vector>

#include "lua/slab.hpp"

struct lua_State;

namespace troupe::lua {

/// Texts and keys are copied into the dictionary. No nil: that is "no entry".
using dict_value = std::variant<bool, double, std::string_view>;
using dict_element = std::variant<double, std::string_view>;

/// The texts are those of lua/api/shdict.lua.
enum class dict_errc : int {
  not_found = 1,
  exists,
  not_a_number,
  no_memory,
  is_a_list,  ///< Where a single value is wanted.
  not_a_list,
  too_small,  ///< The buffer for a text: what is needed is told, nothing has changed.
};

class shared_dict {
 public:
  using clock = std::int64_t (*)();  ///< Milliseconds, from 0 or more; only differences matter.

  static constexpr std::size_t longest_key = 65535;

  shared_dict(std::string name, std::size_t capacity, clock now = &cached_ms);
  ~shared_dict();
  shared_dict(const shared_dict&) = delete;
  shared_dict& operator=(const shared_dict&) = delete;

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] std::size_t capacity() const noexcept;
  /// That of the pages that are wholly free.
  [[nodiscard]] std::size_t free_space() const noexcept;

  /// Makes it larger or smaller. Its entries stay, those used last first: what has no room any more
  /// goes, and so do the expired ones. Everybody else waits meanwhile.
  /// @return how many entries had no room.
  std::size_t resize(std::size_t capacity) noexcept;

  enum class kind : std::uint8_t { boolean, number, text, list };

  struct found {
    kind what = kind::boolean;
    bool is_stale = false;
    std::int32_t flags = 0;
    double number = 0;           ///< Of a boolean: 0 or 1.
    std::size_t text_bytes = 0;  ///< Set also when `room` is too small.
  };
  /// @param room         where a text goes.
  /// @param with_expired  an expired entry that is still there is found too, as stale.
  [[nodiscard]] tl::expected<void, dict_errc> get(std::string_view key, std::span<char> room,
                                                  found& result,
                                                  bool with_expired = false) noexcept;

  enum class mode { set, add, replace };
  struct stored {
    dict_errc error{};      ///< 0: none.
    bool forcible = false;  ///< Entries had to go, also when they were not enough.
  };
  /// @param life_ms  0: for ever.
  /// @param evict    false: no entry has to go (safe_set, safe_add).
  stored put(mode how, std::string_view key, const dict_value& value, std::int64_t life_ms,
             std::int32_t flags, bool evict = true) noexcept;
  void remove(std::string_view key) noexcept;

  struct incremented {
    dict_errc error{};
    bool forcible = false;
    double value = 0;
  };
  /// @param init  what a missing entry starts from; null: a missing entry is not_found.
  incremented increment(std::string_view key, double by, const double* init,
                        std::int64_t init_life_ms) noexcept;

  enum class end { left, right };
  /// @return the list's new length. Nothing is evicted for it.
  tl::expected<std::size_t, dict_errc> push(end where, std::string_view key,
                                            const dict_element& value) noexcept;
  /// The entry goes with its last element. not_found: there is no list.
  tl::expected<void, dict_errc> pop(end where, std::string_view key, std::span<char> room,
                                    found& result) noexcept;
  /// 0: there is none.
  tl::expected<std::size_t, dict_errc> length(std::string_view key) noexcept;

  /// Milliseconds left, 0: for ever; less than 0 for an expired entry that is still there.
  [[nodiscard]] tl::expected<std::int64_t, dict_errc> time_left(
      std::string_view key) const noexcept;
  /// Also brings an expired entry that is still there back to life, as in ngx_lua.
  /// @return false: there is none.
  [[nodiscard]] bool expire(std::string_view key, std::int64_t life_ms) noexcept;
  /// All entries are expired from here on; their memory is freed as it is needed.
  void flush_all() noexcept;
  /// @param most  0: all.
  std::size_t flush_expired(std::size_t most) noexcept;

  struct key_list {
    std::string bytes;                 ///< One key after the other,
    std::vector<std::uint16_t> sizes;  ///< and how long each is.
  };
  /// The keys of entries that are not expired, those not used longest first.
  /// @param most  0: all.
  [[nodiscard]] key_list keys(std::size_t most) const;

  /// The time as the calling thread's event loop last saw it, or the system's.
  static std::int64_t cached_ms();

 private:
  struct entry;
  struct element;
  class now_once;

  // A mutex that is tried for a while before the thread sleeps: operations take less than that.
  class brief_mutex {
   public:
    void lock() noexcept;
    void unlock() noexcept { mutex_.unlock(); }

   private:
    std::mutex mutex_;
  };
  using guard = std::lock_guard<brief_mutex>;

  // The index: a hash table that grows by one bucket at a time, so that no insertion has to wait
  // for a large one (linear hashing). A bucket holds the number of its first entry's 128 bytes in
  // the slab, plus one.
  [[nodiscard]] std::uint32_t bucket_of(std::uint32_t hash) const noexcept;
  [[nodiscard]] entry* first_in(std::uint32_t bucket) const noexcept;
  void set_first(std::uint32_t bucket, entry* e) noexcept;
  void index(entry& e) noexcept;
  void unindex(entry& e) noexcept;
  [[nodiscard]] std::uint32_t hash_of(std::string_view key) const noexcept;
  [[nodiscard]] entry* find(std::string_view key, std::uint32_t hash) const noexcept;

  void link_newest(entry& e) noexcept;
  void unlink(entry& e) noexcept;
  void touch(entry& e) noexcept;
  void erase(entry& e) noexcept;
  void drop_elements(entry& e) noexcept;
  int reclaim(now_once& now, bool by_force) noexcept;
  entry* make(std::string_view key, std::uint32_t hash, std::size_t bytes, bool evict,
              bool& forcible, now_once& now) noexcept;

  void open() noexcept;
  bool copy_from(entry& from) noexcept;

  const std::string name_;
  std::size_t capacity_;
  const clock now_;
  std::uint64_t seed_;
  mutable brief_mutex mutex_;
  slab slab_;
  std::uint32_t* buckets_ = nullptr;  // Room for as many as the slab has of 128 bytes.
  std::size_t bucket_room_ = 0;
  std::uint32_t bucket_count_ = 0;
  std::uint32_t whole_rounds_ = 0;  // The power of two below or at bucket_count_, minus one.
  std::size_t entry_count_ = 0;
  entry* newest_ = nullptr;
  entry* oldest_ = nullptr;
};

/// Makes `ngx.shared.NAME` in a VM that has the API.
void publish(lua_State* state, std::string_view name, shared_dict& dict);

}  // namespace troupe::lua
